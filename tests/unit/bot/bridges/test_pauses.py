"""Pauses that grow."""

from bot.bridges.nostr.outgoing import FIRST_PAUSE_S, LONGEST_PAUSE_S
from bot.bridges.pauses import pause_s


def test_pauses_double_to_the_longest_and_stay_there() -> None:
    assert [pause_s(n, 5, 600) for n in range(4)] == [5, 10, 20, 40]
    assert pause_s(7, 5, 600) == pause_s(10_000, 5, 600) == 600
    assert pause_s(0, 5, 1) == 1


def test_what_is_on_its_way_is_offered_again_after_seconds_and_then_every_ten_minutes() -> None:
    pauses = [pause_s(n, FIRST_PAUSE_S, LONGEST_PAUSE_S) for n in range(10)]
    assert (pauses[0], pauses[-1]) == (5, 600)
