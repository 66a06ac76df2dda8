"""Pure: what a provider says that a call has cost, read from its answer as it passes.

A body of JSON holds `usage`; a stream of server-sent events holds it in some of its events, the
later ones with larger numbers. Nothing here is trusted to be well-formed: what cannot be read
tells nothing, and the reservation then stands.
Source: Anthropic "Messages", "Streaming messages"; OpenAI "Chat completions" (`usage`,
`stream_options.include_usage`); WHATWG HTML 9.2 "Server-sent events".
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import orjson

MAX_BODY_BYTES = 16 * 2**20  # of a body kept to read its usage
MAX_LINE_BYTES = 2**20
MAX_TOKENS = 10**12


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens. `fresh`: read and not from a cache; `cached`: read from one; `written`: put into
    one for five minutes, which costs a quarter more than fresh ones; `out`: made; `kept`: put into
    one for an hour, which costs twice as much as fresh ones."""

    fresh: int = 0
    cached: int = 0
    written: int = 0
    out: int = 0
    kept: int = 0

    @property
    def tokens(self) -> int:
        """All of them."""
        return self.read + self.out

    @property
    def read(self) -> int:
        """All but those that were made."""
        return self.fresh + self.cached + self.written + self.kept


def of_json(value: object) -> Usage | None:
    """The usage that an answer, or one event of a stream, tells of; None when it does not."""
    if not isinstance(value, dict):
        return None
    given = value.get("usage")
    if given is None and isinstance(message := value.get("message"), dict):
        given = message.get("usage")  # Anthropic's message_start
    if not isinstance(given, dict):
        return None
    if "prompt_tokens" in given or "completion_tokens" in given:
        details = given.get("prompt_tokens_details")
        cached = _count(details.get("cached_tokens")) if isinstance(details, dict) else 0
        read = _count(given.get("prompt_tokens"))
        made = _count(given.get("completion_tokens"))
        return Usage(max(0, read - cached), min(cached, read), 0, made)
    written = _count(given.get("cache_creation_input_tokens"))
    by_time = given.get("cache_creation")
    kept = _count(by_time.get("ephemeral_1h_input_tokens")) if isinstance(by_time, dict) else 0
    kept = min(kept, written)  # of all that was written
    return Usage(
        _count(given.get("input_tokens")),
        _count(given.get("cache_read_input_tokens")),
        written - kept,
        _count(given.get("output_tokens")),
        kept,
    )


class UsageReader:
    """Reads a passing answer; `complete` says whether its end was seen as well."""

    def __init__(self, *, is_stream: bool) -> None:
        self._is_stream = is_stream
        self._kept = bytearray()
        self._skipping = False
        self.usage: Usage | None = None
        self.complete = False

    def feed(self, chunk: bytes) -> None:
        """Take the next bytes."""
        if not self._is_stream:
            if len(self._kept) + len(chunk) <= MAX_BODY_BYTES:
                self._kept += chunk
            else:
                self._skipping = True
            return
        self._kept += chunk
        while (end := self._kept.find(b"\n")) >= 0:
            line = bytes(self._kept[:end])
            del self._kept[: end + 1]
            if self._skipping:
                self._skipping = False
            else:
                self._line(line.rstrip(b"\r"))
        if len(self._kept) > MAX_LINE_BYTES:
            # Attack: an endless line that fills the memory. It tells us nothing, then.
            self._kept.clear()
            self._skipping = True

    def finish(self) -> None:
        """The answer has come to its end."""
        if self._is_stream:
            if self._kept and not self._skipping:
                self._line(bytes(self._kept))
            return
        if not self._skipping:
            self._see(_decoded(bytes(self._kept)))
            self.complete = self.usage is not None

    def _line(self, line: bytes) -> None:
        if not line.startswith(b"data:"):
            return
        data = line[5:].strip()
        if data == b"[DONE]":
            self.complete = True
        elif b"usage" in data or b"message_stop" in data:  # most events tell of neither
            self._see(_decoded(data))

    def _see(self, value: object) -> None:
        if isinstance(value, dict) and value.get("type") == "message_stop":
            self.complete = True
        if (seen := of_json(value)) is None:
            return
        known = self.usage or Usage()
        # Each event repeats or raises what was said before; output counts are cumulative.
        self.usage = Usage(
            max(known.fresh, seen.fresh),
            max(known.cached, seen.cached),
            max(known.written, seen.written),
            max(known.out, seen.out),
            max(known.kept, seen.kept),
        )


def _decoded(data: bytes) -> Any:
    try:
        return orjson.loads(data)
    except orjson.JSONDecodeError:
        return None


def _count(value: object) -> int:
    return value if type(value) is int and 0 <= value <= MAX_TOKENS else 0
