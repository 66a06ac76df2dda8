"""Pure: frames as they come over the wire, read into values. Source: NIP-01, 42, 45, 77.

Nothing else in the project reads a frame. What is read here is well formed and no more: ids and
signatures are for `Event.verify`.
"""

from __future__ import annotations

from typing import Any

import orjson

from nips.event import Event
from nips.filter import Filter
from nips.frames import (
    MAX_FILTERS,
    MAX_SUBSCRIPTION_CHARS,
    Authenticate,
    Challenge,
    ClientFrame,
    Close,
    Closed,
    Count,
    Counted,
    Delivered,
    Eose,
    NegClose,
    NegErr,
    NegMsg,
    NegOpen,
    Notice,
    Ok,
    Publish,
    RelayFrame,
    Req,
)
from nips.key import is_hex
from nips.refusal import Malformed


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
