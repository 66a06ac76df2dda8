"""Pure: how far an event has got to the outside. Source: PROTOCOL.md "Delivery".

Kind 30078 by the bridge, replaced as things move on:

    ["d", "delivery/<id of the event>"]
    ["i", "<id of a rumor that carries the event>"]                    one for each
    ["wrap", "<wrap's id>", "<recipient's key>"]                       one for each recipient
    ["relay", "wss://relay.example", "ok", "", "1700000000"]           one for each relay
    ["relay", "wss://other.example", "failed", "blocked: no", "1700000003"]
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from nips.event import Event, Tag, Template
from nips.kinds import Kind
from nips.own.fields import hex32, of_kind, only_tag
from nips.refusal import Malformed

D_PREFIX = "delivery/"


class Status(StrEnum):
    """Where one relay stands."""

    OK = "ok"
    PENDING = "pending"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Wrap:
    """A gift wrap that carries the event to one recipient. Both in hex."""

    id: str
    recipient: str


@dataclass(frozen=True, slots=True)
class RelayState:
    """What one relay did at unix second `at`; `reason` is its answer's text."""

    url: str
    status: Status
    reason: str
    at: int


@dataclass(frozen=True, slots=True)
class Delivery:
    """The delivery of the event `event_id` (hex). rumors: the ids by which its recipients know
    it, so that what they say of it can be understood here."""

    event_id: str
    wraps: tuple[Wrap, ...] = ()
    relays: tuple[RelayState, ...] = ()
    rumors: tuple[str, ...] = ()

    @property
    def delivered(self) -> bool:
        """Say whether at least one relay has taken it."""
        return any(relay.status is Status.OK for relay in self.relays)


def template(delivery: Delivery, bridge: str, created_at: int) -> Template:
    """The unsigned event of the bridge (hex)."""
    taken = sum(relay.status is Status.OK for relay in delivery.relays)
    tags: list[Tag] = [("d", D_PREFIX + delivery.event_id)]
    tags += [("i", rumor) for rumor in delivery.rumors]
    tags += [("wrap", wrap.id, wrap.recipient) for wrap in delivery.wraps]
    tags += [
        ("relay", relay.url, str(relay.status), relay.reason, str(relay.at))
        for relay in delivery.relays
    ]
    tags.append(("alt", f"Delivery of an event: {taken} of {len(delivery.relays)} relays"))
    return Template(bridge, created_at, Kind.APP_DATA, tuple(tags), "")


def parse(event: Event | Template) -> Delivery:
    """Read a delivery. Raises Malformed."""
    of_kind("delivery", event, Kind.APP_DATA)
    d = only_tag("delivery", event, "d")
    if not d.startswith(D_PREFIX):
        raise Malformed(f"delivery: d must begin with {D_PREFIX}")
    wraps, relays = [], []
    for tag in event.tags:
        match tag:
            case ("wrap", wrap_id, recipient):
                wraps.append(
                    Wrap(
                        hex32("delivery: a wrap's id", wrap_id),
                        hex32("delivery: a wrap's recipient", recipient),
                    )
                )
            case ("relay", url, "ok" | "pending" | "failed" as status, reason, at) if (
                at.isascii() and at.isdigit() and len(at) <= 16
            ):
                relays.append(RelayState(url, Status(status), reason, int(at)))
            case ("wrap" | "relay", *_):
                raise Malformed(f"delivery: a {tag[0]} tag is incomplete or wrong")
    event_id = hex32("delivery: the event's id", d.removeprefix(D_PREFIX))
    rumors = tuple(hex32("delivery: a rumor's id", value) for value in event.values("i"))
    return Delivery(event_id, tuple(wraps), tuple(relays), rumors)
