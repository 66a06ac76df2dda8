"""Pure: who the assistant is: its name, its picture, and what its agents are told to be.

Source: PROTOCOL.md "Persona". Kind 30078 by the router: `["d","persona"]` for everywhere,
`["d","persona/<uuid>"]` for one group, whose fields come before those. The content

    {"name":"Ada","picture":"https://…","text":"You are brief."}

has only what is set.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from nips.event import Event, Tag, Template
from nips.kinds import Kind
from nips.own.fields import group_id, json_object, known_only, of_kind, only_tag, text
from nips.refusal import Malformed

D = "persona"
D_PREFIX = "persona/"
FIELDS = ("name", "picture", "text")
MAX_NAME_CHARS = 40
MAX_PICTURE_CHARS = 500
MAX_TEXT_BYTES = 16 << 10


@dataclass(frozen=True, slots=True)
class Persona:
    """name: what people call it, on one line. picture: an https address. text: the persona
    file, for its agents. None: not set here."""

    name: str | None = None
    picture: str | None = None
    text: str | None = None

    def over(self, other: Persona) -> Persona:
        """This persona, and where it says nothing the other's."""
        mine, theirs = self.to_json(), other.to_json()
        return Persona(**{**theirs, **mine})

    def changed(self, changes: Mapping[str, Any]) -> Persona:
        """With other fields; None takes one away. Raises Malformed, naming what is wrong."""
        known_only("persona", changes, FIELDS)
        return checked(replace(self, **changes))

    @property
    def trigger(self) -> str:
        """What wakes it in a group that has no word of its own; "" where it has no name."""
        return f"@{self.name}" if self.name else ""

    def to_json(self) -> dict[str, str]:
        """The object of the event's content."""
        values = {"name": self.name, "picture": self.picture, "text": self.text}
        return {name: value for name, value in values.items() if value is not None}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Persona:
        """Read the content's object. Raises Malformed."""
        known_only("persona", value, FIELDS)
        return checked(cls(**value))


def checked(persona: Persona) -> Persona:
    """The same persona. Raises Malformed where a field is not what it may be."""
    for field, value in persona.to_json().items():
        text(f"persona: {field}", value)
    if (name := persona.name) is not None:
        # Attack: line breaks, direction marks or an `@` in a name put words of its giver's into
        # ours, or make it look like somebody else.
        is_one_line = all(sign.isprintable() and sign != "@" for sign in name)
        if not 1 <= len(name) <= MAX_NAME_CHARS or name != name.strip() or not is_one_line:
            raise Malformed(
                f"persona: a name has 1 to {MAX_NAME_CHARS} characters on one line, without @"
            )
    if (picture := persona.picture) is not None:
        # Only what clients fetch anyway; never a file: or data: address.
        is_plain = picture.isascii() and picture.isprintable() and " " not in picture
        is_address = picture.startswith("https://") and len(picture) > len("https://")
        if len(picture) > MAX_PICTURE_CHARS or not is_address or not is_plain:
            raise Malformed(
                f"persona: a picture is an https address of at most {MAX_PICTURE_CHARS} characters"
            )
    if persona.text is not None and len(persona.text.encode(errors="replace")) > MAX_TEXT_BYTES:
        raise Malformed(f"persona: its text has at most {MAX_TEXT_BYTES} bytes")
    return persona


def template(persona: Persona, group: str | None, router: str, created_at: int) -> Template:
    """The unsigned event of the router (hex). group: its UUID, or None for everywhere."""
    d = D if group is None else D_PREFIX + group
    tags: tuple[Tag, ...] = (("d", d), ("alt", "Who the assistant is"))
    content = json.dumps(persona.to_json(), separators=(",", ":"), ensure_ascii=False)
    return Template(router, created_at, Kind.APP_DATA, tags, content)


def is_persona(event: Event | Template) -> bool:
    """Say whether a record is one, by its name."""
    d = event.tag("d") or ""
    return event.kind == Kind.APP_DATA and (d == D or d.startswith(D_PREFIX))


def parse(event: Event | Template, router: str) -> tuple[str | None, Persona]:
    """Read a persona whose author is `router`, and of which group it is, None for everywhere;
    the caller has verified the signature. Raises Malformed."""
    of_kind("persona", event, Kind.APP_DATA)
    if event.pubkey != router:
        raise Malformed("persona: not by the router")
    d = only_tag("persona", event, "d")
    if d == D:
        group = None
    elif d.startswith(D_PREFIX):
        group = group_id("persona: d", d.removeprefix(D_PREFIX))
    else:
        raise Malformed(f"persona: d must be {D} or begin with {D_PREFIX}")
    return group, Persona.from_json(json_object("persona", event.content))
