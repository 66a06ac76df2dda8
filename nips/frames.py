"""Pure: the frames between client and relay. Source: NIP-01, 42, 45, 77.

Values become text here; `frame_parser.py` is the way back. A relay's EVENT may carry a fourth
element and its EOSE a third, our extension for role keys (PROTOCOL.md "Arrival order").
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import orjson

from nips.event import Event
from nips.filter import Filter
from nips.refusal import Refusal

MAX_SUBSCRIPTION_CHARS = 64
MAX_FILTERS = 20


# From client to relay


@dataclass(frozen=True, slots=True)
class Publish:
    """`["EVENT", event]`."""

    event: Event


@dataclass(frozen=True, slots=True)
class Req:
    """`["REQ", id, filter, …]`."""

    subscription: str
    filters: tuple[Filter, ...]


@dataclass(frozen=True, slots=True)
class Close:
    """`["CLOSE", id]`."""

    subscription: str


@dataclass(frozen=True, slots=True)
class Authenticate:
    """`["AUTH", event]` of kind 22242."""

    event: Event


@dataclass(frozen=True, slots=True)
class Count:
    """`["COUNT", id, filter, …]`."""

    query: str
    filters: tuple[Filter, ...]


@dataclass(frozen=True, slots=True)
class NegOpen:
    """`["NEG-OPEN", id, filter, message in hex]`."""

    subscription: str
    filter: Filter
    message: bytes


@dataclass(frozen=True, slots=True)
class NegMsg:
    """`["NEG-MSG", id, message in hex]`, in both directions."""

    subscription: str
    message: bytes


@dataclass(frozen=True, slots=True)
class NegClose:
    """`["NEG-CLOSE", id]`."""

    subscription: str


ClientFrame = Publish | Req | Close | Authenticate | Count | NegOpen | NegMsg | NegClose


# From relay to client


@dataclass(frozen=True, slots=True)
class Delivered:
    """`["EVENT", id, event]`, with the arrival number for role keys."""

    subscription: str
    event: Event
    seq: int | None = None


@dataclass(frozen=True, slots=True)
class Ok:
    """`["OK", event id, accepted, message]`."""

    event_id: str
    accepted: bool
    message: str = ""

    @property
    def refusal(self) -> Refusal | None:
        """Why it was refused; None when it was accepted."""
        return None if self.accepted else Refusal.parse(self.message)


@dataclass(frozen=True, slots=True)
class Eose:
    """`["EOSE", id]`; for role keys with the store's epoch and its last arrival number."""

    subscription: str
    epoch: str | None = None
    seq: int | None = None


@dataclass(frozen=True, slots=True)
class Closed:
    """`["CLOSED", id, message]`."""

    subscription: str
    message: str

    @property
    def refusal(self) -> Refusal:
        """Why the subscription ended."""
        return Refusal.parse(self.message)


@dataclass(frozen=True, slots=True)
class Notice:
    """`["NOTICE", message]`, for people."""

    message: str


@dataclass(frozen=True, slots=True)
class Challenge:
    """`["AUTH", challenge]`."""

    challenge: str


@dataclass(frozen=True, slots=True)
class Counted:
    """`["COUNT", id, {"count": n}]`."""

    query: str
    count: int


@dataclass(frozen=True, slots=True)
class NegErr:
    """`["NEG-ERR", id, reason]`, with the most records a query may have where it had more."""

    subscription: str
    reason: str
    most: int | None = None


RelayFrame = Delivered | Ok | Eose | Closed | Notice | Challenge | Counted | NegMsg | NegErr


def encode(frame: ClientFrame | RelayFrame) -> str:
    """Render a frame as the text of one message."""
    array: list[Any]
    match frame:
        case Publish(event):
            array = ["EVENT", event.to_json()]
        case Req(sub, filters):
            array = ["REQ", sub, *(f.to_json() for f in filters)]
        case Close(sub):
            array = ["CLOSE", sub]
        case Authenticate(event):
            array = ["AUTH", event.to_json()]
        case Delivered(sub, event, None):
            array = ["EVENT", sub, event.to_json()]
        case Delivered(sub, event, seq):
            array = ["EVENT", sub, event.to_json(), seq]
        case Ok(event_id, accepted, message):
            array = ["OK", event_id, accepted, message]
        case Eose(sub, None, _):
            array = ["EOSE", sub]
        case Eose(sub, epoch, seq):
            array = ["EOSE", sub, {"epoch": epoch, "seq": seq}]
        case Closed(sub, message):
            array = ["CLOSED", sub, message]
        case Notice(message):
            array = ["NOTICE", message]
        case Challenge(challenge):
            array = ["AUTH", challenge]
        case _:
            array = _counting_or_syncing(frame)
    return orjson.dumps(array).decode()


def _counting_or_syncing(
    frame: Count | Counted | NegOpen | NegMsg | NegClose | NegErr,
) -> list[Any]:
    match frame:
        case Count(query, filters):
            return ["COUNT", query, *(f.to_json() for f in filters)]
        case Counted(query, count):
            return ["COUNT", query, {"count": count}]
        case NegOpen(sub, one, message):
            return ["NEG-OPEN", sub, one.to_json(), message.hex()]
        case NegMsg(sub, message):
            return ["NEG-MSG", sub, message.hex()]
        case NegClose(sub):
            return ["NEG-CLOSE", sub]
        case NegErr(sub, reason, None):
            return ["NEG-ERR", sub, reason]
        case NegErr(sub, reason, most):
            return ["NEG-ERR", sub, reason, most]
