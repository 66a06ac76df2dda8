"""bot/absence.py: told once when the signer goes, and once when it returns."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.absence import (
    AWAY_AFTER_S,
    LONGEST_HOLD_S,
    REMEMBERED_S,
    Back,
    Blind,
    Gone,
    Instant,
    Phase,
    Refuses,
    Serves,
    Sight,
    Silent,
    Telling,
    Watch,
    after,
    holds_s,
    resumed,
    sentence,
)

PERIOD_S = 10
EPOCH_S = 1_767_225_600  # 2026-01-01
LOCKED = Refuses("the signer is locked; unlock it: nostrclaw key unlock")


def at(steady_s: float) -> Instant:
    return Instant(steady_s, EPOCH_S + int(steady_s))


def look(
    sights: Sequence[Sight], watch: Watch | None = None, start_s: float = 0.0
) -> tuple[Watch, list[tuple[float, Telling]]]:
    """One look every ten seconds; the watch in the end, and what was told when."""
    watch, told = watch or Watch(), []
    for n, sight in enumerate(sights):
        asked_s = start_s + n * PERIOD_S
        answered = isinstance(sight, Serves | Refuses)
        now_s = asked_s if answered else asked_s + PERIOD_S
        watch, telling = after(watch, sight, at(asked_s), at(now_s))
        if telling is not None:
            told.append((now_s, telling))
    return watch, told


def test_one_that_serves_is_nothing_to_tell() -> None:
    assert look([Serves()] * 1_000) == (Watch(), [])


def test_it_is_told_once_within_a_minute_of_its_end() -> None:
    watch, told = look([Serves(), *[Silent()] * 500])
    assert watch.phase is Phase.AWAY
    ((when_s, telling),) = told
    # It may have died right after its last answer, at 0.
    assert when_s <= 60
    assert telling == Gone(EPOCH_S + PERIOD_S, "")


def test_one_that_is_there_and_cannot_serve_is_away_in_its_own_words() -> None:
    watch, told = look([Serves(), *[LOCKED] * 10])
    assert [telling for _, telling in told] == [Gone(EPOCH_S + PERIOD_S, LOCKED.words)]
    assert not watch.serves


def test_a_short_absence_is_nothing_to_tell() -> None:
    n = int(AWAY_AFTER_S // PERIOD_S) - 1
    assert look(([Silent()] * n + [Serves()]) * 50) == (Watch(), [])


def test_its_return_is_told_at_once_with_how_long_it_was_away() -> None:
    watch, told = look([Serves(), *[Silent()] * 60, Serves(), Serves()])
    gone, back = told
    assert gone[1] == Gone(EPOCH_S + 10, "")
    assert back == (610, Back(EPOCH_S + 10, EPOCH_S + 610))
    assert watch.phase is Phase.SERVING


@pytest.mark.parametrize("n_dead", [4, 5, 9])
def test_one_that_comes_and_goes_does_not_flood(n_dead: int) -> None:
    day = 86_400 // PERIOD_S
    cycle: list[Sight] = [*[Silent()] * n_dead, Serves()]
    _, told = look((cycle * day)[:day])
    gone = [telling for _, telling in told if isinstance(telling, Gone)]
    back = [telling for _, telling in told if isinstance(telling, Back)]
    # Believed at first, not again within the hour unless it holds.
    assert len(told) <= 2 * 25
    assert 0 <= len(gone) - len(back) <= 1
    assert {telling.since_s for telling in back} <= {telling.since_s for telling in gone}


def test_a_return_that_holds_is_believed_after_any_number_of_others() -> None:
    steady_s = int(LONGEST_HOLD_S) + 2 * PERIOD_S
    cycle: list[Sight] = [*[Silent()] * 5, *[Serves()] * (steady_s // PERIOD_S)]
    watch, told = look(cycle * 20)
    assert watch.phase is Phase.SERVING
    assert len(told) == 40


def test_an_hour_later_a_return_is_believed_at_once_again() -> None:
    watch, _ = look([*[Silent()] * 5, Serves()])
    later_s = REMEMBERED_S + 1_000
    watch, told = look([*[Silent()] * 5, Serves()], watch, later_s)
    assert [type(telling) for _, telling in told] == [Gone, Back]
    assert told[-1][0] == later_s + 5 * PERIOD_S


def test_without_the_relay_nothing_is_concluded() -> None:
    assert look([Blind()] * 100) == (Watch(), [])
    assert look([Silent(), Blind()] * 100)[1] == []
    away, told = look([*[Silent()] * 5, *[Blind()] * 50])
    assert away.phase is Phase.AWAY
    assert len(told) == 1


def test_a_process_that_is_started_meanwhile_tells_the_return_only() -> None:
    watch, told = look([Silent()] * 20, resumed(at(-1_000)))
    assert told == []
    _, told = look([Serves()], watch, 200)
    assert [telling for _, telling in told] == [Back(EPOCH_S - 1_000, EPOCH_S + 200)]


@given(st.lists(st.sampled_from([Serves(), LOCKED, Silent(), Blind()]), max_size=400))
def test_going_and_returning_are_told_in_turn(sights: list[Sight]) -> None:
    watch, told = look(sights)
    kinds = [type(telling) for _, telling in told]
    assert kinds == [Gone, Back] * (len(kinds) // 2) + [Gone] * (len(kinds) % 2)
    assert (watch.phase in (Phase.AWAY, Phase.RETURNING)) == (len(kinds) % 2 == 1)


def test_each_return_has_to_hold_longer_up_to_a_limit() -> None:
    holds = [holds_s(n) for n in range(12)]
    assert holds[0] == 0
    assert holds == sorted(holds)
    assert holds[-1] == LONGEST_HOLD_S


def test_the_sentences() -> None:
    gone = sentence(Gone(EPOCH_S, ""))
    assert "since 2026-01-01 00:00 UTC" in gone
    assert "waits" in gone
    assert "is locked; unlock it: nostrclaw key unlock. What you" in sentence(
        Gone(EPOCH_S, LOCKED.words + ".")
    )
    back = sentence(Back(EPOCH_S, EPOCH_S + 750))
    assert "away for 12 minutes, from 2026-01-01 00:00 to 2026-01-01 00:12 UTC" in back


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0, "0 seconds"), (1, "1 second"), (119, "119 seconds"), (120, "2 minutes"),
     (7_199, "119 minutes"), (7_200, "2 hours"), (172_800, "2 days")],
)  # fmt: skip
def test_durations_are_in_a_persons_units(seconds: int, words: str) -> None:
    assert f"away for {words}," in sentence(Back(EPOCH_S, EPOCH_S + seconds))


def test_its_words_are_one_line_of_bounded_length() -> None:
    """Attack: what the signer says ends up in a terminal and in a message."""
    words = sentence(Gone(EPOCH_S, "\x1b[2Jx\n" * 1_000))
    assert words.isprintable()
    assert len(words) < 700
