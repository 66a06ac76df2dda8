"""Pure: what the clock on the wall of a zone shows, and when it first shows a time.

The rule for all that is planned by the wall clock, in one sentence: it runs at the first instant at
which the clock has come to its time. So a time that the clock passes over, in spring, runs at the
first instant after; one that comes twice, in autumn, runs the first time. Source: PROTOCOL.md
"Kind 31923".
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, tzinfo

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def shown(zone: tzinfo, at_s: int) -> datetime:
    """What the clock shows at a second (unix), without a zone. Raises OverflowError beyond the
    years that a datetime can hold."""
    at = EPOCH + timedelta(seconds=at_s)
    return at.astimezone(zone).replace(tzinfo=None)


def reached(zone: tzinfo, local: datetime) -> int:
    """The first second (unix) at which the clock shows `local`, which has no zone, or has passed
    over it. Raises OverflowError as `shown` does."""
    # PEP 495: fold=0 is the first of two; of a time that is passed over it counts on from before
    # the change, which is after it, and fold=1 back from behind it, which is before it.
    after_s, before_s = (_unix(zone, local, fold) for fold in (0, 1))
    if shown(zone, after_s) == local:
        return after_s
    while after_s - before_s > 1:
        middle_s = (before_s + after_s) // 2
        if shown(zone, middle_s) >= local:
            after_s = middle_s
        else:
            before_s = middle_s
    return after_s


def is_passed_over(zone: tzinfo, local: datetime) -> bool:
    """Say whether the clock never shows a time."""
    return shown(zone, reached(zone, local)) != local


def comes_twice(zone: tzinfo, local: datetime) -> bool:
    """Say whether the clock shows a time a second time."""
    first_s, second_s = (_unix(zone, local, fold) for fold in (0, 1))
    return second_s > first_s


def _unix(zone: tzinfo, local: datetime, fold: int) -> int:
    offset = zone.utcoffset(local.replace(tzinfo=zone, fold=fold))
    assert offset is not None
    return (local - offset - EPOCH.replace(tzinfo=None)) // timedelta(seconds=1)
