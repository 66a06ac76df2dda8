"""Pure: what a group is bound to, and what holds in it: people, trigger, rules, limits.

Source: PROTOCOL.md "Binding". Kind 30078 by the router, `["d","group/<uuid>"]`, content

    {"folder":"main","counterparts":["nostr:<64 hex>"],"trigger":null}

and whatever of the other fields is not at its default.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal, get_args

from nips.event import Event, Template
from nips.kinds import Kind
from nips.own import backend_name, signal_id
from nips.own.fields import (
    group_id,
    hex32,
    integer,
    json_object,
    known_only,
    of_kind,
    only_tag,
    text,
    zone_name,
)
from nips.own.once import once_key
from nips.refusal import Malformed

D_PREFIX = "group/"
FOLDER = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")
MAX_COUNTERPARTS = 50
MAX_TRIGGER_CHARS = 200
MAX_MUTED = 500
MAX_MODELS = 50
MAX_NAME_CHARS = 200
_COUNTERPART = re.compile(r"([a-z0-9-]{1,32}):(.{1,256})")
_TIME_OF_DAY = re.compile(r"(?:[01][0-9]|2[0-3]):[0-5][0-9]")

Senders = Literal["trusted", "members"]


@dataclass(frozen=True, slots=True)
class Quiet:
    """The hours in which nobody but the owner starts work. start, end: `HH:MM` by the clock of
    `zone` (a name of the IANA database); over midnight where the end is the earlier."""

    start: str
    end: str
    zone: str

    def to_json(self) -> dict[str, Any]:
        """The object of the binding's field."""
        return {"start": self.start, "end": self.end, "zone": self.zone}

    @classmethod
    def from_json(cls, value: object) -> Quiet:
        """Read the field. Raises Malformed; whether there is such a zone, the reader's machine
        knows."""
        given = _object("binding: quiet", value, {"start", "end", "zone"})
        times = [text(f"binding: quiet.{name}", given.get(name)) for name in ("start", "end")]
        if not all(_TIME_OF_DAY.fullmatch(time) for time in times):
            raise Malformed("binding: quiet.start and quiet.end must be times such as 22:00")
        if times[0] == times[1]:
            raise Malformed("binding: quiet hours must end at another time than they start")
        return cls(times[0], times[1], zone_name("binding: quiet.zone", given.get("zone")))


@dataclass(frozen=True, slots=True)
class Budget:
    """What a group may use in a day (UTC); None: no limit of its own. microusd: money in
    millionths of a US dollar."""

    runs: int | None = None
    tokens: int | None = None
    microusd: int | None = None

    def to_json(self) -> dict[str, Any]:
        """The object of the binding's field; what is not limited is left out."""
        values = {"runs": self.runs, "tokens": self.tokens, "microusd": self.microusd}
        return {name: value for name, value in values.items() if value is not None}

    @classmethod
    def from_json(cls, value: object) -> Budget:
        """Read the field. Raises Malformed."""
        given = _object("binding: budget", value, {"runs", "tokens", "microusd"})
        return cls(**{name: integer(f"binding: budget.{name}", given[name]) for name in given})


@dataclass(frozen=True, slots=True)
class Binding:
    """group: its UUID. folder: the name of its directory, never a path. counterparts: people
    of other networks as `<network>:<stable id>`, the first of them is the one answered by
    default; a group of Signal's is the only one. trigger: a word that a message must hold; "":
    `@` and the assistant's name; None: every message.

    room: the counterparts form one NIP-17 room. archived: no messages are taken. paused: they
    are kept and none makes a job. senders: `trusted` (owner, admins, puppets) or every member.
    muted: keys in hex that never wake the assistant. agents: whether other agents may.
    owner_speaks: what the owner types there goes out to its people on Signal too. models:
    names of those its sessions may use, None: as configured. backends: names of what its sessions
    work with, in order of preference (`backend_name`), None: as configured.
    """

    group: str
    folder: str
    counterparts: tuple[str, ...] = ()
    trigger: str | None = None
    room: bool = False
    archived: bool = False
    paused: bool = False
    senders: Senders = "trusted"
    muted: tuple[str, ...] = ()
    agents: bool = False
    owner_speaks: bool = False
    quiet: Quiet | None = None
    models: tuple[str, ...] | None = None
    budget: Budget = Budget()
    backends: tuple[str, ...] | None = None

    def to_json(self) -> dict[str, Any]:
        """The object of the event's content. Only the first three fields stand there at their
        defaults: a binding that uses no other is, byte for byte, what it always was."""
        out: dict[str, Any] = {
            "folder": self.folder,
            "counterparts": list(self.counterparts),
            "trigger": self.trigger,
        }
        out |= {name: True for name in _SWITCHES if getattr(self, name)}
        if self.senders != "trusted":
            out["senders"] = self.senders
        if self.muted:
            out["muted"] = list(self.muted)
        if self.quiet is not None:
            out["quiet"] = self.quiet.to_json()
        if self.models is not None:
            out["models"] = list(self.models)
        if self.budget != Budget():
            out["budget"] = self.budget.to_json()
        if self.backends is not None:
            out["backends"] = list(self.backends)
        return out

    @classmethod
    def from_json(cls, group: str, value: Mapping[str, Any]) -> Binding:
        """Read the content's object. Raises Malformed with the field that is wrong."""
        known_only("binding", value, _READERS.keys())
        if "folder" not in value:
            raise Malformed("binding: folder is missing")
        read = {name: _READERS[name](given) for name, given in value.items()}
        binding = cls(group_id("binding: group", group), **read)
        if binding.room and not all(one.startswith("nostr:") for one in binding.counterparts):
            raise Malformed("binding: a room holds people of Nostr only")
        people = binding.counterparts
        if len(people) > 1 and any(map(signal_id.is_of_group, people)):
            raise Malformed("binding: a group of Signal's is a conversation's one counterpart")
        return binding


def template(binding: Binding, router: str, created_at: int, prev: str | None = None) -> Template:
    """The unsigned event of the router (hex). prev: the id of the event that it replaces; the
    relay refuses it when another one has taken that one's place."""
    tags = (("d", D_PREFIX + binding.group), ("alt", "What a group is bound to"))
    return Template(
        router,
        created_at,
        Kind.APP_DATA,
        tags if prev is None else (*tags, ("prev", prev)),
        json.dumps(binding.to_json(), separators=(",", ":"), ensure_ascii=False),
    )


def parse(event: Event | Template, router: str) -> Binding:
    """Read a binding whose author is `router`; the caller has verified the signature.
    Raises Malformed."""
    of_kind("binding", event, Kind.APP_DATA)
    if event.pubkey != router:
        raise Malformed("binding: not by the router")
    d = only_tag("binding", event, "d")
    if not d.startswith(D_PREFIX):
        raise Malformed(f"binding: d must begin with {D_PREFIX}")
    return Binding.from_json(d.removeprefix(D_PREFIX), json_object("binding", event.content))


def mark(group: str, counterpart: str) -> str:
    """How a puppet's membership (9000, `for`) says whom it stands for: to whoever knows that
    person's id already, and to nobody else who reads the group. Unlike in two groups."""
    return once_key("for", group, counterpart)


def checked(binding: Binding) -> Binding:
    """The same binding, if `parse` would take it. Raises Malformed with the field that is wrong:
    for one that was changed in memory, before it is signed."""
    return Binding.from_json(binding.group, binding.to_json())


def _folder(value: object) -> str:
    # Attack: a folder such as ../../etc becomes a path on the host.
    if not FOLDER.fullmatch(folder := text("binding: folder", value)):
        raise Malformed("binding: folder must be 1 to 64 of A-Z a-z 0-9 _ -, no _ or - first")
    return folder


def _counterpart(value: object) -> str:
    found = _COUNTERPART.fullmatch(text("binding: a counterpart", value))
    if found is None:
        raise Malformed("binding: a counterpart must be <network>:<stable id>")
    if found[1] == "nostr":
        hex32("binding: a nostr counterpart", found[2])
    if found[1] == signal_id.NETWORK:
        signal_id.checked("binding: a signal counterpart", found[2])
    return found[0]


def _trigger(value: object) -> str | None:
    if value is None:
        return None
    trigger = text("binding: trigger", value)
    if len(trigger) > MAX_TRIGGER_CHARS:
        raise Malformed(f"binding: trigger must be at most {MAX_TRIGGER_CHARS} characters")
    if trigger != trigger.strip() or not trigger.isprintable():
        raise Malformed("binding: trigger must be of visible characters, without space around it")
    return trigger


def _senders(value: object) -> Senders:
    if value not in get_args(Senders):
        raise Malformed('binding: senders must be "trusted" or "members"')
    return "members" if value == "members" else "trusted"


def _model(value: object) -> str:
    name = text("binding: a model", value)
    if not 1 <= len(name) <= MAX_NAME_CHARS or not name.isprintable():
        raise Malformed(f"binding: a model's name must be 1 to {MAX_NAME_CHARS} characters")
    return name


def _backends(value: object) -> tuple[str, ...]:
    read = _each("backends", lambda one: str(backend_name.parse(one)), backend_name.MAX_BACKENDS)
    return read(value)


def _switch(name: str) -> Callable[[object], bool]:
    def read(value: object) -> bool:
        if not isinstance(value, bool):
            raise Malformed(f"binding: {name} must be true or false")
        return value

    return read


def _each(
    name: str, read: Callable[[object], str], most: int
) -> Callable[[object], tuple[str, ...]]:
    def read_all(value: object) -> tuple[str, ...]:
        if not isinstance(value, list) or len(value) > most:
            raise Malformed(f"binding: {name} must be an array of at most {most}")
        found = tuple(read(one) for one in value)
        if len(set(found)) != len(found):
            raise Malformed(f"binding: {name} names one twice")
        return found

    return read_all


def _object(what: str, value: object, known: set[str]) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise Malformed(f"{what} must be an object")
    known_only(what, value, known)
    return value


_SWITCHES: Final = ("room", "archived", "paused", "agents", "owner_speaks")
_READERS: Final[Mapping[str, Callable[[Any], Any]]] = {
    "folder": _folder,
    "counterparts": _each("counterparts", _counterpart, MAX_COUNTERPARTS),
    "trigger": _trigger,
    **{name: _switch(name) for name in _SWITCHES},
    "senders": _senders,
    "muted": _each("muted", lambda key: hex32("binding: a muted key", key), MAX_MUTED),
    "quiet": lambda value: None if value is None else Quiet.from_json(value),
    "models": lambda value: None if value is None else _each("models", _model, MAX_MODELS)(value),
    "budget": Budget.from_json,
    "backends": lambda value: None if value is None else _backends(value),
}
