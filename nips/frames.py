"""Pure: the frames between client and relay. Source: NIP-01, 42, 45, 77.

Bytes become values here and values become text; nothing else in the project reads a frame.
A relay's EVENT may carry a fourth element and its EOSE a third, our extension for role keys
(PROTOCOL.md "Arrival order").
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import orjson

from nips.event import Event
from nips.filter import Filter
from nips.key import is_hex
from nips.refusal import Malformed, Refusal

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


def _array(data: str | bytes) -> list[Any]:
    try:
        array = orjson.loads(data)
    except orjson.JSONDecodeError as error:
        raise Malformed(f"not JSON: {error}") from error
    if not isinstance(array, list) or not array or not isinstance(array[0], str):
        raise Malformed("a frame must be a JSON array that begins with its name")
    return array


def _subscription(array: list[Any]) -> str:
    # NIP-01: "<subscription_id> is an arbitrary, non-empty string of max length 64 chars"
    given = array[1] if len(array) > 1 else None
    if not isinstance(given, str) or not 1 <= len(given) <= MAX_SUBSCRIPTION_CHARS:
        raise Malformed(f"a subscription id must be 1 to {MAX_SUBSCRIPTION_CHARS} characters")
    return given


def _hex(value: object) -> bytes:
    # NIP-77: "this wrapper hex-encodes its messages"
    try:
        message = bytes.fromhex(value) if isinstance(value, str) else b""
    except ValueError as error:
        raise Malformed("a negentropy message must be hex digits") from error
    if not isinstance(value, str) or len(value) != 2 * len(message):  # fromhex skips spaces
        raise Malformed("a negentropy message must be hex digits")
    return message


def parse_client(data: str | bytes) -> ClientFrame:
    """Read a client's frame. Raises Malformed; ids and signatures are not verified here."""
    array = _array(data)
    match array[0]:
        case "EVENT" if len(array) == 2:
            return Publish(Event.from_json(array[1]))
        case "REQ" | "COUNT" if len(array) >= 3:
            if len(array) - 2 > MAX_FILTERS:
                raise Malformed(f"a {array[0]} holds at most {MAX_FILTERS} filters")
            filters = tuple(Filter.from_json(f) for f in array[2:])
            return (Req if array[0] == "REQ" else Count)(_subscription(array), filters)
        case "CLOSE" if len(array) == 2:
            return Close(_subscription(array))
        case "AUTH" if len(array) == 2:
            return Authenticate(Event.from_json(array[1]))
        case "NEG-OPEN" if len(array) == 4:
            return NegOpen(_subscription(array), Filter.from_json(array[2]), _hex(array[3]))
        case "NEG-MSG" if len(array) == 3:
            return NegMsg(_subscription(array), _hex(array[2]))
        case "NEG-CLOSE" if len(array) == 2:
            return NegClose(_subscription(array))
        case name:
            raise Malformed(f"unknown or incomplete frame {name[:40]!r}")


def _is_seq(value: int) -> bool:
    return type(value) is int and value >= 0  # JSON's true is an int to a class pattern


def parse_relay(data: str | bytes) -> RelayFrame:
    """Read a relay's frame. Raises Malformed; events are not verified here."""
    match _array(data):
        case ["EVENT", str(sub), event]:
            return Delivered(sub, Event.from_json(event))
        case ["EVENT", str(sub), event, int(seq)] if _is_seq(seq):
            return Delivered(sub, Event.from_json(event), seq)
        case ["OK", event_id, bool(accepted), str(message)] if is_hex(event_id, 32):
            return Ok(event_id, accepted, message)
        case ["EOSE", str(sub)]:
            return Eose(sub)
        case ["EOSE", str(sub), {"epoch": str(epoch), "seq": int(seq)}] if _is_seq(seq):
            return Eose(sub, epoch, seq)
        case ["CLOSED", str(sub), str(message)]:
            return Closed(sub, message)
        case ["NOTICE", str(message)]:
            return Notice(message)
        case ["AUTH", str(challenge)]:
            return Challenge(challenge)
        case ["COUNT", str(query), {"count": int(count)}] if _is_seq(count):
            return Counted(query, count)
        case ["NEG-MSG", str(sub), message]:
            return NegMsg(sub, _hex(message))
        case ["NEG-ERR", str(sub), str(reason)]:
            return NegErr(sub, reason)
        case ["NEG-ERR", str(sub), str(reason), int(most)] if _is_seq(most):
            return NegErr(sub, reason, most)
        case array:
            raise Malformed(f"unknown or incomplete frame {array[0][:40]!r}")


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
