"""Pure: one item that the Signal service received, `{envelope, account}`, as what it says.

    dataMessage ─┬─ words, files … ─► Said       editMessage ─► Edited (and what it says now)
                 ├─ reaction ───────► Reacted    receipts, typing, sync, calls ─► Ignored
                 └─ remoteDelete ───► Deleted    anything else ─► Malformed

All is checked here, once. Every field may be missing or null, fields that are not known mean
nothing. Malformed says which field is wrong and nothing of what is in it.
Source: signal-cli, org.asamk.signal.json.JsonMessageEnvelope and what it holds.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from bot.bridges.signal.addresses import is_group_id, looks_like_number
from bot.bridges.signal.fields import Fields
from bot.bridges.signal.received.mentions import Mention
from bot.bridges.signal.received.parts import (
    MAX_MENTIONS,
    MAX_NAME_CHARS,
    File,
    Quoted,
    Target,
    aci_of,
    files_of,
    mention_of,
    number_of,
    quoted,
    target_of,
    target_time,
    time_of,
)
from bot.bridges.signal.received.wordless import in_lines
from nips.refusal import Malformed

MAX_TEXT_CHARS = 65_536  # Signal's own limit, in bytes
MAX_EMOJI_CHARS = 64
MAX_TIMER_S = 10 * 366 * 86_400
# What an envelope is about that nobody here is shown, and what it is counted as.
NOT_FOR_US = (
    ("receiptMessage", "receipt"),
    ("typingMessage", "typing"),
    ("callMessage", "call"),
    ("storyMessage", "story"),
)
NOT_SAID = (
    ("pollVote", "poll"),
    ("pollTerminate", "poll"),
    ("pinMessage", "pin"),
    ("unpinMessage", "pin"),
    ("adminDelete", "admin-delete"),  # of somebody else's words; a puppet deletes its own
)


@dataclass(frozen=True, slots=True)
class Person:
    """Who wrote. aci: their id for good. number: None where they keep it to themselves.
    name: as their profile or our address book has it, None where neither has one.
    """

    aci: str
    number: str | None
    name: str | None


@dataclass(frozen=True, slots=True)
class Conversation:
    """Where it was written. id: the person's ACI, or a group's internal id (base64).
    name: a group's, as far as it is known.
    """

    id: str
    is_group: bool
    name: str | None


@dataclass(frozen=True, slots=True)
class Identity:
    """What makes a message this one and no other. timestamp: ms, of its sender."""

    account: str
    aci: str
    device: int
    timestamp: int


@dataclass(frozen=True, slots=True)
class Said:
    """A message. text: with U+FFFC where somebody is mentioned (mentions.resolved).
    notes: lines for what has no words, as a sticker or a contact. expires_s: its timer.
    """

    identity: Identity
    who: Person
    conversation: Conversation
    text: str
    mentions: tuple[Mention, ...] = ()
    notes: tuple[str, ...] = ()
    quote: Quoted | None = None
    files: tuple[File, ...] = ()
    expires_s: int | None = None
    view_once: bool = False


@dataclass(frozen=True, slots=True)
class Edited:
    """A message of the sender's own, of the time `target` (ms), says this now."""

    identity: Identity
    who: Person
    conversation: Conversation
    target: int
    said: Said


@dataclass(frozen=True, slots=True)
class Reacted:
    """An emoji put on a message, or taken from it."""

    identity: Identity
    who: Person
    conversation: Conversation
    target: Target
    emoji: str
    removed: bool


@dataclass(frozen=True, slots=True)
class Deleted:
    """A message of the sender's own, of the time `target` (ms), deleted for everybody."""

    identity: Identity
    who: Person
    conversation: Conversation
    target: int


@dataclass(frozen=True, slots=True)
class Ignored:
    """Nothing for anybody here. why: one word for counting, such as "receipt" or "sync".
    own_aci: ours, which what comes from another device of ours tells.
    """

    why: str
    own_aci: str | None = None


Received = Said | Edited | Reacted | Deleted | Ignored


def parse(item: Mapping[str, Any], account: str) -> Received:
    """What an item says. account: our number. Raises Malformed."""
    outer = Fields(item, "item")
    # Attack: the service holds other accounts too; what is theirs is nothing of ours.
    if outer.text("account", MAX_NAME_CHARS) != account:
        raise Malformed("item.account is another one")
    envelope = outer.part("envelope")
    if envelope is None:
        return Ignored("unreadable")
    if envelope.has("syncMessage"):
        # Attack: somebody else sends what only our own devices do, and every mention of us is one
        # of them.
        is_ours = number_of(envelope, "sourceNumber", "source") in (None, account)
        return Ignored("sync", aci_of(envelope, "sourceUuid", "source") if is_ours else None)
    for name, why in NOT_FOR_US:
        if envelope.has(name):
            return Ignored(why)
    data, edit = envelope.part("dataMessage"), envelope.part("editMessage")
    if data is None and edit is None:
        return Ignored("unreadable" if outer.has("exception") else "empty")
    who = _person(envelope)
    if who.number == account:
        return Ignored("own", who.aci)
    if edit is not None:
        return _edited(edit, who, _Head(envelope, account))
    assert data is not None
    return _of_data(data, who, _Head(envelope, account))


@dataclass(frozen=True, slots=True)
class _Head:
    """What the envelope gives to everything in it."""

    envelope: Fields
    account: str

    def identity(self, who: Person, data: Fields) -> Identity:
        # What others quote it by is the time in the message itself.
        at = time_of(data, "timestamp") or time_of(self.envelope, "timestamp")
        if at is None:
            raise self.envelope.missing("timestamp")
        device = self.envelope.whole("sourceDevice", 0, 2**31 - 1) or 0
        return Identity(self.account, who.aci, device, at)


def _of_data(data: Fields, who: Person, head: _Head) -> Received:
    identity, conversation = head.identity(who, data), _conversation(data, who)
    if reaction := data.part("reaction"):
        return _reacted(reaction, identity, who, conversation)
    if deletion := data.part("remoteDelete"):
        return Deleted(identity, who, conversation, target_time(deletion, "timestamp"))
    for name, why in NOT_SAID:
        if data.has(name):
            return Ignored(why)
    if data.flag("isExpirationUpdate"):
        return Ignored("timer")
    said = _said(data, identity, who, conversation)
    if said.text or said.files or said.notes:
        return said
    return Ignored("group" if conversation.is_group else "empty")


def _edited(edit: Fields, who: Person, head: _Head) -> Received:
    data = edit.part("dataMessage")
    if data is None:
        raise edit.missing("dataMessage")
    identity, conversation = head.identity(who, data), _conversation(data, who)
    said = _said(data, identity, who, conversation)
    target = target_time(edit, "targetSentTimestamp")
    return Edited(identity, who, conversation, target, said)


def _reacted(reaction: Fields, identity: Identity, who: Person, at: Conversation) -> Reacted:
    emoji = reaction.text("emoji", MAX_EMOJI_CHARS)
    if not emoji or not emoji.strip():
        raise reaction.missing("emoji")
    target = target_of(reaction, "targetAuthor", "targetSentTimestamp")
    return Reacted(identity, who, at, target, emoji, reaction.flag("isRemove"))


def _said(data: Fields, identity: Identity, who: Person, at: Conversation) -> Said:
    mentions = [mention_of(it) for it in data.parts("mentions", MAX_MENTIONS)]
    return Said(
        identity,
        who,
        at,
        text=data.text("message", MAX_TEXT_CHARS) or "",
        mentions=tuple(it for it in mentions if it is not None),
        notes=tuple(in_lines(data)),
        quote=quoted(data.part("quote")),
        files=tuple(files_of(data)),
        expires_s=data.whole("expiresInSeconds", 0, MAX_TIMER_S) or None,
        view_once=data.flag("viewOnce"),
    )


def _person(envelope: Fields) -> Person:
    aci = aci_of(envelope, "sourceUuid", "source")
    if aci is None:
        raise envelope.missing("sourceUuid")
    number = number_of(envelope, "sourceNumber", "source")
    name = _name(envelope, "sourceName")
    # Attack: a number, in an address book for want of a name, is read by whoever reads the group.
    return Person(aci, number, None if name is None or looks_like_number(name) else name)


def _conversation(data: Fields, who: Person) -> Conversation:
    group = data.part("groupInfo")
    if group is None:
        return Conversation(who.aci, False, None)
    # Attack: words for a group, taken for words to us alone where its id cannot be read.
    id_ = group.text("groupId", MAX_NAME_CHARS)
    if id_ is None or not is_group_id(id_):
        raise Malformed("groupInfo.groupId is no group id")
    return Conversation(id_, True, _name(group, "groupName"))


def _name(part: Fields, name: str) -> str | None:
    return " ".join((part.text(name, MAX_NAME_CHARS) or "").split()) or None
