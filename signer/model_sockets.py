"""Shell: a model socket for every session whose grant opens models, beside its relay socket.

The folder `RUN/s/<16 digits of the key>` is mounted into the container, so the socket says who
calls. Relay and router make and remove the folder; what stands here makes the socket in it when
the grant arrives, and ends it, with all that is under way on it, at the revocation or the hard
limit. While the relay is away nothing new is learnt, so nothing is served.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import structlog

from nips.event import Event
from nips.filter import Filter
from nips.kinds import Kind
from nips.own.roles import Roles
from nips.refusal import Malformed
from relay_local.client import Caught, Delivery, Link, Lost
from signer import grants
from signer.model_http import Exchange, Listener

SOCKET = "model.sock"
_NAME_CHARS = 16

log = structlog.get_logger("model")

Handle = Callable[[str, Exchange], Awaitable[None]]  # a session's key, its request
Hold = Callable[[grants.Held], Awaitable[None]]
Known = Callable[[str], Awaitable[grants.Held | None]]


@dataclass(slots=True)
class _Open:
    listener: Listener
    timer: asyncio.TimerHandle


class ModelSockets:
    """See above. `caught_up` is set while every grant that the relay has is known. `ended`: is
    called with a session's job when nothing of the session is under way any more."""

    def __init__(
        self,
        root: Path,
        roles: Roles,
        handle: Handle,
        known: Known,
        hold: Hold,
        now_s: Callable[[], float],
        ended: Callable[[str | None], None],
    ) -> None:
        self._root, self._roles, self._handle = root, roles, handle
        self._known, self._hold, self._now_s, self._ended = known, hold, now_s, ended
        self._open: dict[str, _Open] = {}
        self._held: dict[str, grants.Held] = {}
        self._closing: set[asyncio.Task[None]] = set()
        self.caught_up = asyncio.Event()

    async def follow(self, link: Link) -> None:
        """Follow the router's grants for ever. Raises Refused when the relay denies them."""
        wanted = Filter(
            kinds=frozenset({int(Kind.APP_DATA)}), authors=frozenset({self._roles.router})
        )
        async with link.subscribe([wanted]) as stream:
            async for item in stream:
                match item:
                    case Delivery(event) if grants.is_grant(event):
                        await self._learn(event)
                    case Caught():
                        self.caught_up.set()
                    case Lost():
                        self.caught_up.clear()

    async def _learn(self, event: Event) -> None:
        client, now_s = event.tag("p") or "", self._now_s()
        held = self._held.get(client) or await self._known(client)
        fresh: grants.Held | None
        try:
            fresh = grants.admit(event, held, self._roles, now_s)
        except Malformed:
            fresh = held  # not the router's, stale, or against what is final
        # Every job leaves a grant behind for good. What is over needs no memory of ours: its
        # hard limit is signed into it.
        if fresh is None or fresh.grant.role != "session" or fresh.hard_expires_at <= now_s:
            return
        if fresh is not held:
            await self._hold(fresh)
        self._held[client] = fresh
        await self._agree(fresh)

    def held(self, key: str) -> grants.Held | None:
        """What is known of a session that has a socket."""
        return self._held.get(key)

    async def close(self) -> None:
        """End them all; the folders stay, for the next proxy's sockets."""
        for key in list(self._open):
            self._end(key, for_good=False)
        await asyncio.gather(*self._closing, return_exceptions=True)

    async def _agree(self, held: grants.Held) -> None:
        key, grant = held.grant.client, held.grant
        left_s = held.hard_expires_at - self._now_s()
        # Attack: a program that waits for its job asks models meanwhile; whatever its grant says,
        # who has no job has nobody to spend for.
        if grant.models is None or grant.job is None or held.revoked:
            self._end(key)
        elif key not in self._open:
            await self._begin(key, left_s)

    async def _begin(self, key: str, left_s: float) -> None:
        folder = self._root / key[:_NAME_CHARS]
        # The relay makes it too, at the same time, and the router did before the container.
        folder.mkdir(exist_ok=True)
        folder.chmod(0o755)
        path = folder / SOCKET
        path.unlink(missing_ok=True)
        listener = Listener(path, partial(self._handle, key))
        try:
            await listener.open()
            # Closed to other users by the folders above; the container's user is another uid.
            path.chmod(0o666)
        except OSError as error:
            log.error("no model socket", session=key[:12], reason=str(error))
            await listener.close()
            return
        timer = asyncio.get_running_loop().call_later(left_s, self._end, key)
        self._open[key] = _Open(listener, timer)

    def _end(self, key: str, *, for_good: bool = True) -> None:
        held = self._held.pop(key, None)
        if (known := self._open.pop(key, None)) is None:
            return
        known.timer.cancel()
        job = held.grant.job if held is not None else None
        task = asyncio.create_task(self._close(key, known.listener, job, for_good=for_good))
        self._closing.add(task)
        task.add_done_callback(self._closing.discard)

    async def _close(
        self, key: str, listener: Listener, job: str | None, *, for_good: bool
    ) -> None:
        folder = self._root / key[:_NAME_CHARS]
        with suppress(OSError):
            (folder / SOCKET).unlink(missing_ok=True)
            if for_good:
                folder.rmdir()  # where relay and router are done with it too
        await listener.close()
        if for_good:
            self._ended(job)
