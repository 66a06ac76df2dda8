"""A run's time: the model is told once when it is nearly over, and those who watch are."""

from __future__ import annotations

import asyncio

import pytest

from agent_image.agent.allowance import Allowance
from agent_image.agent.backends import Answer


class Clock:
    """Time that the test makes pass."""

    def __init__(self) -> None:
        self.now_s = 50.0

    def __call__(self) -> float:
        return self.now_s


@pytest.mark.parametrize(("after_s", "warns"), [(0, False), (79.9, False), (80, True), (130, True)])
def test_the_model_is_told_when_a_fifth_is_left(after_s: float, warns: bool) -> None:
    clock = Clock()
    allowance = Allowance(100, clock)
    clock.now_s += after_s
    assert bool(allowance.warning()) == warns


def test_it_is_told_once_with_the_seconds_that_are_left() -> None:
    clock = Clock()
    allowance = Allowance(100, clock)
    clock.now_s += 85
    assert "15 seconds are left" in allowance.warning()
    assert allowance.warning() == ""


async def test_those_who_watch_are_told() -> None:
    said: list[str] = []
    async with asyncio.timeout(10):
        await Allowance(0.05).tell(said.append)
    assert len(said) == 1
    assert "nearly over" in said[0]


def test_only_a_model_gets_the_warning() -> None:
    answer = Answer(True, "exit code 0", "[hurry]")
    assert answer.text == "exit code 0"
    assert answer.for_model == "exit code 0\n\n[hurry]"
    assert Answer(True, "exit code 0").for_model == "exit code 0"
