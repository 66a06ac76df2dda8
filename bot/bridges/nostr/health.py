"""Shell: until when each public relay was heard without a gap, kept as 30078 `health`, with what
became of the wraps since the start. Content:

    {"relays":{"wss://…":{"connections":1,"healthy_s":1700000000,"last_event_s":null}},
     "wraps":{"forwarded":3,"strangers":1,"set_aside":0,"kept":0}}

It survives the process because the next one asks the relays for what came since then. Losing the
last minute is harmless: the window is two days and an hour wider.
"""

from __future__ import annotations

import asyncio
import json
import time
from dataclasses import asdict
from secrets import token_bytes
from typing import Any

import structlog

from bot.bridges.nostr.arrivals import Arrivals
from bot.bridges.nostr.forwarding import Counts
from nips.event import Template
from nips.filter import Filter
from nips.key import SecretKey
from nips.kinds import Kind
from relay_local.client import Link, Unanswered

D = "health"
PERIOD_S = 60.0
SAVE_DEADLINE_S = 5.0

log = structlog.get_logger()


class Health:
    """key: the bridge's."""

    def __init__(self, link: Link, key: SecretKey) -> None:
        self._link, self._key = link, key
        self._created_at = 0
        self._relays: dict[str, Any] = {}

    async def load(self) -> dict[str, int]:
        """Per relay the unix second up to which nothing was missed."""
        wanted = Filter(
            authors=frozenset({self._key.public}),
            kinds=frozenset({int(Kind.APP_DATA)}),
            tags={"d": frozenset({D})},
        )
        for event in await self._link.fetch([wanted]):
            self._created_at = max(self._created_at, event.created_at)
            self._relays = json.loads(event.content)["relays"]
        return {
            url: state["healthy_s"]
            for url, state in self._relays.items()
            if state["healthy_s"] is not None
        }

    async def run(self, arrivals: Arrivals, counts: Counts) -> None:
        """Write it down every minute, and once more at the end."""
        try:
            while True:
                await asyncio.sleep(PERIOD_S)
                await self._save(arrivals, counts)
        finally:
            await self._save(arrivals, counts)

    async def _save(self, arrivals: Arrivals, counts: Counts) -> None:
        # A relay that is configured again later is asked from where it was left.
        self._relays |= await arrivals.status()
        self._created_at = max(int(time.time()), self._created_at + 1)
        template = Template(
            self._key.public,
            self._created_at,
            Kind.APP_DATA,
            (("d", D), ("alt", "health of the public relays")),
            json.dumps({"relays": self._relays, "wraps": asdict(counts)}),
        )
        try:
            ok = await self._link.publish(
                template.sign(self._key, token_bytes(32)), deadline_s=SAVE_DEADLINE_S
            )
        except Unanswered:
            log.warning("health not written")
            return
        if ok.refusal:
            log.warning("health refused", reason=ok.message)
