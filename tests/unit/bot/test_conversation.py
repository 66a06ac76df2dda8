"""The machine of one group: every line of its table, and every line that is not there."""

from __future__ import annotations

import pytest

from bot.conversation import TABLE, Conversation, Effect, OutOfTurn, Phase, Signal

JOBS = {phase: () if phase is Phase.IDLE else ("a",) for phase in Phase}


def test_one_job_from_arrival_to_end() -> None:
    now, effects = Conversation().on(Signal.ARRIVED, "a")
    assert (now, effects) == (Conversation(Phase.QUEUED, ("a",)), [Effect.ASK])
    now, effects = now.on(Signal.PLACED)
    assert (now, effects) == (Conversation(Phase.RUNNING, ("a",)), [Effect.START])
    now, effects = now.on(Signal.ENDED)
    assert (now, effects) == (Conversation(), [Effect.RELEASE])


def test_the_next_job_stands_in_line_again() -> None:
    now, effects = Conversation(Phase.RUNNING, ("a", "b", "c")).on(Signal.ENDED)
    assert now == Conversation(Phase.QUEUED, ("b", "c"))
    assert effects == [Effect.RELEASE, Effect.ASK]


def test_a_failed_job_keeps_its_turn_and_gives_up_its_place() -> None:
    now, effects = Conversation(Phase.RUNNING, ("a", "b")).on(Signal.FAILED)
    assert (now, effects) == (Conversation(Phase.PAUSED, ("a", "b")), [Effect.RELEASE])
    now, effects = now.on(Signal.ARRIVED, "c")
    assert (now, effects) == (Conversation(Phase.PAUSED, ("a", "b", "c")), [])
    now, effects = now.on(Signal.WOKEN)
    assert (now, effects) == (Conversation(Phase.QUEUED, ("a", "b", "c")), [Effect.ASK])


def test_a_job_that_is_called_off_leaves_the_line() -> None:
    now, effects = Conversation(Phase.QUEUED, ("a",)).on(Signal.CALLED_OFF, "a")
    assert (now, effects) == (Conversation(), [Effect.LEAVE])
    now, effects = Conversation(Phase.QUEUED, ("a", "b")).on(Signal.CALLED_OFF, "a")
    assert (now, effects) == (Conversation(Phase.QUEUED, ("b",)), [Effect.LEAVE, Effect.ASK])
    now, effects = Conversation(Phase.PAUSED, ("a", "b")).on(Signal.CALLED_OFF, "a")
    assert (now, effects) == (Conversation(Phase.QUEUED, ("b",)), [Effect.ASK])


def test_the_job_under_way_keeps_its_place_until_it_has_ended() -> None:
    now, effects = Conversation(Phase.RUNNING, ("a", "b")).on(Signal.CALLED_OFF, "a")
    assert (now, effects) == (Conversation(Phase.STOPPING, ("a", "b")), [Effect.STOP])
    now, effects = now.on(Signal.CALLED_OFF, "a")
    assert effects == []
    now, effects = now.on(Signal.ENDED)
    assert (now, effects) == (Conversation(Phase.QUEUED, ("b",)), [Effect.RELEASE, Effect.ASK])


@pytest.mark.parametrize("phase", [phase for phase in Phase if phase is not Phase.IDLE])
def test_a_job_whose_turn_it_is_not_goes_alone(phase: Phase) -> None:
    before = Conversation(phase, ("a", "b", "c"))
    assert before.on(Signal.CALLED_OFF, "b") == (Conversation(phase, ("a", "c")), [])
    with pytest.raises(OutOfTurn):
        before.on(Signal.CALLED_OFF, "d")


@pytest.mark.parametrize("phase", Phase)
@pytest.mark.parametrize("signal", Signal)
def test_every_line_there_is_and_none_that_is_not(phase: Phase, signal: Signal) -> None:
    before = Conversation(phase, JOBS[phase])
    if (phase, signal) not in TABLE:
        with pytest.raises(OutOfTurn, match=f"{signal.name} while {phase.name}"):
            before.on(signal, "b")
        return
    after, _ = before.on(signal, "a" if signal is Signal.CALLED_OFF else "b")
    assert (after.phase is Phase.IDLE) == (after.jobs == ())
