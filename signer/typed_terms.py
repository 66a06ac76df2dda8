"""Pure: what a person types for an invitation: kinds, times, rates.

    1,30023,30-40      kinds
    90s 30m 8h 2d      a time
    10/h 1/m 200/d     a rate: so many at once, refilled evenly over that time

Each reader raises Malformed with a sentence that says what would be right.
"""

from __future__ import annotations

import re

from nips.event import MAX_KIND
from nips.kinds import Kind
from nips.own.grant import MAX_RULES, Rate
from nips.refusal import Malformed
from signer.ceiling import NEVER_FOR_SESSIONS, ONLY_ASKED, Ceiling

MAX_CAPACITY = 100_000
_UNITS_S = {"s": 1, "m": 60, "h": 3_600, "d": 86_400}
_KINDS = re.compile(r"([0-9]{1,6})(?:-([0-9]{1,6}))?")
_TIME = re.compile(r"([0-9]{1,9})\s*([smhd])")
_RATE = re.compile(r"([0-9]{1,9})\s*/\s*([smhd])")


def kinds(typed: str) -> tuple[int, ...]:
    """Kinds and ranges between commas, each once, ascending."""
    found: set[int] = set()
    for part in (part.strip() for part in typed.split(",")):
        match = _KINDS.fullmatch(part)
        if match is None:
            raise Malformed(f"--kinds: {part!r} is no kind; type them as 1,30023 or 30-40")
        first, last = int(match[1]), int(match[2] or match[1])
        if not first <= last <= MAX_KIND:
            raise Malformed(f"--kinds: {part!r}: kinds go from 0 to {MAX_KIND}, ranges upwards")
        if last - first >= MAX_RULES:
            raise Malformed(f"--kinds: {part!r} has more than {MAX_RULES} kinds; name fewer")
        found.update(range(first, last + 1))
    if len(found) > MAX_RULES:
        raise Malformed(f"--kinds: a login has at most {MAX_RULES} kinds, not {len(found)}")
    return tuple(sorted(found))


def seconds(typed: str) -> int:
    """A time of at least a second."""
    match = _TIME.fullmatch(typed.strip())
    if match is None or int(match[1]) == 0:
        raise Malformed(f"--ttl: {typed!r} is no time; type it as 30m, 8h or 2d")
    return int(match[1]) * _UNITS_S[match[2]]


def rate(typed: str) -> Rate:
    """A token bucket: `10/h` is 10 at once and 10 more over each hour."""
    match = _RATE.fullmatch(typed.strip())
    if match is None or not 1 <= int(match[1]) <= MAX_CAPACITY:
        raise Malformed(f"--rate: {typed!r} is no rate; type it as 10/h, 1/m or 200/d")
    return Rate(int(match[1]), int(match[1]) / _UNITS_S[match[2]])


def within(
    ceiling: Ceiling, wanted: tuple[int, ...], ttl_s: int, *, publishes: bool = False
) -> None:
    """Refuse what the ceiling would not let happen: better now than when it is relied on."""
    if ttl_s > ceiling.bunker_longest_ttl_s:
        raise Malformed(
            f"--ttl: a login lasts at most {shown(ceiling.bunker_longest_ttl_s)}; that is "
            "bunker_longest_ttl_s in the signer's ceiling.toml"
        )
    for kind in wanted:
        if kind in NEVER_FOR_SESSIONS:
            raise Malformed(f"--kinds: kind {kind} is never signed for a login")
        if publishes and kind == Kind.DELETION and ceiling.may_be_asked(kind):
            continue  # its owner is asked each time
        if kind in ONLY_ASKED:
            raise Malformed(
                f"--kinds: kind {kind} is not signed for a login: it needs your yes each time; "
                "ask the bot for it in its main conversation"
            )
        if kind not in ceiling.kinds_of_logins:
            raise Malformed(
                f"--kinds: kind {kind} is above the ceiling; add it to bunker_kinds in the "
                "signer's ceiling.toml and restart the signer"
            )


def shown(span_s: float) -> str:
    """A time as a person types it, in the largest unit that has no fraction."""
    whole = max(0, round(span_s))
    for unit in ("d", "h", "m"):
        if whole and whole % _UNITS_S[unit] == 0:
            return f"{whole // _UNITS_S[unit]}{unit}"
    return f"{whole}s"


def shown_rate(given: Rate) -> str:
    """A rate as a person types it."""
    for unit, unit_s in _UNITS_S.items():
        if round(given.per_s * unit_s, 6) == given.capacity:
            return f"{given.capacity}/{unit}"
    return f"{given.capacity}, {given.per_s:g}/s"
