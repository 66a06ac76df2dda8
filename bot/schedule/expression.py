"""Pure: when something is to happen, as people write it.

    0 16 * * 1-5           a cron expression: 16:00 from Monday to Friday, by the zone's clock
    @daily                 the same in short: midnight
    every 15m              an interval of elapsed time, from now on: 15m, 1h30m, 2d
    2026-12-24T18:00       once, by the zone's clock; +01:00 or Z behind it is another clock's
    in 20m                 once, so much later

What cannot be meant is refused with how to write it right.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, tzinfo

from bot.schedule import cron_text, duration
from bot.schedule.cron import Cron
from bot.schedule.slots import Every, Once, Rule
from bot.schedule.wall_clock import reached, shown
from nips.refusal import Malformed

MIN_INTERVAL_MS = 60_000  # for people, unless the house allows less
SHORTEST_INTERVAL_MS = 1_000  # slots are whole seconds
MAX_INTERVAL_MS = 366 * 86_400_000
FIRST_YEAR, LAST_YEAR = 1970, 2999
MAX_AHEAD_S = 100 * 366 * 86_400
FORMS = "0 16 * * 1-5, @daily, every 15m, in 20m or 2026-12-24T18:00"
# ISO 8601 as people write it: date and time in full, `T` or a space between.
_MOMENT = re.compile(
    r"(\d{4}-\d\d-\d\d)(?:[T ](\d\d:\d\d(?::\d\d)?)(?:\.0+)?\s?(Z|[+-]\d\d(?::?\d\d)?)?)?",
    re.ASCII | re.IGNORECASE,
)
_LIKE_A_DATE = re.compile(r"\d{1,4}([-./])\d{1,2}\1\d{1,4}(?!\d)", re.ASCII)
_LIKE_FIELDS = re.compile(r"[@*]|[0-9]\S* \S+ \S+")


def read(text: str, zone: tzinfo, now_s: int, least_ms: int = MIN_INTERVAL_MS) -> Rule:
    """What a person has written. zone: whose wall clock is meant where nothing else is said.
    least_ms: the shortest interval that they may have. Raises Malformed with a sentence."""
    given = " ".join(text.split())
    head, _, rest = given.partition(" ")
    match head.lower():
        case "every":
            _check_no_weekday(rest)
            every_ms = interval_ms(duration.parse_ms(rest), least_ms)
            return Every(every_ms, now_s - (-every_ms // 1000))
        case "in":
            return once(now_s - (-duration.parse_ms(rest) // 1000), zone, now_s)
        case "":
            raise Malformed(f"say when: {FORMS}")
    if _LIKE_A_DATE.match(given):
        return once(moment(given, zone), zone, now_s)
    if _LIKE_FIELDS.match(given):
        return cron_text.parse(given)
    raise Malformed(f"{given[:60]!r} is no time: write {FORMS}")


def interval_ms(every_ms: int, least_ms: int = MIN_INTERVAL_MS) -> int:
    """The same interval. Raises Malformed where it is too short or too long."""
    if every_ms < least_ms:
        raise Malformed(
            f"every {duration.written(every_ms)} is too often: every "
            f"{duration.written(least_ms)} is the least"
        )
    if every_ms > MAX_INTERVAL_MS:
        raise Malformed(
            f"every {duration.written(every_ms)} is too rare for an interval: "
            f"{duration.written(MAX_INTERVAL_MS)} is the most; write a date, or cron fields"
        )
    return every_ms


def moment(text: str, zone: tzinfo) -> int:
    """The unix second of an ISO date and time; without an offset, when the clock of `zone` comes
    to it. Raises Malformed."""
    found = _MOMENT.fullmatch(text)
    example = "2026-12-24T18:00, or 2026-12-24T18:00+01:00"
    if found is None:
        raise Malformed(f"{text[:60]!r} is no date and time: write {example}")
    if found[2] is None:
        raise Malformed(f"{text[:60]!r} does not say at what time: write {found[1]}T18:00")
    try:
        local = datetime.fromisoformat(f"{found[1]}T{found[2]}")
        if not FIRST_YEAR <= local.year <= LAST_YEAR:
            raise Malformed(f"{text[:60]!r} is in no year from {FIRST_YEAR} to {LAST_YEAR}")
        if found[3] is None:
            return reached(zone, local)
        given = datetime.fromisoformat(f"{found[1]}T{found[2]}{found[3].upper()}")
        return int(given.timestamp())
    except (ValueError, OverflowError):
        raise Malformed(f"there is no {text[:60]!r}: write {example}") from None


def once(at_s: int, zone: tzinfo, now_s: int) -> Once:
    """The rule of a moment that is to come. Raises Malformed where it has passed."""
    if at_s - now_s > MAX_AHEAD_S:
        raise Malformed("that is more than a hundred years ahead")
    if at_s <= now_s:
        raise Malformed(
            f"{shown(zone, at_s):%Y-%m-%d %H:%M} has passed; it is now "
            f"{shown(zone, now_s):%Y-%m-%d %H:%M} there: write a time to come"
        )
    return Once(at_s)


def _check_no_weekday(words: str) -> None:
    """Of all that follows `every` a weekday is what people mean most, and a span is what it is."""
    word = words.lower().partition(" ")[0].removesuffix("s")
    for name in cron_text.WEEKDAYS:
        if word == name or (word.startswith(name) and word.endswith("day")):
            raise Malformed(
                f"{words[:40]!r} is no span of time: write 0 9 * * {name} for 9:00 on that weekday"
            )


def written(rule: Rule, text: str = "") -> str:
    """A rule as a person would write it; text: what they wrote, where it is a cron expression."""
    match rule:
        case Cron():
            return " ".join(text.split())
        case Every(every_ms, _):
            return f"every {duration.written(every_ms)}"
        case Once(at_s):
            return datetime.fromtimestamp(at_s, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
