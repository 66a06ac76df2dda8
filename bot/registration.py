"""Pure: how a conversation is registered: which group, which folder, which events say so.

A registration is three events of the router's: 9007 with the group's name, 9000 for the owner and
the assistant, and the binding, which comes last. Without the binding a group is no conversation,
so one that was cut off in between is harmless, and begun again under the same once it goes on
where it stopped. Source: PROTOCOL.md "Registration", NIP-29.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Collection, Iterable
from dataclasses import replace
from difflib import get_close_matches

from bot import address
from bot.groups import MAIN_FOLDER, Group
from nips import nip19
from nips.event import Event, Tag, Template
from nips.kinds import Kind
from nips.nip29 import FLAGS, OPENING_WORDS, GroupRole, create_group
from nips.own import signal_id
from nips.own.binding import FOLDER, Binding
from nips.own.once import once_key
from nips.own.roles import Roles
from nips.refusal import Malformed

MAX_NAME_CHARS = 80
MAX_FOLDER_CHARS = 64
MIN_PREFIX_CHARS = 4  # of a group's id, below which it could be a word
_RUNS = re.compile(r"[^a-z0-9]+")
_COUNTERPART = re.compile(r"[a-z0-9-]{1,32}:.{1,256}")
_NEVER = frozenset({MAIN_FOLDER})


class RegistryError(Exception):
    """What was asked for is not done; the message is a sentence for people, with the remedy."""


class Unclear(RegistryError):
    """A word names no group, or several. near: the names that it may mean."""

    def __init__(self, word: str, near: tuple[str, ...]) -> None:
        self.word, self.near = word, near
        meant = f" Did you mean {' or '.join(near)}?" if near else " See /groups."
        super().__init__(f"There is no one group called {word[:60]!r}.{meant}")


def clean_name(name: str) -> str:
    """A group's name on one line, without what no eye sees. Raises RegistryError when nothing
    is left of it."""
    # Attack: line breaks and direction marks in a name put words of its giver's under ours.
    seen = "".join(ch if ch.isprintable() else " " for ch in name)
    if not (found := " ".join(seen.split())[:MAX_NAME_CHARS].rstrip()):
        raise RegistryError("A group needs a name. Say it in a word or two.")
    return found


def folder_name(name: str, taken: Collection[str]) -> str:
    """A folder for a group of that name: like it, in a-z 0-9 -, and like no other's.

    taken: every folder that a group has or had. Compared without case: there are disks on which
    `A` is `a`, and one group's files would be the other's.
    """
    plain = unicodedata.normalize("NFKD", name.replace("ß", "ss")).encode("ascii", "ignore")
    base = _RUNS.sub("-", plain.decode().casefold()).strip("-")[:MAX_FOLDER_CHARS].strip("-")
    base = base or "group"
    others = _NEVER | {folder.casefold() for folder in taken}
    number, found = 1, base
    while found in others:
        number += 1
        ending = f"-{number}"
        found = base[: MAX_FOLDER_CHARS - len(ending)].rstrip("-") + ending
    return found


def check_folder(folder: str, taken: Collection[str]) -> str:
    """A folder that somebody chose. Raises RegistryError where it cannot be had."""
    if not FOLDER.fullmatch(folder):
        raise RegistryError(
            f"{folder[:60]!r} cannot be a folder. Use 1 to 64 letters, digits, - and _, "
            "a letter or digit first."
        )
    if folder.casefold() in _NEVER | {each.casefold() for each in taken}:
        raise RegistryError(
            f"The folder {folder} is, or was, another group's. Choose another, or restore that "
            "group."
        )
    return folder


def group_id(once: str | None, random: bytes) -> str:
    """A UUID of version 4's form: of `once`, so that asked again it is the same, else of 16
    random bytes."""
    digits = once_key("register", once)[:32] if once is not None else random.hex()
    variant = "89ab"[int(digits[16], 16) % 4]
    whole = f"{digits[:12]}4{digits[13:16]}{variant}{digits[17:32]}"
    return "-".join((whole[:8], whole[8:12], whole[12:16], whole[16:20], whole[20:]))


def counterpart_of(word: str) -> str:
    """Whom a person's word names, as `<network>:<stable id>`.

    Understood: npub1…, nprofile1…, 64 hex digits, each with or without `nostr:`; `signal:` and
    the id of an account or a group there; another network's as it stands. Raises Malformed.
    """
    given = word.strip()
    network, separator, rest = given.partition(":")
    if not separator or network == "nostr":
        return f"nostr:{nip19.public_key_of(given)}"
    if network == signal_id.NETWORK:
        return signal_id.PREFIX + signal_id.typed(rest)
    if not _COUNTERPART.fullmatch(given):
        raise Malformed(f"{given[:60]!r} names nobody; use npub1… or <network>:<id>")
    return given


def opening(group: str, name: str, roles: Roles, now_s: int) -> Template:
    """The 9007 of a group that is shut in every way, with its name."""
    made = create_group(roles.router, group, now_s)
    tags: tuple[Tag, ...] = (*made.tags, ("name", name), *((flag,) for flag in FLAGS))
    return replace(made, tags=tags)


def joining(
    group: Group | None, group_id: str, roles: Roles, owner: str, now_s: int
) -> Template | None:
    """The 9000 for those of owner and assistant who are not in the group; None: both are."""
    wanted = {owner: GroupRole.OWNER, roles.bot: GroupRole.MEMBER}
    people: list[Tag] = [
        ("p", key, role)
        for key, role in wanted.items()
        if group is None or not group.members.get(key)
    ]
    if not people:
        return None
    return Template(roles.router, now_s, Kind.PUT_USER, (("h", group_id), *people), "")


def renaming(group: str, name: str, state: Event | None, roles: Roles, now_s: int) -> Template:
    """The 9002 that changes a group's name alone. state: its 39000, as the relay tells it.

    NIP-29: a 9002 holds "all the fields of group-metadata": what it leaves out is taken away.
    """
    kept = [tag for tag in state.tags if tag[0] in ("about", "picture")] if state else []
    held = {tag[0] for tag in state.tags} if state else set(FLAGS)
    flags = [(flag,) if flag in held else (OPENING_WORDS[flag],) for flag in FLAGS]
    tags: tuple[Tag, ...] = (("h", group), ("name", name), *kept, *flags)
    return Template(roles.router, now_s, Kind.EDIT_METADATA, tags, "")


def why_not_bound(
    counterparts: Collection[str],
    room: bool,
    among: Iterable[Binding],
    group: str,
    roles: Roles,
    owner: str,
) -> str | None:
    """Why these people cannot be bound to `group`; None when they can.

    A person has one direct conversation, and the same people have one room: else nobody could
    say where a message belongs. Those of two networks share none: each bridge knows its own, and
    an answer to one of them would be taken to both. among: every binding there is.
    """
    if len({each.partition(":")[0] for each in counterparts}) > 1:
        return "People of two networks share no conversation. Make one for each network."
    if len(counterparts) > 1 and any(map(signal_id.is_of_group, counterparts)):
        return "A Signal group is a conversation of its own, and has nobody else in it."
    for each in counterparts:
        key = each.removeprefix("nostr:")
        if key == owner and not room and group != roles.main:
            return "You have your own conversation with me: main. Only a room can hold you too."
        if roles.role_of(key) not in (None, "owner") and group != roles.main:
            return "That is a part of the house, and nobody to talk with."
    for other in among:
        if other.group == group or other.archived or other.room != room:
            continue
        same = set(other.counterparts) & set(counterparts)
        if room and set(other.counterparts) == set(counterparts):
            return f"These people have a room already: {other.folder}."
        if not room and same:
            who = address.short(min(same))
            return f"{who} is bound to {other.folder} already. Unbind there first."
    return None


def chosen(word: str, groups: Collection[Group]) -> Group:
    """The group that a word means: its name or folder in any case, or its id's beginning.

    Raises Unclear with what is near, where nothing or more than one thing fits: what is deleted
    must not be somebody else's of the same name.
    """
    plain = word.strip().casefold()
    found = [group for group in groups if plain in _words(group)]
    if not found and len(plain) >= MIN_PREFIX_CHARS:
        found = [group for group in groups if group.id.startswith(plain)]
    if len(found) == 1:
        return found[0]
    if not found:
        words = {each for group in groups for each in _words(group)}
        near = get_close_matches(plain, words, n=3, cutoff=0.5)
        found = [group for each in near for group in groups if each in _words(group)]
    raise Unclear(word, tuple(dict.fromkeys(_clear(group, groups) for group in found)))


def shown(group: Group) -> str:
    """The word by which a group is named to people: its folder."""
    return group.binding.folder if group.binding else group.id[:8]


def _clear(group: Group, groups: Collection[Group]) -> str:
    """A word that finds this group and no other."""
    word = shown(group)
    return word if sum(word.casefold() in _words(each) for each in groups) == 1 else group.id[:8]


def _words(group: Group) -> set[str]:
    found = {group.name.casefold(), group.id}
    if group.binding:
        found.add(group.binding.folder.casefold())
    return found - {""}
