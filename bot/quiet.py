"""Pure: a group's quiet hours: is it quiet now, and until when.

The rule: it is quiet while the clock on the wall of the zone shows a time from `start` on and
before `end`; over midnight where the end is the earlier. So a change of the clocks needs no
exception: in spring quiet hours end when the clock jumps past their end, in autumn a time that
comes twice counts twice. Source: PROTOCOL.md "Which messages are work".
"""

from __future__ import annotations

from datetime import UTC, datetime, tzinfo

from nips.own.binding import Quiet

DAY_S = 86_400
MAX_CHANGES = 4  # of a zone's offset within one night; more than one has never been


def ends_at_s(quiet: Quiet, zone: tzinfo, now_s: int) -> int | None:
    """The first second (unix) at which it is no longer quiet; None where it is not quiet now.

    zone: the one that `quiet.zone` names.
    """
    start_s, end_s = _of_day(quiet.start), _of_day(quiet.end)
    at_s = now_s
    for _ in range(MAX_CHANGES):
        shown_s, offset_s = _clock(zone, at_s)
        if not _is_between(shown_s, start_s, end_s):
            return None if at_s == now_s else at_s
        expected_s = at_s + (end_s - shown_s) % DAY_S
        if _clock(zone, expected_s)[1] == offset_s:
            return expected_s
        at_s = _change(zone, at_s, expected_s)
    return at_s


def _change(zone: tzinfo, before_s: int, after_s: int) -> int:
    """The first second at which the zone's offset is no longer what it was at `before_s`."""
    offset_s = _clock(zone, before_s)[1]
    while after_s - before_s > 1:
        middle_s = (before_s + after_s) // 2
        if _clock(zone, middle_s)[1] == offset_s:
            before_s = middle_s
        else:
            after_s = middle_s
    return after_s


def _clock(zone: tzinfo, at_s: int) -> tuple[int, int]:
    """What the clock shows, in seconds of the day, and how far it is from UTC."""
    shown = datetime.fromtimestamp(at_s, UTC).astimezone(zone)
    offset = shown.utcoffset()
    assert offset is not None
    return shown.hour * 3600 + shown.minute * 60 + shown.second, int(offset.total_seconds())


def _is_between(shown_s: int, start_s: int, end_s: int) -> bool:
    if start_s < end_s:
        return start_s <= shown_s < end_s
    return shown_s >= start_s or shown_s < end_s


def _of_day(time: str) -> int:
    hours, minutes = time.split(":")
    return int(hours) * 3600 + int(minutes) * 60
