"""Pure: what signal-cli printed, as signal-cli-rest-api reads it.

Source: signal-cli-rest-api, client/cli.go (stripInfoAndWarnMessages), client/client.go;
encoding/json (the words of its errors).
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any


class ServiceError(Exception):
    """What the service says when something failed; tokens: of a rate limit's challenge."""

    def __init__(self, text: str, tokens: Sequence[str] | None = None) -> None:
        super().__init__(text)
        self.tokens = tokens


def without_warnings(output: str) -> str:
    """An output without the lines of its log that are of information or warning; no others."""
    lines = output.split("\n")
    return "\n".join(line for line in lines if not line.startswith(("INFO", "WARN")))


def array(output: str) -> str:
    """An array of which every line of the output is an element, whatever it is."""
    return "[" + ",".join(output.strip("\n").split("\n")) + "]"


def decoded(output: str) -> Any:
    """The JSON of an output, which must hold nothing else. Raises ServiceError."""
    text = output.lstrip()
    try:
        value, end = json.JSONDecoder().raw_decode(text)
    except json.JSONDecodeError as error:
        if not (rest := text[error.pos :]):
            raise ServiceError("unexpected end of JSON input") from None
        at = f"invalid character '{rest[0]}' looking for beginning of value"
        raise ServiceError(at) from None
    if rest := text[end:].strip():
        raise ServiceError(f"invalid character '{rest[0]}' after top-level value")
    return value
