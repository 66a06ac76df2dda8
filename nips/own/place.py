"""Pure: how far a reader of the relay has read. Source: PROTOCOL.md "Arrival order".

Kind 30078 by the reader's role key, `["d","place/<reader>"]`, content `{"epoch":"…","seq":42}`,
and `"pending":["<event id>",…]` where there are any. Losing it is harmless: once-keys make what is
read again have no second effect.
"""

from __future__ import annotations

import json
from dataclasses import dataclass

from nips.event import Event, Template
from nips.kinds import Kind
from nips.own.fields import hex32, integer, json_object, known_only, of_kind, only_tag, text
from nips.refusal import Malformed

D_PREFIX = "place/"


@dataclass(frozen=True, slots=True)
class Place:
    """The last arrival number handled, of a store's `epoch`: another epoch means to read all
    again. pending: the ids of what came before it and is not done yet."""

    reader: str
    epoch: str
    seq: int
    pending: tuple[str, ...] = ()

    def content(self) -> str:
        """That of its event."""
        value: dict[str, object] = {"epoch": self.epoch, "seq": self.seq}
        if self.pending:
            value["pending"] = list(self.pending)
        return json.dumps(value, separators=(",", ":"))


def template(place: Place, author: str, created_at: int) -> Template:
    """The unsigned event of the reader's role key (hex)."""
    return Template(
        author,
        created_at,
        Kind.APP_DATA,
        (("d", D_PREFIX + place.reader), ("alt", "How far a reader has read")),
        place.content(),
    )


def parse(event: Event | Template, author: str) -> Place:
    """Read a place that `author` wrote; the caller has verified the signature. Raises
    Malformed."""
    of_kind("place", event, Kind.APP_DATA)
    if event.pubkey != author:
        raise Malformed("place: by another key")
    d = only_tag("place", event, "d")
    if not d.startswith(D_PREFIX) or d == D_PREFIX:
        raise Malformed(f"place: d must be {D_PREFIX} and the reader's name")
    value = json_object("place", event.content)
    known_only("place", value, {"epoch", "seq", "pending"})
    pending = value.get("pending", [])
    if not isinstance(pending, list):
        raise Malformed("place: pending must be a list")
    return Place(
        d.removeprefix(D_PREFIX),
        text("place: epoch", value.get("epoch")),
        integer("place: seq", value.get("seq")),
        tuple(hex32("place: pending", each) for each in pending),
    )
