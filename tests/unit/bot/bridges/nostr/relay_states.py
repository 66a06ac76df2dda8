"""Shell: how the bridge says that its public relays are doing, watched as it says it."""

from __future__ import annotations

import asyncio
import json
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from nips.filter import Filter
from nips.kinds import Kind
from relay_local.client import Delivery
from tests.unit.bot.bridges.nostr.stage import Stage

# A bridge that looks at its relays so often notices in seconds what takes minutes otherwise.
QUICK = {
    "probe_s": 0.5, "probe_deadline_s": 2.0, "echo_s": 1.5, "echo_deadline_s": 2.0,
    "reread_s": 5.0, "page_deadline_s": 4.0,
}  # fmt: skip


@dataclass(slots=True)
class RelayStates:
    """What the bridge's health event says of each relay, and every state that it has shown."""

    latest: dict[str, dict[str, Any]] = field(default_factory=dict)
    shown: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    _change: asyncio.Event = field(default_factory=asyncio.Event)

    def hear(self, relays: dict[str, dict[str, Any]]) -> None:
        """Take one version."""
        self.latest = relays
        for url, told in relays.items():
            if self.shown[url][-1:] != [told["state"]]:
                self.shown[url].append(told["state"])
        self._change.set()
        self._change = asyncio.Event()

    async def until(
        self, url: str, holds: Callable[[dict[str, Any]], bool], timeout_s: float = 60.0
    ) -> float:
        """Wait until this holds of what is said of a relay; returns how long it took, in s."""
        began = time.monotonic()
        try:
            async with asyncio.timeout(timeout_s):
                while not holds(self.latest.get(url, {})):
                    await self._change.wait()
        except TimeoutError:
            raise AssertionError(
                f"not in {timeout_s:g} s: {self.latest.get(url)}, after {self.shown[url]}"
            ) from None
        return time.monotonic() - began

    async def listening(self, url: str, timeout_s: float = 60.0) -> float:
        """Wait until a relay is well."""
        return await self.until(url, lambda told: told.get("state") == "listening", timeout_s)


@asynccontextmanager
async def relay_states(stage: Stage) -> AsyncIterator[RelayStates]:
    """Watch for the length of a block."""
    states = RelayStates()
    wanted = Filter(
        authors=frozenset({stage.roles.bridges["nostr"]}),
        kinds=frozenset({int(Kind.APP_DATA)}),
        tags={"d": frozenset({"health"})},
    )

    async def watch() -> None:
        async with stage.link.subscribe([wanted]) as stream:
            async for item in stream:
                if isinstance(item, Delivery):
                    states.hear(json.loads(item.event.content)["relays"])

    watching = asyncio.create_task(watch())
    try:
        yield states
    finally:
        watching.cancel()
        await asyncio.gather(watching, return_exceptions=True)
