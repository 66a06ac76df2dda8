"""The command line's key on the relay: it asks the router by 24133, and nothing else."""

from __future__ import annotations

import pytest

from nips.filter import Filter
from relay_local.access import may_ask, may_read, may_write
from relay_local.viewer import Viewer
from relay_local.world import World
from tests.unit.relay_local.cast import (
    BOT,
    CONSOLE,
    MAIN,
    NOW,
    OWNER,
    ROUTER,
    SESSION,
    SIGNER,
    event,
    grant_event,
    put_user,
    stage,
)

VIEWERS = (Viewer(), Viewer(frozenset({CONSOLE.public})))
ANSWERS = [Filter(kinds=frozenset({24_133}), tags={"p": frozenset({CONSOLE.public})})]


@pytest.mark.parametrize("viewer", VIEWERS, ids=["unauthenticated", "authenticated"])
def test_it_asks_the_router_and_hears_the_answer(viewer: Viewer) -> None:
    world = stage()
    asked = event(CONSOLE, 24_133, ("p", ROUTER.public))
    assert may_write(world, viewer, asked, NOW) is None
    assert may_ask(world, viewer, ANSWERS) is None


def test_it_reads_nothing_that_is_stored() -> None:
    world, viewer = stage(), VIEWERS[1]
    assert may_ask(world, viewer, [Filter(kinds=frozenset({9}))]) is not None
    for other in (
        event(BOT, 9, ("h", MAIN)),
        event(OWNER, 0, content="{}"),
        event(SIGNER, 30_078, ("d", "owner")),
        grant_event(SESSION),
        event(ROUTER, 43_001, ("h", MAIN)),
    ):
        assert not may_read(world, viewer, other)


def _member() -> World:
    return stage().after(put_user(MAIN, CONSOLE, "admin"), NOW)


@pytest.mark.parametrize("world", [stage(), _member()], ids=["as it is", "a member by mistake"])
@pytest.mark.parametrize("kind", [0, 1, 5, 7, 9, 1059, 9_000, 9_021, 30_078, 43_001, 43_003])
def test_it_writes_nothing_else(world: World, kind: int) -> None:
    """Attack: whoever may use the machine's command line speaks in a conversation by its key."""
    written = event(CONSOLE, kind, ("h", MAIN), ("d", "group/x"))
    assert may_write(world, VIEWERS[1], written, NOW) is not None
    assert not may_read(world, VIEWERS[1], event(BOT, 9, ("h", MAIN)))
