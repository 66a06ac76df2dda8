"""Shell: how the public relays are doing, written down whenever it changes, and every minute: 30078
`health` for programs, 30315 `relays` for whoever shows a status (NIP-38). Source: PROTOCOL.md
"Health".

It survives the process because the next one asks each relay for what came since it was healthy.
Losing the last minute is harmless: the window is two days and an hour wider.
"""

from __future__ import annotations

import asyncio
import json
import time
from dataclasses import asdict

from bot.bridges.nostr.arrivals import Arrivals
from bot.bridges.nostr.courier import Courier
from bot.bridges.nostr.relay_state import Health as RelayHealth
from bot.bridges.nostr.relay_state import State
from bot.bridges.pen import Counts
from bot.bridges.telling import put_health
from bot.bridges.waiting import first_of
from nips.event import Tag, Template
from nips.filter import Filter
from nips.key import SecretKey
from nips.kinds import Kind
from relay_local.client import Link

D, STATUS_D = "health", "relays"
PERIOD_S = 60.0
LEAST_PAUSE_S = 1.0  # between two versions, however much changes


class Health:
    """key: the bridge's."""

    def __init__(self, link: Link, key: SecretKey) -> None:
        self._link, self._key = link, key
        self._created_at = 0
        self._healthy: dict[str, int] = {}

    async def load(self) -> dict[str, int]:
        """Per relay the unix second up to which nothing was missed."""
        wanted = Filter(
            authors=frozenset({self._key.public}),
            kinds=frozenset({int(Kind.APP_DATA)}),
            tags={"d": frozenset({D})},
        )
        for event in await self._link.fetch([wanted]):
            self._created_at = max(self._created_at, event.created_at)
            content = json.loads(event.content)
            known = {url: state["healthy_s"] for url, state in content["relays"].items()}
            known = content.get("former", {}) | known
            self._healthy = {url: at for url, at in known.items() if at is not None}
        return dict(self._healthy)

    async def run(self, arrivals: Arrivals, counts: Counts, courier: Courier) -> None:
        """Write it down at each change and every minute, and once more at the end."""
        try:
            while True:
                change = arrivals.change
                await self._save(arrivals, counts, courier)
                await asyncio.sleep(LEAST_PAUSE_S)
                await first_of(change, timeout_s=PERIOD_S - LEAST_PAUSE_S)
        finally:
            await self._save(arrivals, counts, courier)

    async def _save(self, arrivals: Arrivals, counts: Counts, courier: Courier) -> None:
        relays = arrivals.health()
        healthy = {url: it.healthy_s for url, it in relays.items()}
        # A relay that is configured again later is asked from where it was left.
        self._healthy |= {url: at for url, at in healthy.items() if at is not None}
        self._created_at = max(int(time.time()), self._created_at + 1)
        content = {
            "relays": {url: it.to_json() for url, it in relays.items()},
            "former": {url: at for url, at in self._healthy.items() if url not in relays},
            "wraps": asdict(counts),
            "outgoing": asdict(courier.outgoing()),
        }
        alt = ("alt", "health of the public relays")
        await self._put(Kind.APP_DATA, [("d", D), alt], json.dumps(content, ensure_ascii=False))
        await self._put(Kind.STATUS, *status_of(relays))

    async def _put(self, kind: Kind, tags: list[Tag], content: str) -> None:
        template = Template(self._key.public, self._created_at, kind, tuple(tags), content)
        await put_health(self._link, self._key, template)


def status_of(relays: dict[str, RelayHealth]) -> tuple[list[Tag], str]:
    """The tags and the content of the 30315."""
    listening = [url for url, it in relays.items() if it.state is State.LISTENING]
    tags: list[Tag] = [("d", STATUS_D)]
    tags += [("r", url) for url in listening]  # NIP-38: what the status links to
    tags += [
        ("relay", url, str(it.state), it.reason, str(it.since_s)) for url, it in relays.items()
    ]
    tags.append(("alt", "The state of the public relays"))
    others = [
        f"{url}: {it.state}{f' ({it.reason})' if it.reason else ''}"
        for url, it in relays.items()
        if it.state is not State.LISTENING
    ]
    head = f"{len(listening)} of {len(relays)} public relays are listened to"
    return tags, "\n".join([head, *others])
