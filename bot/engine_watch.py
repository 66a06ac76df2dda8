"""Shell: looks whether the container engine answers, and tells the owner when it goes and returns.

It asks every ten seconds; how long an absence must last until it is told, and how long a return
must hold, is as for the signer (`absence`). An attempt that needs a container asks by itself and
waits: none is used up while there is nothing to make it with. A job in a spare asks nothing.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime

import structlog

from bot.absence import Back, Gone, Instant, Refuses, Serves, Telling, Watch, after
from bot.author import Author
from bot.notice import notice
from nips.own.roles import Roles

PERIOD_S = 10.0
RETRY_S = 1.0

log = structlog.get_logger()


class EngineWatch:
    """`run` until cancelled. away: why the engine does not answer, None when it does. say: shows a
    sentence to whoever sits at the terminal; must not raise."""

    def __init__(
        self,
        author: Author,
        roles: Roles,
        away: Callable[[], Awaitable[str | None]],
        say: Callable[[str], None],
    ) -> None:
        self._author, self._roles, self._away, self._say = author, roles, away, say

    async def serving(self, longest_s: float) -> bool:
        """Wait until the engine answers; False when that took too long."""
        try:
            async with asyncio.timeout(max(0.0, longest_s)):
                while (why := await self._away()) is not None:
                    log.warning("waiting for the engine", reason=why)
                    await asyncio.sleep(RETRY_S)
        except TimeoutError:
            return False
        return True

    async def run(self) -> None:
        """Look, and tell."""
        watch = Watch()
        while True:
            asked, why = _now(), await self._away()
            sight = Serves() if why is None else Refuses(why)
            watch, telling = after(watch, sight, asked, _now())
            if telling is not None:
                await self._tell(telling)
            await asyncio.sleep(max(0.0, asked.steady_s + PERIOD_S - time.monotonic()))

    async def _tell(self, telling: Telling) -> None:
        words = sentence(telling)
        log.warning("engine", words=words)
        self._say(words)
        once = "engine-away" if isinstance(telling, Gone) else "engine-back"
        made = notice(self._roles, (once, str(telling.since_s)), words, now_s=self._author.now_s())
        ok = await self._author.publish(made)
        if not ok.accepted:
            log.warning("notice refused", reason=ok.message)


def sentence(telling: Telling) -> str:
    """What the owner is told."""
    match telling:
        case Gone(since_s, words):
            return (
                f"No agent can work since {_clock(since_s)} UTC: {words} What you write to me "
                "waits, and is answered when it is back; commands work meanwhile."
            )
        case Back(since_s, until_s):
            return (
                f"Agents can work again. The container engine was away from {_clock(since_s)} to "
                f"{_clock(until_s)} UTC; what waited is being answered now."
            )


def _clock(unix_s: int) -> str:
    return datetime.fromtimestamp(unix_s, UTC).strftime("%Y-%m-%d %H:%M")


def _now() -> Instant:
    return Instant(time.monotonic(), int(time.time()))
