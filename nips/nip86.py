"""Pure: the calls by which a relay is managed over HTTP, and their answers. Source: NIP-86."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import orjson

from nips.refusal import Malformed

MEDIA_TYPE = "application/nostr+json+rpc"


@dataclass(frozen=True, slots=True)
class Call:
    """A method and its parameters, as they were given."""

    method: str
    params: tuple[Any, ...]


def parse(body: bytes) -> Call:
    """Read a request's body. Raises Malformed."""
    try:
        decoded = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise Malformed(f"not JSON: {error}") from error
    match decoded:
        case {"method": str(method), "params": list(params)}:
            return Call(method, tuple(params))
        case {"method": str(method), **rest} if "params" not in rest:
            return Call(method, ())
    raise Malformed("a call is an object of a method's name and an array of params")


def result(value: Any) -> bytes:
    """The answer to a call that succeeded."""
    return orjson.dumps({"result": value})


def failure(sentence: str) -> bytes:
    """The answer to a call that did not."""
    return orjson.dumps({"result": None, "error": sentence})
