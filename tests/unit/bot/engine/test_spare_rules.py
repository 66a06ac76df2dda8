"""Which groups have a spare: the ones used last, within a number and the machine's memory."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.engine.outcome import Limits
from bot.engine.spare_rules import Bounds, Kept, Makeup, Plan, fits, plan
from bot.engine.spares import available_memory
from nips.own.backend_name import BUILTIN, BackendName
from nips.own.binding import Binding

MIB = 1 << 20
LIMITS = Limits(memory_bytes=100 * MIB)
BOUNDS = Bounds(most=2, idle_s=900, free_bytes=1_000 * MIB)
PLENTY = 100_000 * MIB
NOW_S = 10_000.0


def makeup(name: str) -> Makeup:
    group = f"00000000-0000-4000-8000-0000000000{ord(name):02d}"
    return Makeup(Binding(group, name, (), "@bot"), LIMITS, (BUILTIN,))


A, B, C = map(makeup, "abc")
WANTED = {one.group: one for one in (A, B, C)}


def kept(one: Makeup, made_s: float = NOW_S - 10) -> Kept:
    return Kept(one, made_s)


def decide(
    there: list[Kept],
    used: dict[Makeup, float],
    available: int | None = PLENTY,
    wanted: dict[str, Makeup] = WANTED,
    bounds: Bounds = BOUNDS,
) -> Plan:
    ago = {one.group: NOW_S - at for one, at in used.items()}
    return plan(there, ago, wanted, bounds, available, NOW_S)


def test_the_group_used_last_gets_one_first() -> None:
    assert decide([], {A: 20, B: 10}) == Plan(make=B)
    assert decide([kept(B)], {A: 20, B: 10}) == Plan(make=A)
    assert decide([kept(A), kept(B)], {A: 20, B: 10}) == Plan()


def test_a_group_that_is_not_in_use_has_none() -> None:
    assert decide([kept(A)], {}) == Plan(end=(A.group,))
    assert decide([kept(A)], {A: 900}) == Plan(end=(A.group,))


def test_there_are_no_more_than_the_number() -> None:
    assert decide([kept(A), kept(B)], {A: 30, B: 20, C: 10}) == Plan((A.group,), C)
    assert decide([], {A: 1}, bounds=replace(BOUNDS, most=0)) == Plan()


def test_short_of_memory_the_group_used_least_lately_loses_its_own() -> None:
    assert decide([kept(A), kept(B)], {A: 20, B: 10}, available=999 * MIB) == Plan((A.group,))
    assert decide([kept(A)], {A: 20, B: 10}, available=1_099 * MIB) == Plan((A.group,))
    assert decide([kept(B)], {A: 20, B: 10}, available=1_099 * MIB) == Plan()
    assert decide([kept(B)], {A: 20, B: 10}, available=1_100 * MIB) == Plan(make=A)
    assert decide([], {A: 20}, available=None) == Plan(make=A)


CHANGES = {
    "folder": replace(A, binding=replace(A.binding, folder="elsewhere")),
    "people": replace(A, binding=replace(A.binding, counterparts=("nostr:" + "aa" * 32,))),
    "limits": replace(A, limits=replace(LIMITS, pids=1)),
    "backends": replace(A, backends=(BackendName("claude", "a-model"), BUILTIN)),
}


@pytest.mark.parametrize("changed", CHANGES.values(), ids=CHANGES)
def test_one_that_was_made_of_something_else_is_replaced_and_never_used(changed: Makeup) -> None:
    wanted = {A.group: changed}
    assert decide([kept(A)], {A: 10}, wanted=wanted) == Plan((A.group,), changed)
    assert not fits(kept(A), changed, BOUNDS, NOW_S)


def test_none_is_used_that_is_dead_too_old_of_another_group_or_of_one_put_away() -> None:
    assert fits(kept(A), A, BOUNDS, NOW_S)
    assert not fits(replace(kept(A), is_alive=False), A, BOUNDS, NOW_S)
    assert not fits(kept(A, NOW_S - 900), A, BOUNDS, NOW_S)
    assert not fits(kept(A), B, BOUNDS, NOW_S)
    assert not fits(kept(A), None, BOUNDS, NOW_S)
    assert decide([kept(A)], {A: 10}, wanted={}) == Plan((A.group,))


@given(
    there=st.sets(st.sampled_from([A, B, C])),
    used=st.dictionaries(st.sampled_from([A, B, C]), st.integers(0, 1_000)),
    allowed=st.sets(st.sampled_from([A, B, C])),
    most=st.integers(0, 3),
    available=st.one_of(st.none(), st.integers(0, 3_000).map(lambda mib: mib * MIB)),
)
def test_carried_out_it_ends_and_keeps_the_bounds(
    there: set[Makeup], used: dict[Makeup, int], allowed: set[Makeup], most: int,
    available: int | None,
) -> None:  # fmt: skip
    now = {one.group: kept(one) for one in there}
    bounds = replace(BOUNDS, most=most)
    for _ in range(20):
        wanted = {one.group: one for one in allowed}
        decided = decide(list(now.values()), dict(used), available, wanted, bounds)
        if decided == Plan():
            break
        for group in decided.end:
            del now[group]
            available = available and available + LIMITS.memory_bytes
        if decided.make is not None:
            assert decided.make.group not in now
            now[decided.make.group] = kept(decided.make)
            available = available and available - LIMITS.memory_bytes
    assert decided == Plan()
    assert len(now) <= most
    assert all(one.makeup in allowed and used[one.makeup] < 900 for one in now.values())


def test_the_systems_word_on_memory_is_read() -> None:
    lines = ["MemTotal:  4014812 kB", "MemFree: 12 kB", "MemAvailable:    1024 kB"]
    assert available_memory(lines) == MIB
    assert available_memory(["MemFree: 12 kB"]) is None
