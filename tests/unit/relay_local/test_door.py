"""What strangers and agents are refused before it costs others anything."""

from __future__ import annotations

import pytest

from nips.event import Event
from nips.key import SecretKey
from nips.kinds import Kind
from nips.refusal import Prefix
from relay_local.access import Scope, scope_of
from relay_local.door import (
    MAX_LIVE_VALUES,
    MAX_STRANGER_CHARS,
    MAX_STRANGER_VALUES,
    STRANGER_BURST,
    Door,
    too_many_values,
)
from relay_local.pacing import Meter
from relay_local.viewer import Viewer
from relay_local.world import World
from tests.unit.relay_local.cast import (
    BRIDGE,
    CHAT,
    JOB,
    MAIN,
    MEMBER,
    NOW,
    OWNER,
    RELAY,
    ROUTER,
    SESSION,
    SIGNER,
    STRANGER,
    WORLD,
    as_,
    event,
    grant_event,
    inside,
)

REQUEST = event(STRANGER, Kind.REQUEST, ("p", SIGNER.public))
PROGRESS = event(SESSION, Kind.JOB_PROGRESS, ("h", MAIN), ("e", JOB), ("status", "running"))


def outcome(
    door: Door, viewer: Viewer, given: Event, *, n_chars: int = 500, at: int = NOW,
    world: World = WORLD,
) -> Prefix | None:  # fmt: skip
    refusal = door.objection(given, n_chars, world, viewer, scope_of(world, viewer), at)
    return refusal.prefix if refusal else None


@pytest.mark.parametrize("viewer", [Viewer(), as_(STRANGER), as_(SESSION)])
def test_a_strangers_requests_are_few(viewer: Viewer) -> None:
    """A key can be made in no time: whoever shows one is a stranger still."""
    door = Door(Meter(1_000, 0))
    taken = [outcome(door, viewer, REQUEST) for _ in range(STRANGER_BURST + 10)]
    assert taken == [None] * STRANGER_BURST + [Prefix.RATE_LIMITED] * 10
    assert outcome(door, viewer, REQUEST, at=NOW + 1) is None


def test_strangers_share_what_they_may_ask() -> None:
    """Attack: a flood over many connections."""
    shared = Meter(100, 0)
    taken = [outcome(Door(shared), Viewer(), REQUEST) for _ in range(200)]
    assert taken.count(None) == 100


def test_a_strangers_request_is_short() -> None:
    door = Door(Meter(10, 0))
    assert outcome(door, Viewer(), REQUEST, n_chars=MAX_STRANGER_CHARS) is None
    assert outcome(door, Viewer(), REQUEST, n_chars=MAX_STRANGER_CHARS + 1) is Prefix.INVALID


@pytest.mark.parametrize(
    ("viewer", "prefix"), [(Viewer(), Prefix.AUTH_REQUIRED), (as_(STRANGER), Prefix.RESTRICTED)]
)
def test_what_a_stranger_may_not_write_is_refused_before_it_is_queued(
    viewer: Viewer, prefix: Prefix
) -> None:
    """Attack: signatures to check and a queue to fill, for nothing."""
    door = Door(Meter(10, 0))
    assert outcome(door, viewer, event(STRANGER, 1)) is prefix


def test_a_session_is_counted_over_its_connections() -> None:
    shared = Meter(100, 0)
    agent = inside(SESSION)
    taken = [outcome(Door(shared), agent, PROGRESS) for _ in range(60)]
    taken += [
        outcome(Door(shared), agent, event(SESSION, Kind.REQUEST, ("p", SIGNER.public)))
        for _ in range(60)
    ]
    assert taken == [None] * 100 + [Prefix.RATE_LIMITED] * 20


def test_a_sessions_request_may_be_long() -> None:
    asking = event(SESSION, Kind.REQUEST, ("p", SIGNER.public))
    assert outcome(Door(Meter(10, 0)), inside(SESSION), asking, n_chars=1 << 20) is None


def test_a_revoked_session_is_refused_at_the_door() -> None:
    world = WORLD.after(grant_event(SESSION, revoked=True, created_at=NOW + 1), NOW)
    door = Door(Meter(10, 0))
    assert outcome(door, inside(SESSION), PROGRESS, world=world) is Prefix.RESTRICTED


@pytest.mark.parametrize("key", [OWNER, MEMBER, ROUTER, SIGNER, BRIDGE, CHAT])
def test_people_and_parts_are_not_counted(key: SecretKey) -> None:
    door = Door(Meter(1, 0))
    assert all(outcome(door, as_(key), REQUEST, n_chars=1 << 20) is None for _ in range(300))


def test_a_public_relay_counts_nobody() -> None:
    door = Door(Meter(1, 0))
    world = World(RELAY.public, public=True)
    assert all(outcome(door, Viewer(), REQUEST, world=world) is None for _ in range(300))


def test_live_filters_hold_so_many_values() -> None:
    """Attack: filters of nothing but values, kept in memory for as long as one likes."""
    nobody, member = Scope(), Scope(profiles=True)
    assert too_many_values(MAX_STRANGER_VALUES, nobody) is None
    assert too_many_values(MAX_STRANGER_VALUES + 1, nobody) is not None
    assert too_many_values(MAX_LIVE_VALUES, member) is None
    assert too_many_values(MAX_LIVE_VALUES + 1, member) is not None
