"""signer/clock.py: time that never goes back."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from signer.clock import SLACK_S, Reading, read, start

WALL = 1_800_000_000.0


def test_time_is_the_walls_at_first() -> None:
    assert read(start(0, 50), WALL, 50) == (Reading(WALL, 50), None)


def test_a_wall_clock_set_back_while_running_fails_closed() -> None:
    now, _ = read(start(0, 50), WALL, 50)
    now, went_back = read(now, WALL - 3_600, 60)
    assert now.now_s == WALL + 10  # the monotonic clock counts on: grants still end
    assert went_back is not None
    assert went_back.by_s == 3_610


def test_a_wall_clock_set_back_over_a_restart_fails_closed() -> None:
    now, went_back = read(start(WALL, 3), WALL - 100, 3)
    assert now.now_s == WALL
    assert went_back is not None


def test_it_serves_again_when_the_clock_is_right() -> None:
    now, _ = read(start(WALL, 3), WALL - 100, 3)
    _, went_back = read(now, WALL + 1, 4)
    assert went_back is None


def test_a_time_servers_correction_is_within_the_slack() -> None:
    now, _ = read(start(0, 0), WALL, 0)
    now, went_back = read(now, WALL - SLACK_S, 0)
    assert went_back is None
    assert now.now_s == WALL


@given(
    st.lists(st.tuples(st.floats(0, 4e9), st.floats(0, 1e6)), max_size=20),
    st.floats(0, 4e9),
)
def test_it_never_goes_back(steps: list[tuple[float, float]], high_water_s: float) -> None:
    now = start(high_water_s, 0)
    monotonic_s = 0.0
    for wall_s, passed_s in steps:
        monotonic_s += passed_s
        later, went_back = read(now, wall_s, monotonic_s)
        assert later.now_s >= now.now_s + passed_s * 0.999999
        assert later.now_s >= wall_s
        assert (went_back is not None) == (wall_s < now.now_s + passed_s - SLACK_S) or abs(
            wall_s - (now.now_s + passed_s - SLACK_S)
        ) < 1e-3
        now = later
