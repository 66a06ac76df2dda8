"""Shell: how the Signal service is doing, written down whenever it changes, and every minute: 30078
`health` by the bridge. Source: PROTOCOL.md "Health".

When it has been away for a while the owner is told, once, and once more when it is back.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass

from bot.bridges.signal.service.receiving import Receiving, State
from bot.bridges.signal.troubles import Topic, Troubles
from bot.bridges.telling import put_health
from bot.bridges.waiting import first_of
from nips.event import Template
from nips.filter import Filter
from nips.key import SecretKey
from nips.kinds import Kind
from nips.own.fields import json_object
from nips.refusal import Malformed
from relay_local.client import Link

D = "health"
PERIOD_S = 60.0
LEAST_PAUSE_S = 1.0  # between two versions, however much changes
AWAY_S = 60  # after which the owner is told


@dataclass(frozen=True, slots=True)
class Outgoing:
    """How much is on its way out, and how much of all that was ever sent ended otherwise."""

    pending: int
    uncertain: int
    failed: int


class Health:
    """key: the bridge's. counts: what became of all that came, by name. away_s: for how long the
    service has to be away until it is told."""

    def __init__(
        self,
        link: Link,
        key: SecretKey,
        receiving: Receiving,
        counts: Callable[[], Mapping[str, int]],
        outgoing: Callable[[], Outgoing],
        troubles: Troubles,
        *,
        away_s: float = AWAY_S,
    ) -> None:
        self._link, self._key, self._receiving = link, key, receiving
        self._counts, self._outgoing, self._troubles = counts, outgoing, troubles
        self._away_s = away_s
        self._created_at = 0
        self._away_since_s: int | None = None

    async def run(self) -> None:
        """Write it down at each change and every minute, and once more at the end."""
        await self._load()
        try:
            while True:
                change = self._receiving.change
                self._note()
                await self._save()
                await self._tell()
                await asyncio.sleep(LEAST_PAUSE_S)
                await first_of(change, timeout_s=self._next_s())
        finally:
            await self._save()

    async def _load(self) -> None:
        """Go on from the last version: its time, and whether the service was away already."""
        wanted = Filter(
            authors=frozenset({self._key.public}),
            kinds=frozenset({int(Kind.APP_DATA)}),
            tags={"d": frozenset({D})},
        )
        for event in await self._link.fetch([wanted]):
            self._created_at = max(self._created_at, event.created_at)
            try:
                service = json_object("health", event.content).get("service")
            except Malformed:
                continue
            match service:
                case {"state": "away", "since_s": int(since_s)}:
                    self._away_since_s = since_s

    def _note(self) -> None:
        now = self._receiving.health
        if now.state is State.AWAY and self._away_since_s is None:
            self._away_since_s = now.since_s

    async def _tell(self) -> None:
        now, since_s = self._receiving.health, self._away_since_s
        if since_s is None:
            return
        if now.state is State.LISTENING:
            self._away_since_s = None
            # Nothing is back of which nobody was told: the router knows.
            await self._troubles.tell(Topic.BACK, str(since_s))
        elif now.state is State.AWAY and time.time() - since_s >= self._away_s:
            await self._troubles.tell(Topic.AWAY, str(since_s), now.reason)

    def _next_s(self) -> float:
        left_s = PERIOD_S - LEAST_PAUSE_S
        if self._away_since_s is not None:
            due_s = self._away_since_s + self._away_s - time.time()
            left_s = min(left_s, due_s) if due_s > 0 else left_s
        return left_s

    async def _save(self) -> None:
        now = self._receiving.health
        since_s = now.since_s
        if now.state is State.AWAY and self._away_since_s is not None:
            since_s = min(since_s, self._away_since_s)
        content = {
            "service": {
                "state": str(now.state),
                "reason": now.reason,
                "since_s": since_s,
                "mode": now.about.mode if now.about else "",
                "version": now.about.version if now.about else "",
            },
            "counts": dict(self._counts()),
            "outgoing": asdict(self._outgoing()),
        }
        # Two versions in one second tie and the lower id wins: each steps forward.
        self._created_at = max(int(time.time()), self._created_at + 1)
        template = Template(
            self._key.public,
            self._created_at,
            Kind.APP_DATA,
            (("d", D), ("alt", "health of the Signal service")),
            json.dumps(content, ensure_ascii=False),
        )
        await put_health(self._link, self._key, template)
