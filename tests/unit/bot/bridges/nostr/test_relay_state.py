"""How long a relay is left alone, and what its words mean."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.bridges.nostr.relay_state import (
    LONGEST_PAUSE_S,
    WELL_FOR_S,
    Fault,
    Health,
    Pauses,
    State,
    closed,
)


def test_pauses_double_up_to_a_minute_and_never_end() -> None:
    pauses = Pauses()
    found = [pauses.next_s(0, 1) for _ in range(5_000)]
    assert found[:8] == [0.5, 1, 2, 4, 8, 16, 32, 60]
    assert set(found[8:]) == {LONGEST_PAUSE_S}


@given(st.lists(st.floats(0, 1), min_size=1, max_size=30))
def test_a_pause_is_between_half_and_all_of_its_length(dice: list[float]) -> None:
    """Or all who lost a relay at one moment come back to it at one moment."""
    spread, whole = Pauses(), Pauses()
    for one in dice:
        longest_s = whole.next_s(0, 1)
        assert longest_s / 2 <= spread.next_s(0, one) <= longest_s


def test_a_relay_that_served_a_while_begins_anew_and_one_that_did_not_does_not() -> None:
    pauses = Pauses()
    for _ in range(10):
        pauses.next_s(0, 1)
    assert pauses.next_s(WELL_FOR_S - 1, 1) == LONGEST_PAUSE_S
    assert pauses.next_s(WELL_FOR_S, 1) == 0.5


@pytest.mark.parametrize(
    ("said", "state"),
    [
        ("rate-limited: slow down", State.RATE_LIMITED),
        ("restricted: not you", State.REFUSED),
        ("blocked: nobody", State.REFUSED),
        ("error: shutting down", State.REFUSED),
        ("no reason", State.REFUSED),
    ],
)
def test_what_a_closed_means(said: str, state: State) -> None:
    assert closed(said) == Fault(state, said)


def test_a_state_keeps_since_when_it_is() -> None:
    down = Health().to(State.DOWN, "refused", 10)
    assert (down.state, down.since_s) == (State.DOWN, 10)
    assert down.to(State.DOWN, "refused", 20) is down
    other = down.to(State.DOWN, "timeout", 30)
    assert (other.reason, other.since_s) == ("timeout", 10)
    assert other.to(State.LISTENING, "", 40).since_s == 40


def test_it_is_written_as_json() -> None:
    known = json.loads(json.dumps(Health(state=State.RATE_LIMITED, reason="x").to_json()))
    assert known["state"] == "rate-limited"
    assert known["healthy_s"] is None
