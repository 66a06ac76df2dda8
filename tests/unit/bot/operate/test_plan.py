"""What the supervisor is told, and how long it waits."""

from __future__ import annotations

from bot.operate.plan import Plan, Program, failures_after, pause_s


def test_a_plan_comes_back_from_its_file() -> None:
    plan = Plan((Program("a", ("x", "-y"), "a: ready"),), "logs", "status", (("z",),), "hello")
    assert Plan.from_json(plan.to_json()) == plan


def test_pauses_grow_and_have_an_end() -> None:
    assert [pause_s(n) for n in (1, 2, 3)] == [0.2, 0.4, 0.8]
    assert pause_s(50) == 30.0


def test_a_program_that_lived_long_begins_anew() -> None:
    assert failures_after(7, lived_s=59) == 8
    assert failures_after(7, lived_s=60) == 1
