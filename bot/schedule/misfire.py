"""Pure: a task's next run is stored; the clock shows a time: what is to be done.

    the slot is still to come                       Wait
    it is due, or was missed and is made up for     Run, of the latest slot; the others before it
                                                    are passed over: many missed ones are one run
    it was missed, and is not made up for           Pass

A slot is on time for `ON_TIME_S`. Clocks may be set as they like: one that is put back a day is
waited for, one put forward is a day of missed slots. What is claimed is later than all before it.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import tzinfo

from bot.schedule.slots import Rule, latest_slot, next_slot
from nips.own.schedule import Misfire

ON_TIME_S = 60  # as long as a busy machine may take to come to it


@dataclass(frozen=True, slots=True)
class Plan:
    """What a task goes by. zone: whose clock. until: the last second at which it may run. left:
    runs that are left. None: no such end."""

    rule: Rule
    zone: tzinfo
    misfire: Misfire
    until: int | None = None
    left: int | None = None

    def next(self, after_s: int) -> int | None:
        """The first slot later than a second, None where it has ended by then."""
        if self.left == 0:
            return None
        slot = next_slot(self.rule, self.zone, after_s)
        return None if slot is None or (self.until is not None and slot > self.until) else slot


@dataclass(frozen=True, slots=True)
class Wait:
    """Nothing is due before that second."""

    until_s: int


@dataclass(frozen=True, slots=True)
class Run:
    """Claim this slot. next: the one to be stored, None where it was the last run. late_s: how
    late it is."""

    slot: int
    next: int | None
    late_s: int


@dataclass(frozen=True, slots=True)
class Pass:
    """Run nothing: the slot, and those before it, are too old. next: as in Run."""

    slot: int
    next: int | None


Verdict = Wait | Run | Pass


def decide(plan: Plan, start_s: int, now_s: int) -> Verdict:
    """start_s: the slot that is stored as the next run."""
    if now_s < start_s:
        return Wait(start_s)
    by_s = now_s if plan.until is None else min(now_s, max(plan.until, start_s))
    slot = latest_slot(plan.rule, plan.zone, start_s, by_s)
    late_s = now_s - slot
    window_s = max(ON_TIME_S, plan.misfire.window_s or 0)
    if late_s > window_s:
        return Pass(slot, plan.next(slot))
    left = None if plan.left is None else plan.left - 1
    return Run(slot, Plan(plan.rule, plan.zone, plan.misfire, plan.until, left).next(slot), late_s)
