"""Pure: the slots of a rule: the seconds at which a task is to run, always ascending.

A slot is named by its unix second, and (task, slot) by one once-key. The next one is asked for by
a second, never by a clock: whoever asks with the last slot, or with now where that is later, gets
no slot twice, however often clocks are set.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import tzinfo

from bot.schedule.cron import Cron
from bot.schedule.wall_clock import reached, shown


@dataclass(frozen=True, slots=True)
class Every:
    """An interval in elapsed time, whatever the wall clock does. Its slots are counted from the
    first one (unix seconds) and not from one another, so that nothing adds up; each is the first
    whole second that is not too early."""

    every_ms: int
    first_s: int


@dataclass(frozen=True, slots=True)
class Once:
    """One moment, in unix seconds."""

    at_s: int


Rule = Cron | Every | Once


def next_slot(rule: Rule, zone: tzinfo, after_s: int) -> int | None:
    """The first slot that is later than a second; None where none is. Only a cron expression goes
    by the clock of `zone`."""
    match rule:
        case Cron():
            return _next_by_clock(rule, zone, after_s)
        case Every(every_ms, first_s):
            if after_s < first_s:
                return first_s
            number = (after_s - first_s) * 1000 // every_ms + 1
            return first_s - (-number * every_ms // 1000)
        case Once(at_s):
            return at_s if at_s > after_s else None


def latest_slot(rule: Rule, zone: tzinfo, slot_s: int, by_s: int) -> int:
    """The last slot that is not later than `by_s`; slot_s: one of them.

    By halving, so that a year of missed minutes costs thirty questions, and not half a million.
    """
    low_s, high_s = slot_s - 1, by_s  # after the first comes a slot in time, after the last none
    while high_s - low_s > 1:
        middle_s = (low_s + high_s) // 2
        found = next_slot(rule, zone, middle_s)
        if found is not None and found <= by_s:
            low_s = middle_s
        else:
            high_s = middle_s
    return low_s + 1


def _next_by_clock(cron: Cron, zone: tzinfo, after_s: int) -> int | None:
    try:
        local = cron.following(shown(zone, after_s))
        while local is not None:
            if (at_s := reached(zone, local)) > after_s:
                return at_s
            local = cron.following(local)  # shown for the second time: it has run
    except OverflowError:  # the last years that a datetime can hold
        pass
    return None
