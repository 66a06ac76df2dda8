"""The services that these tests ask: the stand-in in each mode, and the real one where it is.

A test has an account of its own, at a service that it shares with others.
"""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path

import httpx
import pytest

from bot.operate.stand_ins.signal_client import JSON_RPC
from bot.operate.stand_ins.signal_service import running
from tests.signal.asking import Asking
from tests.signal.real_service import BINARY, NATIVE, a_real_service

KINDS = ("stand-in", "real") if BINARY else ("stand-in",)
# `native` is `normal` with another program, which the real service looks for in one place only.
NATIVES = [(kind, "native") for kind in KINDS if kind == "stand-in" or NATIVE.exists()]
POLLED = [(kind, "normal") for kind in KINDS]
STREAMED = [(kind, JSON_RPC) for kind in KINDS]
EVERY = POLLED + STREAMED
Which = tuple[str, str]
_numbers = itertools.count(1)


class Services:
    """Each service is started when a test first asks for it."""

    def __init__(self, stack: AsyncExitStack, folder: Path) -> None:
        self._stack, self._folder = stack, folder
        self._started: dict[Which, Asking] = {}

    async def of(self, which: Which) -> Asking:
        """Ask a service, as an account that nobody else has."""
        if which not in self._started:
            self._started[which] = await self.alone(which)
        started = self._started[which]
        service = await started.whole.another(f"+49151{next(_numbers):08}")
        await service.faults()
        return replace(started, service=service)

    async def alone(
        self, which: Which, number: str = "", *, command_timeout_s: int = 120
    ) -> Asking:
        """Ask a service of one's own."""
        kind, mode = which
        if kind == "stand-in":
            started = running(mode, number, command_timeout_s=command_timeout_s)
            whole = await self._stack.enter_async_context(started)
        else:
            folder = self._folder / f"{mode}-{next(_numbers)}"
            folder.mkdir()
            real = a_real_service(folder, mode, number, command_timeout_s=command_timeout_s)
            whole = await self._stack.enter_async_context(real)
        client = httpx.AsyncClient(base_url=whole.url, timeout=20, trust_env=False)
        return Asking(mode, whole, await self._stack.enter_async_context(client), whole)


@pytest.fixture(scope="module")
async def services(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Services]:
    async with AsyncExitStack() as stack:
        yield Services(stack, tmp_path_factory.mktemp("services"))


def named(which: Which) -> str:
    return "-".join(which)


@pytest.fixture(params=EVERY, ids=named)
async def asking(request: pytest.FixtureRequest, services: Services) -> Asking:
    """A service in whatever mode."""
    return await services.of(request.param)


@pytest.fixture(params=POLLED, ids=named)
async def polled(request: pytest.FixtureRequest, services: Services) -> Asking:
    """A service that is asked for what came, and runs a program a request."""
    return await services.of(request.param)


@pytest.fixture(params=STREAMED, ids=named)
async def streamed(request: pytest.FixtureRequest, services: Services) -> Asking:
    """A service whose signal-cli is a daemon."""
    return await services.of(request.param)
