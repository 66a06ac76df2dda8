"""Relays for the tests: a whole house, and a public one, each on sockets of its own."""

from __future__ import annotations

import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from relay_local.relay import RelaySettings, RunningRelay, running
from tests.unit.relay_local.cast import RELAY, ROLES


@pytest.fixture
def short() -> Iterator[Path]:
    """A folder whose path is short enough for sockets."""
    with tempfile.TemporaryDirectory(prefix="nc", dir="/tmp") as folder:
        yield Path(folder)


@pytest.fixture
def settings(tmp_path: Path, short: Path) -> RelaySettings:
    """A house's relay."""
    return RelaySettings(
        tmp_path / "relay", RELAY, unix=short / "relay.sock", roles=ROLES, sessions=short / "s"
    )


@pytest.fixture
async def relay(settings: RelaySettings) -> AsyncIterator[RunningRelay]:
    """A house's relay, running in this process."""
    async with running(settings) as relay:
        yield relay


@pytest.fixture
async def public(tmp_path: Path) -> AsyncIterator[RunningRelay]:
    """A relay for everybody."""
    async with running(RelaySettings(tmp_path / "public", RELAY, public=True)) as relay:
        yield relay
