"""Pure: envelopes as signal-cli prints them, for whoever plays the people on Signal.

Source: signal-cli 0.14, json/JsonMessageEnvelope.java and those that it holds.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

Json = dict[str, Any]
OBJECT = "\ufffc"  # stands in a text where a mention is


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody on Signal; number: "" where they hide it."""

    aci: str
    name: str = ""
    number: str = ""
    device: int = 1

    def address(self) -> Json:
        """As a group's member."""
        return {"number": self.number or None, "uuid": self.aci}


@dataclass(frozen=True, slots=True)
class Group:
    """A group; id: 32 bytes as base64, as signal-cli writes it."""

    id: str
    name: str = ""
    members: tuple[Person, ...] = ()

    def entry(self) -> Json:
        """As `signal-cli listGroups` prints it."""
        members = [{**person.address(), "isAdmin": False} for person in self.members]
        return {
            "id": self.id, "name": self.name, "description": "", "isMember": True,
            "isBlocked": False, "messageExpirationTime": 0, "members": members,
            "pendingMembers": [], "requestingMembers": [], "admins": [], "banned": [],
            "permissionAddMember": "EVERY_MEMBER", "permissionEditDetails": "EVERY_MEMBER",
            "permissionSendMessage": "EVERY_MEMBER", "groupInviteLink": None,
        }  # fmt: skip


def contact(person: Person) -> Json:
    """A person as `signal-cli listContacts` prints them."""
    given, _, family = person.name.partition(" ")
    return {
        **person.address(), "username": None, "name": "", "givenName": None, "familyName": None,
        "nickName": None, "nickGivenName": None, "nickFamilyName": None, "note": None,
        "color": None, "isArchived": False, "isBlocked": False, "isHidden": False,
        "messageExpirationTime": 0, "profileSharing": True, "unregistered": False,
        "profile": {
            "lastUpdateTimestamp": 0, "givenName": given, "familyName": family or None,
            "about": None, "aboutEmoji": None, "hasAvatar": False, "mobileCoinAddress": None,
        },
    }  # fmt: skip


def envelope(who: Person, at_ms: int, **what: Any) -> Json:
    """An envelope with one message of any kind."""
    return {
        "source": who.number or who.aci,
        "sourceNumber": who.number or None,
        "sourceUuid": who.aci,
        "sourceName": who.name,
        "sourceDevice": who.device,
        "timestamp": at_ms,
        "serverReceivedTimestamp": at_ms + 40,
        "serverDeliveredTimestamp": at_ms + 90,
        **what,
    }


def data(
    at_ms: int, text: str | None, *, group: Group | None = None, expires_s: int = 0, **more: Any
) -> Json:
    """A `dataMessage`. more: quote, mentions, attachments, reaction, remoteDelete, …"""
    where = {} if group is None else {"groupInfo": {
        "groupId": group.id, "groupName": group.name, "revision": 1, "type": "DELIVER",
    }}  # fmt: skip
    return {
        "timestamp": at_ms,
        "message": text,
        "expiresInSeconds": expires_s,
        "isExpirationUpdate": False,
        "viewOnce": False,
        **more,
        **where,
    }


def said(
    who: Person, text: str | None, at_ms: int, *, group: Group | None = None, expires_s: int = 0,
    quote: Json | None = None, mentions: Sequence[Json] = (), attachments: Sequence[Json] = (),
    styles: Sequence[Json] = (),
) -> Json:  # fmt: skip
    """A message, with whatever it carries."""
    given = {
        "quote": quote, "mentions": list(mentions), "attachments": list(attachments),
        "textStyles": list(styles),
    }  # fmt: skip
    more = {name: value for name, value in given.items() if value}
    message = data(at_ms, text, group=group, expires_s=expires_s, **more)
    return envelope(who, at_ms, dataMessage=message)


def quote(author: Person, at_ms: int, text: str | None) -> Json:
    """What a message answers. at_ms: of the quoted one."""
    return {
        "id": at_ms, "author": author.number or author.aci, "authorNumber": author.number or None,
        "authorUuid": author.aci, "text": text, "attachments": [],
    }  # fmt: skip


def mention(person: Person, start: int) -> Json:
    """A mention, of which the text holds U+FFFC. start: in UTF-16 code units."""
    return {
        "name": person.number or person.aci, "number": person.number or None,
        "uuid": person.aci, "start": start, "length": 1,
    }  # fmt: skip


def attachment(id_: str, kind: str, n_bytes: int, name: str | None = None) -> Json:
    """A file that came along. id_: what it is fetched by."""
    return {
        "contentType": kind, "filename": name, "id": id_, "size": n_bytes, "width": None,
        "height": None, "caption": None, "uploadTimestamp": 0,
    }  # fmt: skip


def reacted(
    who: Person, emoji: str, author: Person, target_ms: int, at_ms: int, *,
    group: Group | None = None, remove: bool = False,
) -> Json:  # fmt: skip
    """A reaction, or its end. target_ms: of the message that it is to."""
    reaction = {
        "emoji": emoji, "targetAuthor": author.number or author.aci,
        "targetAuthorNumber": author.number or None, "targetAuthorUuid": author.aci,
        "targetSentTimestamp": target_ms, "isRemove": remove,
    }  # fmt: skip
    message = data(at_ms, None, group=group, reaction=reaction)
    return envelope(who, at_ms, dataMessage=message)


def edited(
    who: Person, text: str, target_ms: int, at_ms: int, *, group: Group | None = None
) -> Json:  # fmt: skip
    """A message put in the place of an earlier one."""
    edit = {"targetSentTimestamp": target_ms, "dataMessage": data(at_ms, text, group=group)}
    return envelope(who, at_ms, editMessage=edit)


def deleted(who: Person, target_ms: int, at_ms: int, *, group: Group | None = None) -> Json:
    """A message taken back for everyone."""
    message = data(at_ms, None, group=group, remoteDelete={"timestamp": target_ms})
    return envelope(who, at_ms, dataMessage=message)


def timer(who: Person, expires_s: int, at_ms: int, *, group: Group | None = None) -> Json:
    """That messages are to disappear from now on; 0: no more."""
    message = data(at_ms, None, group=group, expires_s=expires_s)
    return envelope(who, at_ms, dataMessage={**message, "isExpirationUpdate": True})


def group_update(who: Person, at_ms: int, group: Group) -> Json:
    """That something about a group is different now: its name, its members."""
    message = data(at_ms, None, group=group)
    message["groupInfo"]["type"] = "UPDATE"
    return envelope(who, at_ms, dataMessage=message)


def synced(
    own: Person, text: str, to: Person | Group, at_ms: int
) -> Json:  # fmt: skip
    """What the account's owner wrote on another of their devices."""
    is_group = isinstance(to, Group)
    message = data(at_ms, text, group=to if isinstance(to, Group) else None)
    person = None if isinstance(to, Group) else to
    sent = {
        "destination": None if person is None else person.number or person.aci,
        "destinationNumber": None if person is None else person.number or None,
        "destinationUuid": None if person is None or is_group else person.aci,
        **message,
    }
    return envelope(own, at_ms, syncMessage={"sentMessage": sent})


def read_elsewhere(own: Person, sender: Person, target_ms: int, at_ms: int) -> Json:
    """That the account's owner read a message on another of their devices."""
    read = {
        "sender": sender.number or sender.aci, "senderNumber": sender.number or None,
        "senderUuid": sender.aci, "timestamp": target_ms,
    }  # fmt: skip
    return envelope(own, at_ms, syncMessage={"readMessages": [read]})


def receipt(who: Person, targets_ms: Sequence[int], at_ms: int, kind: str = "read") -> Json:
    """That messages of ours arrived, were read or viewed. kind: "delivery", "read" or "viewed"."""
    return envelope(who, at_ms, receiptMessage={
        "when": at_ms, "isDelivery": kind == "delivery", "isRead": kind == "read",
        "isViewed": kind == "viewed", "timestamps": list(targets_ms),
    })  # fmt: skip


def typing(who: Person, at_ms: int, *, on: bool = True, group: Group | None = None) -> Json:
    """That somebody types, or has stopped."""
    where = {} if group is None else {"groupId": group.id}
    action = "STARTED" if on else "STOPPED"
    return envelope(who, at_ms, typingMessage={"action": action, "timestamp": at_ms, **where})


def called(who: Person, at_ms: int) -> Json:
    """A call."""
    offer = {"id": 1, "type": "AUDIO_CALL", "opaque": "AA=="}
    return envelope(who, at_ms, callMessage={"offerMessage": offer})


def story(who: Person, text: str, at_ms: int) -> Json:
    """A story."""
    shown = {"allowsReplies": True, "textAttachment": {"text": text}}
    return envelope(who, at_ms, storyMessage=shown)


def undecryptable(who: Person, at_ms: int) -> Json:
    """A message that could not be read: an envelope without one. To be pushed as it is."""
    return {
        "envelope": envelope(who, at_ms),
        "exception": {"message": "invalid message", "type": "ProtocolInvalidMessageException"},
    }
