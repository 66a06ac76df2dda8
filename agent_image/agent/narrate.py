"""Shell: progress lines (43003), signed by the session's own key; the last one says "done".

At most one a second is sent, the newest; a line that nobody watches must not hold up the work.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable

from agent_image.agent.job import Job
from nips.key import SecretKey
from nips.own.job import progress
from nips.refusal import Refused
from relay_local.client import Link

PAUSE_S = 1.0
DEADLINE_S = 60.0
MAX_LINE_CHARS = 200


class Narrator:
    """What those who watch a job see of it. `now` returns unix seconds."""

    def __init__(self, link: Link, key: SecretKey, job: Job, now: Callable[[], float]) -> None:
        self._link, self._key, self._job, self._now = link, key, job, now
        self._newest: str | None = None
        self._sending: asyncio.Task[None] | None = None

    def say(self, line: str) -> None:
        """Show a line soon; a newer one within the same second takes its place."""
        self._newest = line[:MAX_LINE_CHARS]
        if self._sending is None or self._sending.done():
            self._sending = asyncio.create_task(self._send())

    async def finish(self) -> None:
        """Publish that the work is done: the router ends the job on it.

        Raises Refused when the relay does not take it, Unanswered when it stays away.
        """
        if self._sending is not None:
            self._sending.cancel()  # what is under way is overtaken by this
            await asyncio.gather(self._sending, return_exceptions=True)
        await self._publish("", done=True)

    async def _send(self) -> None:
        while self._newest is not None:
            line, self._newest = self._newest, None
            await self._publish(line, done=False)
            await asyncio.sleep(PAUSE_S)

    async def _publish(self, line: str, *, done: bool) -> None:
        event = progress(
            self._key.public, self._job.group, self._job.id, line, int(self._now()), done=done
        ).sign(self._key, secrets.token_bytes(32))
        ok = await self._link.publish(event, deadline_s=DEADLINE_S)
        if ok.refusal is not None:
            raise Refused(ok.refusal)
