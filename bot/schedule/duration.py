"""Pure: spans of time as people write them: 15m, 1h30m, 90 seconds, 2 days."""

from __future__ import annotations

import re

from nips.refusal import Malformed

UNITS_MS = {
    "ms": 1, "s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000, "w": 604_800_000,
}  # fmt: skip
_WORDS = {
    "millisecond": "ms", "msec": "ms", "second": "s", "sec": "s", "minute": "m", "min": "m",
    "hour": "h", "hr": "h", "day": "d", "week": "w",
}  # fmt: skip
_MAX_DIGITS = 12
_PART = re.compile(r"([0-9]+)\s*([a-z]+)(?:\s+|\s*,\s*|(?=[0-9])|$)", re.ASCII)


def parse_ms(text: str) -> int:
    """The milliseconds of a span; a unit alone is one of it. Raises Malformed."""
    given = " ".join(text.lower().split())
    if (unit := _unit(given)) is not None:
        return UNITS_MS[unit]
    total_ms, at, seen = 0, 0, set[str]()
    while at < len(given):
        part = _PART.match(given, at)
        unit = _unit(part[2]) if part else None
        if part is None or unit is None or unit in seen or len(part[1]) > _MAX_DIGITS:
            at = 0
            break
        seen.add(unit)
        total_ms += int(part[1]) * UNITS_MS[unit]
        at = part.end()
    if at == 0:
        raise Malformed(f"{text[:40]!r} is no span of time: write 15m, 1h30m, 90s or 2d")
    return total_ms


def written(span_ms: int) -> str:
    """The shortest way to write a span: `1h30m`."""
    said, rest_ms = "", span_ms
    for unit in ("d", "h", "m", "s", "ms"):
        count, rest_ms = divmod(rest_ms, UNITS_MS[unit])
        said += f"{count}{unit}" if count else ""
    return said or "0s"


def _unit(word: str) -> str | None:
    """The unit that a word names; `m` is a minute: a month is no fixed span."""
    return word if word in UNITS_MS else _WORDS.get(word) or _WORDS.get(word.removesuffix("s"))
