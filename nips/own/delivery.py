"""Pure: how far an event has got to the outside. Source: PROTOCOL.md "Delivery".

Kind 30078 by the bridge, replaced as things move on:

    ["d", "delivery/<id of the event>"]
    ["i", "<id by which its recipients know the event>"]               one for each
    ["wrap", "<wrap's id>", "<recipient's key>"]                       one for each recipient
    ["relay", "wss://relay.example", "ok", "", "1700000000"]           one for each relay
    ["relay", "wss://other.example", "failed", "blocked: no", "1700000003"]

Another network than Nostr is one `relay`, called by its name. It may have no way to say again, with
one effect, what may have been said already; so each part of an event says how far it is:

    ["relay", "signal", "pending", "", "1700000000"]
    ["to", "<a conversation's id there>"]  one for each that its parts go to, one after another
    ["sent", "1", "1700000000123"]     part 1 has gone, known there by this time in milliseconds
    ["sending", "2"]                   part 2 was handed over, and no answer to that is known

A part that is `sending` when nobody is sending it, since the bridge was ended, may have gone or
not: its relay is `uncertain`, and nobody says it again.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum

from nips.event import Event, Tag, Template
from nips.kinds import Kind
from nips.own.fields import hex32, of_kind, only_tag
from nips.refusal import Malformed

D_PREFIX = "delivery/"
SIGNAL = "signal"  # the address of that network
_PART = re.compile(r"[1-9][0-9]{0,3}")


class Status(StrEnum):
    """Where one relay stands. UNCERTAIN: it may have been taken or not, and is not sent again."""

    OK = "ok"
    PENDING = "pending"
    FAILED = "failed"
    UNCERTAIN = "uncertain"


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
class Sent:
    """A part of an event, counted from 1, that another network has taken; timestamp_ms: its time
    there, by which it is quoted."""

    part: int
    timestamp_ms: int


@dataclass(frozen=True, slots=True)
class Delivery:
    """The delivery of the event `event_id` (hex). known_as: the ids (hex) by which its recipients
    know it, so that what they say of it can be understood here. to: the conversations of another
    network for which it was meant when it was said, by their ids there. sent, sending: the parts
    that the network has taken, and those that were handed to it without a known answer."""

    event_id: str
    wraps: tuple[Wrap, ...] = ()
    relays: tuple[RelayState, ...] = ()
    known_as: tuple[str, ...] = ()
    to: tuple[str, ...] = ()
    sent: tuple[Sent, ...] = ()
    sending: tuple[int, ...] = ()

    @property
    def delivered(self) -> bool:
        """Say whether at least one relay has taken it."""
        return any(relay.status is Status.OK for relay in self.relays)

    @property
    def is_pending(self) -> bool:
        """Say whether a relay is still to be asked."""
        return any(relay.status is Status.PENDING for relay in self.relays)


def template(delivery: Delivery, bridge: str, created_at: int) -> Template:
    """The unsigned event of the bridge (hex)."""
    taken = sum(relay.status is Status.OK for relay in delivery.relays)
    tags: list[Tag] = [("d", D_PREFIX + delivery.event_id)]
    tags += [("i", name) for name in delivery.known_as]
    tags += [("wrap", wrap.id, wrap.recipient) for wrap in delivery.wraps]
    tags += [
        ("relay", relay.url, str(relay.status), relay.reason, str(relay.at))
        for relay in delivery.relays
    ]
    tags += [("to", conversation) for conversation in delivery.to]
    tags += [("sent", str(one.part), str(one.timestamp_ms)) for one in delivery.sent]
    tags += [("sending", str(part)) for part in delivery.sending]
    tags.append(("alt", f"Delivery of an event: {taken} of {len(delivery.relays)} relays"))
    return Template(bridge, created_at, Kind.APP_DATA, tuple(tags), "")


def parse(event: Event | Template) -> Delivery:
    """Read a delivery. Raises Malformed."""
    of_kind("delivery", event, Kind.APP_DATA)
    d = only_tag("delivery", event, "d")
    if not d.startswith(D_PREFIX):
        raise Malformed(f"delivery: d must begin with {D_PREFIX}")
    wraps, relays, to, sent, sending = [], [], [], [], []
    for tag in event.tags:
        match tag:
            case ("wrap", wrap_id, recipient):
                wraps.append(
                    Wrap(
                        hex32("delivery: a wrap's id", wrap_id),
                        hex32("delivery: a wrap's recipient", recipient),
                    )
                )
            case (
                "relay",
                url,
                "ok" | "pending" | "failed" | "uncertain" as status,
                reason,
                at,
            ) if _is_time(at):
                relays.append(RelayState(url, Status(status), reason, int(at)))
            case ("to", conversation) if conversation:
                to.append(conversation)
            case ("sent", part, timestamp_ms) if _is_part(part) and _is_time(timestamp_ms):
                sent.append(Sent(int(part), int(timestamp_ms)))
            case ("sending", part) if _is_part(part):
                sending.append(int(part))
            case ("wrap" | "relay" | "to" | "sent" | "sending", *_):
                raise Malformed(f"delivery: a {tag[0]} tag is incomplete or wrong")
    parts = [one.part for one in sent] + sending
    if len(set(parts)) != len(parts):
        raise Malformed("delivery: a part is told of twice")
    event_id = hex32("delivery: the event's id", d.removeprefix(D_PREFIX))
    known_as = tuple(hex32("delivery: an id it is known by", id_) for id_ in event.values("i"))
    return Delivery(
        event_id,
        tuple(wraps),
        tuple(relays),
        known_as,
        tuple(to),
        tuple(sent),
        tuple(sending),
    )


def _is_time(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= 16


def _is_part(text: str) -> bool:
    return _PART.fullmatch(text) is not None
