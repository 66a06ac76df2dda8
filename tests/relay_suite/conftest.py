"""The relay that the suite is pointed at: `--relay ws://…`, else ours, open and private."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from nips.key import SecretKey
from tests.relay_process import relay_process
from tests.relay_suite.client import Client, dial, new_key


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--relay", default=None, help="ws:// address of a relay to examine")
    parser.addoption(
        "--relay-key", default=None, help="file of 64 hex digits: the key of a member of it"
    )


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "target" in metafunc.fixturenames:
        given = metafunc.config.getoption("--relay", default=None)
        metafunc.parametrize("target", [given] if given else ["open", "private"], indirect=True)


@dataclass(frozen=True, slots=True)
class Target:
    """A relay, and a key that may read and write there."""

    url: str
    member: SecretKey


@pytest.fixture(scope="session")
async def target(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Target]:
    if "://" in str(request.param):
        file = request.config.getoption("--relay-key", default=None)
        key = SecretKey(bytes.fromhex(Path(file).read_text().strip())) if file else new_key()
        yield Target(str(request.param), key)
        return
    owner = new_key()
    data = tmp_path_factory.mktemp(str(request.param))
    is_open = request.param == "open"
    options = ("--open",) if is_open else ("--owner", owner.public)
    async with relay_process(data, *options) as relay:
        yield Target(relay.url, owner)


@pytest.fixture
async def client(target: Target) -> AsyncIterator[Client]:
    async with dial(target.url, target.member) as client:
        yield client


@pytest.fixture
async def other(target: Target) -> AsyncIterator[Client]:
    """A second connection of the same person."""
    async with dial(target.url, target.member) as client:
        yield client


@pytest.fixture(scope="session")
async def open_relay(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[str]:
    """The address of a relay on which anybody may write: the one given, or one of ours."""
    if given := request.config.getoption("--relay", default=None):
        yield given
        return
    async with relay_process(tmp_path_factory.mktemp("all"), "--open") as relay:
        yield relay.url


@pytest.fixture
async def client_of_open(open_relay: str) -> AsyncIterator[Client]:
    async with dial(open_relay) as client:
        yield client


@pytest.fixture(scope="session")
async def house(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Target]:
    """A private relay of ours; the key is its owner's."""
    owner = new_key()
    data = tmp_path_factory.mktemp("house")
    async with relay_process(data, "--owner", owner.public) as relay:
        yield Target(relay.url, owner)


@pytest.fixture
def me(target: Target) -> SecretKey:
    return target.member
