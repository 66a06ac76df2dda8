"""bot/schedule/misfire.py: what is late or missed; clocks that are set, machines that sleep."""

from __future__ import annotations

from datetime import UTC, datetime
from random import Random
from zoneinfo import ZoneInfo

import pytest

from bot.schedule.cron_text import parse
from bot.schedule.misfire import ON_TIME_S, Pass, Plan, Run, Wait, decide
from bot.schedule.slots import Every, Once, Rule, next_slot
from bot.zones import known_zones
from nips.own.schedule import Misfire
from tests.figures import dice, figure

DAY_S, HOUR_S = 86_400, 3_600
START = int(datetime(2026, 3, 2, 16, tzinfo=UTC).timestamp())
DAILY, HOURLY = parse("0 16 * * *"), Every(HOUR_S * 1000, START)
SKIP, WITHIN_AN_HOUR, WITHIN_A_DAY = Misfire(None), Misfire(HOUR_S), Misfire(DAY_S)


@pytest.mark.parametrize(
    ("rule", "misfire", "late_s", "expected"),
    [
        (DAILY, SKIP, -1, Wait(START)),
        (DAILY, SKIP, 0, Run(START, START + DAY_S, 0)),
        (DAILY, SKIP, ON_TIME_S, Run(START, START + DAY_S, ON_TIME_S)),
        (DAILY, SKIP, ON_TIME_S + 1, Pass(START, START + DAY_S)),
        (DAILY, SKIP, DAY_S, Run(START + DAY_S, START + 2 * DAY_S, 0)),
        (DAILY, WITHIN_AN_HOUR, HOUR_S, Run(START, START + DAY_S, HOUR_S)),
        (DAILY, WITHIN_AN_HOUR, HOUR_S + 1, Pass(START, START + DAY_S)),
        (DAILY, Misfire(0), ON_TIME_S, Run(START, START + DAY_S, ON_TIME_S)),
        # Many that were missed are one run, of the latest.
        (DAILY, WITHIN_A_DAY, 9 * DAY_S + 5, Run(START + 9 * DAY_S, START + 10 * DAY_S, 5)),
        (HOURLY, WITHIN_A_DAY, 36_000, Run(START + 36_000, START + 39_600, 0)),
        (HOURLY, WITHIN_A_DAY, 35_999, Run(START + 32_400, START + 36_000, 3_599)),
        (HOURLY, SKIP, 35_999, Pass(START + 32_400, START + 36_000)),
        (Once(START), WITHIN_A_DAY, DAY_S, Run(START, None, DAY_S)),
        (Once(START), WITHIN_A_DAY, DAY_S + 1, Pass(START, None)),
    ],
)  # fmt: skip
def test_what_is_done(rule: Rule, misfire: Misfire, late_s: int, expected: object) -> None:
    assert decide(Plan(rule, UTC, misfire), START, START + late_s) == expected


@pytest.mark.parametrize(
    ("until", "left", "late_s", "expected"),
    [
        (START, None, 0, Run(START, None, 0)),
        (START + DAY_S - 1, None, 5, Run(START, None, 5)),
        (START + DAY_S, None, 0, Run(START, START + DAY_S, 0)),
        (START + DAY_S, None, 5 * DAY_S, Pass(START + DAY_S, None)),
        (None, 1, 0, Run(START, None, 0)),
        (None, 2, 0, Run(START, START + DAY_S, 0)),
        (None, 1, 12 * HOUR_S, Run(START, None, 12 * HOUR_S)),
        # An end that an edit has put before what is stored.
        (START - 1, None, 0, Run(START, None, 0)),
    ],
)
def test_its_end(until: int | None, left: int | None, late_s: int, expected: object) -> None:
    plan = Plan(DAILY, UTC, WITHIN_A_DAY, until, left)
    assert decide(plan, START, START + late_s) == expected


def test_what_was_passed_over_counts_as_no_run() -> None:
    plan = Plan(DAILY, UTC, SKIP, None, 1)
    assert decide(plan, START, START + HOUR_S) == Pass(START, START + DAY_S)


def test_a_stored_run_that_is_no_slot_any_more_is_one() -> None:
    """The rules of a zone have changed since it was stored."""
    plan = Plan(DAILY, UTC, WITHIN_A_DAY)
    assert decide(plan, START + 900, START + 900) == Run(START + 900, START + DAY_S, 0)


def test_nothing_is_left_where_no_run_is() -> None:
    assert Plan(DAILY, UTC, SKIP, None, 0).next(START) is None
    assert Plan(DAILY, UTC, SKIP, START).next(START) is None
    assert Plan(DAILY, UTC, SKIP, START).next(START - 1) == START


RULES = (
    parse("*/7 * * * *"), parse("30 2 * * *"), parse("0 16 * * 1-5"), parse("5 0-3 * * *"),
    Every(90_500, START), Every(3_600_000, START + 11), Every(5 * DAY_S * 1000, START),
)  # fmt: skip


class Machine:
    """A task on a machine whose clock does what the dice say. Its clock is asked, and never the
    system's."""

    def __init__(self, source: Random, plan: Plan, now_s: int) -> None:
        self.source, self.plan, self.now_s = source, plan, now_s
        self.claimed: list[int] = []
        self.seen: list[tuple[int, int, list[int]]] = []  # from, until, what was claimed then
        self.start_s = self._first()

    def _first(self) -> int:
        start_s = self.plan.next(self.now_s)
        assert start_s is not None
        return start_s

    def look(self) -> list[int]:
        """Do what is due; returns the slots that were claimed."""
        claimed = []
        while not isinstance(verdict := decide(self.plan, self.start_s, self.now_s), Wait):
            assert verdict.slot <= self.now_s
            assert verdict.next is not None
            self.start_s = verdict.next
            if isinstance(verdict, Run):
                claimed.append(verdict.slot)
        self.claimed += claimed
        return claimed

    def run(self, for_s: int) -> None:
        """Nobody touches the clock: it is looked when the next run is due, and a little late."""
        self.look()
        from_s, until_s, claimed = self.now_s, self.now_s + for_s, list[int]()
        while self.start_s <= until_s:
            self.now_s = max(self.now_s, self.start_s) + self.source.choice((0, 0, 1, 5))
            claimed += self.look()
        self.now_s = max(self.now_s, until_s)
        self.seen.append((from_s, until_s, claimed))

    def step(self, by_s: int) -> None:
        """The clock is set, or the machine has slept."""
        self.now_s += by_s


def test_clocks_that_are_set_as_anybody_likes() -> None:
    """0 doubles: clocks put forward and back by up to a day, sleep, over every zone's changes."""
    source = dice("clock-steps")
    zones = sorted(known_zones())
    for _ in range(figure("clock-steps")):
        plan = Plan(
            source.choice(RULES),
            ZoneInfo(source.choice(zones)),
            source.choice((SKIP, WITHIN_AN_HOUR, WITHIN_A_DAY)),
        )
        machine = Machine(source, plan, START + source.randrange(2 * 365 * DAY_S))
        for _ in range(12):
            machine.run(source.randrange(3 * HOUR_S, 3 * DAY_S))
            machine.step(source.choice((DAY_S, -DAY_S, source.randrange(-DAY_S, DAY_S), 0)))
        ascending = sorted(set(machine.claimed))
        assert machine.claimed == ascending
        for slot in machine.claimed:
            assert next_slot(plan.rule, plan.zone, slot - 1) == slot
        _nothing_is_lost(machine)


def _nothing_is_lost(machine: Machine) -> None:
    """While the clock went on by itself every slot was claimed, from what was stored on."""
    for from_s, until_s, claimed in machine.seen:
        if not claimed:
            continue
        expected, slot = [], claimed[0]
        while slot <= until_s:
            expected.append(slot)
            slot = next_slot(machine.plan.rule, machine.plan.zone, slot) or until_s + 1
        assert claimed == expected, (from_s, until_s)


@pytest.mark.parametrize("misfire", [SKIP, WITHIN_A_DAY])
def test_a_machine_that_sleeps_a_night(misfire: Misfire) -> None:
    machine = Machine(Random(7), Plan(HOURLY, UTC, misfire), START - 1)
    machine.run(2 * HOUR_S)
    machine.step(9 * HOUR_S + 1800)
    before = list(machine.claimed)
    woken = machine.look()
    assert len(woken) == (0 if misfire == SKIP else 1)
    machine.run(2 * HOUR_S)
    assert len(machine.claimed) == len(before) + len(woken) + 2


def test_a_clock_that_is_put_forward_and_back_runs_no_slot_again() -> None:
    machine = Machine(Random(7), Plan(DAILY, UTC, WITHIN_A_DAY), START - 10)
    machine.run(60)
    machine.step(DAY_S)
    machine.look()
    machine.step(-DAY_S)
    machine.run(2 * DAY_S)
    assert machine.claimed == [START, START + DAY_S, START + 2 * DAY_S]
