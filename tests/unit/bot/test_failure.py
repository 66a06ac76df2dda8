"""Every way in which an attempt ends has its words."""

from __future__ import annotations

import pytest

from bot.engine.outcome import Exited, Killed, Limits, Outcome, Why
from bot.failure import FINAL, failure_of


@pytest.mark.parametrize("why", Why)
def test_every_limit_has_its_words(why: Why) -> None:
    failure = failure_of(Outcome(Killed(why), "hostile words", 1.0), Limits())
    assert failure.final == (why in FINAL)
    assert failure.final == (why is not Why.ENGINE)
    assert "hostile" not in failure.words
    assert not failure.words.endswith(".")


@pytest.mark.parametrize(
    ("wall_clock_s", "words"),
    [(600, "10 minutes"), (90, "90 seconds"), (150, "2.5 minutes"), (0.5, "0.5 seconds")],
)
def test_the_wall_clock_is_told_in_a_persons_units(wall_clock_s: float, words: str) -> None:
    limits = Limits(wall_clock_s=wall_clock_s)
    failure = failure_of(Outcome(Killed(Why.WALL_CLOCK), "", 1.0), limits)
    assert failure.words == f"the agent ran longer than {words} and was stopped"


@pytest.mark.parametrize(("code", "words"), [(0, "without an end"), (69, "status 69")])
def test_an_exit_is_told(code: int, words: str) -> None:
    failure = failure_of(Outcome(Exited(code), "", 1.0), Limits())
    assert words in failure.words
    assert not failure.final


def test_a_run_that_waited_for_the_signer_to_its_end_is_not_repeated() -> None:
    failure = failure_of(Outcome(Exited(68), "", 1.0), Limits())
    assert "did not answer" in failure.words
    assert failure.final
