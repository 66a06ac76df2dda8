"""The model proxy's key on the relay: it reads grants, and nothing else of anybody's."""

from __future__ import annotations

import pytest

from nips.filter import Filter
from relay_local.access import may_ask, may_read, may_write
from relay_local.viewer import Viewer
from tests.unit.relay_local.cast import (
    BOT,
    MAIN,
    MODEL,
    NOW,
    OWNER,
    ROUTER,
    SESSION,
    event,
    grant_event,
    stage,
)

VIEWER = Viewer(frozenset({MODEL.public}))


def test_it_reads_grants() -> None:
    world = stage()
    assert may_read(world, VIEWER, grant_event(SESSION))
    assert may_ask(world, VIEWER, [Filter(kinds=frozenset({30_078}))]) is None


@pytest.mark.parametrize(
    "other",
    [
        event(BOT, 9, ("h", MAIN), content="an answer"),
        event(OWNER, 0, content="{}"),
        event(ROUTER, 30_078, ("d", f"group/{MAIN}")),
        event(OWNER, 1059, ("p", BOT.public)),
        event(ROUTER, 43_001, ("h", MAIN)),
    ],
    ids=lambda one: str(one.kind),
)
def test_it_reads_nothing_else(other: object) -> None:
    assert not may_read(stage(), VIEWER, other)  # type: ignore[arg-type]


@pytest.mark.parametrize("kind", [0, 1, 5, 7, 9, 1059, 30_078, 43_003, 9_000, 9_021])
def test_it_writes_nothing(kind: int) -> None:
    written = event(MODEL, kind, ("h", MAIN), ("d", "grant/x"))
    assert may_write(stage(), VIEWER, written, NOW) is not None
