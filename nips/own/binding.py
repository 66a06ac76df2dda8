"""Pure: what a group is bound to: its folder, its people elsewhere, what wakes the assistant.

Source: PROTOCOL.md "Binding". Kind 30078 by the router, `["d","group/<uuid>"]`, content

    {"folder":"main","counterparts":["nostr:<64 hex>"],"trigger":null}
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from nips.event import Event, Template
from nips.kinds import Kind
from nips.own.fields import group_id, hex32, json_object, known_only, of_kind, only_tag, text
from nips.refusal import Malformed

D_PREFIX = "group/"
FOLDER = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")
MAX_COUNTERPARTS = 50
MAX_TRIGGER_CHARS = 200
_COUNTERPART = re.compile(r"([a-z0-9-]{1,32}):(.{1,256})")


@dataclass(frozen=True, slots=True)
class Binding:
    """group: its UUID. folder: the name of its directory, never a path. counterparts: people
    of other networks as `<network>:<stable id>`, the first of them is the one answered by
    default. trigger: a pattern that a message must match; None: every message."""

    group: str
    folder: str
    counterparts: tuple[str, ...] = ()
    trigger: str | None = None

    def to_json(self) -> dict[str, Any]:
        """The object of the event's content."""
        return {
            "folder": self.folder,
            "counterparts": list(self.counterparts),
            "trigger": self.trigger,
        }

    @classmethod
    def from_json(cls, group: str, value: Mapping[str, Any]) -> Binding:
        """Read the content's object. Raises Malformed with the field that is wrong."""
        known_only("binding", value, {"folder", "counterparts", "trigger"})
        folder = text("binding: folder", value.get("folder"))
        # Attack: a folder such as ../../etc becomes a path on the host.
        if not FOLDER.fullmatch(folder):
            raise Malformed("binding: folder must be 1 to 64 of A-Z a-z 0-9 _ -, no _ or - first")
        counterparts = value.get("counterparts", [])
        if not isinstance(counterparts, list) or len(counterparts) > MAX_COUNTERPARTS:
            raise Malformed(f"binding: counterparts must be an array of at most {MAX_COUNTERPARTS}")
        read = tuple(_counterpart(counterpart) for counterpart in counterparts)
        if len(set(read)) != len(read):
            raise Malformed("binding: a counterpart is named twice")
        trigger = value.get("trigger")
        if trigger is not None and len(text("binding: trigger", trigger)) > MAX_TRIGGER_CHARS:
            raise Malformed(f"binding: trigger must be at most {MAX_TRIGGER_CHARS} characters")
        return cls(group_id("binding: group", group), folder, read, trigger)


def template(binding: Binding, router: str, created_at: int) -> Template:
    """The unsigned event of the router (hex)."""
    return Template(
        router,
        created_at,
        Kind.APP_DATA,
        (("d", D_PREFIX + binding.group), ("alt", "What a group is bound to")),
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


def _counterpart(value: object) -> str:
    found = _COUNTERPART.fullmatch(text("binding: a counterpart", value))
    if found is None:
        raise Malformed("binding: a counterpart must be <network>:<stable id>")
    if found[1] == "nostr":
        hex32("binding: a nostr counterpart", found[2])
    return found[0]
