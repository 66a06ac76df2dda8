"""What the relay learns from its own events, and from whose."""

from __future__ import annotations

import pytest

from nips.event import Event
from nips.kinds import Kind
from relay_local.world import World, is_revocation
from tests.unit.relay_local.cast import (
    BRIDGE,
    MAIN,
    MEMBER,
    NOW,
    OTHER,
    OWNER,
    RELAY,
    ROLES,
    ROUTER,
    SESSION,
    SIGNER,
    binding_event,
    event,
    grant_event,
)

EMPTY = World(RELAY.public, ROLES)


def test_a_grant_makes_a_session_until_it_is_revoked() -> None:
    live = EMPTY.after(grant_event(SESSION), NOW)
    assert set(live.sessions) == {SESSION.public}
    renewed = live.after(grant_event(SESSION, OTHER, created_at=NOW + 60), NOW + 60)
    assert renewed.sessions[SESSION.public].group == OTHER
    assert not renewed.after(grant_event(SESSION, revoked=True), NOW + 61).sessions


@pytest.mark.parametrize("author", [OWNER, BRIDGE, SIGNER, MEMBER])
def test_only_the_routers_grants_open_a_socket(author: object) -> None:
    assert EMPTY.after(grant_event(SESSION, author=author), NOW) == EMPTY  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "wrong",
    [
        event(ROUTER, Kind.APP_DATA, ("d", f"grant/{SESSION.public}"), content="{}"),
        event(ROUTER, Kind.APP_DATA, ("d", "grant/"), content=grant_event(SESSION).content),
        event(BRIDGE, Kind.APP_DATA, ("d", f"group/{MAIN}"), content="{}"),
        # Attack: the owner wishes Signal into main, which the router refuses, and its bridge has
        # somebody there who counts as the owner; or wishes nonsense, and nobody is bound any more.
        event(
            OWNER,
            Kind.APP_DATA,
            ("d", f"group/{MAIN}"),
            content=binding_event(MAIN, "signal").content,
        ),
        event(OWNER, Kind.APP_DATA, ("d", f"group/{MAIN}"), content="{}"),
        event(SIGNER, Kind.APP_DATA, ("d", "owner"), ("p", "nobody")),
        event(SIGNER, Kind.APP_DATA, ("d", "owner")),
        event(OWNER, Kind.APP_DATA),
        event(OWNER, 1),
    ],
)
def test_what_says_nothing_changes_nothing(wrong: Event) -> None:
    assert EMPTY.after(wrong, NOW) is EMPTY


def test_sessions_that_ended_are_forgotten() -> None:
    """Their number would grow with every job for as long as the relay runs."""
    world = EMPTY.after(grant_event(SESSION, lasts_s=10), NOW)
    other = grant_event(MEMBER, created_at=NOW + 10)
    assert set(world.after(other, NOW + 9).sessions) == {SESSION.public, MEMBER.public}
    assert set(world.after(other, NOW + 10).sessions) == {MEMBER.public}
    assert not EMPTY.after(grant_event(SESSION, lasts_s=10), NOW + 10).sessions


def test_a_public_relay_learns_nothing() -> None:
    world = World(RELAY.public, public=True)
    assert world.after(event(ROUTER, Kind.CREATE_GROUP, ("h", MAIN)), NOW) is world


def test_a_configured_owner_comes_first() -> None:
    assert World(RELAY.public, ROLES, MEMBER.public).owner == MEMBER.public
    assert EMPTY.owner == OWNER.public
    assert World(RELAY.public).owner is None
    assert World(RELAY.public).parts == frozenset()


def test_revocations() -> None:
    assert is_revocation(grant_event(SESSION, revoked=True))
    assert not is_revocation(grant_event(SESSION))
    assert not is_revocation(event(ROUTER, Kind.APP_DATA, ("d", "grant/x"), content="{}"))
    assert not is_revocation(event(ROUTER, 1))
