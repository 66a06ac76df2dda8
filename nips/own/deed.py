"""Pure: what an agent may ask the owner for: one step each, most of them to the bot's own.

Source: PROTOCOL.md "Question". As JSON objects, told apart by `do`:

    {"do":"register","name":"Family","counterparts":["nostr:<hex>"],"trigger":""}
    {"do":"change","group":"<uuid>","fields":{"trigger":null,"agents":true}}
    {"do":"rename","group":"<uuid>","name":"Friends"}
    {"do":"bind","group":"<uuid>","counterpart":"nostr:<hex>"}
    {"do":"unbind","group":"<uuid>","counterpart":"nostr:<hex>"}
    {"do":"hear","group":"<uuid>","words":"Shall I book it?"}

The fields of a change are those of a binding, `null` for its default (of `trigger`: every message).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from nips.own.binding import MAX_NAME_CHARS, Binding
from nips.own.fields import group_id, known_only, text
from nips.refusal import Malformed

# What an agent may change of a binding. Its folder, its people and whether it is archived are not
# fields like the others: they are changed by steps of their own, or by the owner alone.
FIELDS = frozenset(
    {
        "trigger", "senders", "muted", "agents", "owner_speaks", "quiet", "models", "budget",
        "paused", "backends",
    }
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Register:
    """Make a conversation. counterparts: `<network>:<stable id>`; trigger: as in a binding."""

    name: str
    counterparts: tuple[str, ...] = ()
    trigger: str | None = ""


@dataclass(frozen=True, slots=True)
class Change:
    """Change fields of a group's binding, given as JSON has them."""

    group: str
    fields: Mapping[str, Any]

    def of(self, binding: Binding) -> Binding:
        """The binding with these fields. Raises Malformed, naming the one that is wrong."""
        value = {**binding.to_json(), **self.fields}
        kept = {k: v for k, v in value.items() if v is not None or k == "trigger"}
        return Binding.from_json(binding.group, kept)


@dataclass(frozen=True, slots=True)
class Rename:
    """Call a group otherwise."""

    group: str
    name: str


@dataclass(frozen=True, slots=True)
class Bind:
    """Let somebody of another network belong to a group."""

    group: str
    counterpart: str


@dataclass(frozen=True, slots=True)
class Unbind:
    """Let somebody belong to it no more."""

    group: str
    counterpart: str


@dataclass(frozen=True, slots=True)
class Hear:
    """Have the group's agent hear the answer to a question in its own words, and nothing else.

    yes: what the answer is. A question is kept without it: a yes and a no do the same deed.
    """

    group: str
    words: str
    yes: bool = True


RuleDeed = Register | Change | Rename | Bind | Unbind
Deed = RuleDeed | Hear
_NAMES: Mapping[type[Deed], str] = {
    Register: "register",
    Change: "change",
    Rename: "rename",
    Bind: "bind",
    Unbind: "unbind",
    Hear: "hear",
}


def to_json(deed: Deed) -> dict[str, Any]:
    """The object that says it."""
    values = {name: getattr(deed, name) for name in deed.__slots__ if name != "yes"}
    plain = {
        name: list(value) if isinstance(value, tuple) else value for name, value in values.items()
    }
    return {"do": _NAMES[type(deed)], **plain}


def from_json(value: object) -> Deed:
    """Read an object. Raises Malformed."""
    if not isinstance(value, Mapping):
        raise Malformed("deed: must be a JSON object")
    name = text("deed: do", value.get("do"))
    rest = {key: given for key, given in value.items() if key != "do"}
    match name:
        case "register":
            return _register(rest)
        case "change":
            known_only("deed", rest, {"group", "fields"})
            return change(group_id("deed: group", rest.get("group")), rest.get("fields"))
        case "rename":
            known_only("deed", rest, {"group", "name"})
            return Rename(group_id("deed: group", rest.get("group")), _name(rest))
        case "hear":
            known_only("deed", rest, {"group", "words"})
            group = group_id("deed: group", rest.get("group"))
            return Hear(group, text("deed: words", rest.get("words")))
        case "bind" | "unbind":
            known_only("deed", rest, {"group", "counterpart"})
            group = group_id("deed: group", rest.get("group"))
            person = text("deed: counterpart", rest.get("counterpart"))
            return Bind(group, person) if name == "bind" else Unbind(group, person)
        case _:
            raise Malformed(f"deed: there is none called {name[:40]!r}")


def change(group: str, fields: object) -> Change:
    """Read the fields of a change. Raises Malformed; whether the values fit, `Change.of` says."""
    if not isinstance(fields, Mapping) or not fields:
        raise Malformed("deed: fields must be a JSON object that names what changes")
    known_only("deed: fields", fields, FIELDS)
    return Change(group, dict(fields))


def _register(value: Mapping[str, Any]) -> Register:
    known_only("deed", value, {"name", "counterparts", "trigger"})
    people = value.get("counterparts", [])
    if not isinstance(people, list):
        raise Malformed("deed: counterparts must be an array")
    trigger = value.get("trigger", "")
    return Register(
        _name(value),
        tuple(text("deed: a counterpart", person) for person in people),
        None if trigger is None else text("deed: trigger", trigger),
    )


def _name(value: Mapping[str, Any]) -> str:
    name = text("deed: name", value.get("name"))
    if not 1 <= len(name) <= MAX_NAME_CHARS:
        raise Malformed(f"deed: a name has 1 to {MAX_NAME_CHARS} characters")
    return name
