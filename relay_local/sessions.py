"""Shell: a socket of its own for every container session, in a folder of its own.

The folder is what a container sees of the host: through it the relay knows who calls. It stands
before the grant's OK is sent, and goes with the grant: when it is revoked or its hard limit is
reached, however busy its connection.
"""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import structlog
from websockets.asyncio.server import Server

from nips.own.grant import Grant
from relay_local.server import close_server
from relay_local.world import World

SOCKET = "relay.sock"
MAX_PATH_BYTES = 100  # of the 107 that the system allows
_NAME_CHARS = 16

log = structlog.get_logger("relay")

Listen = Callable[[Path, str], Awaitable[Server]]  # path, session key; raises OSError


@dataclass(slots=True)
class _Open:
    server: Server
    folder: Path
    ends_s: int
    timer: asyncio.TimerHandle


class SessionSockets:
    """The sockets of the live sessions below one folder."""

    def __init__(self, root: Path, listen: Listen, now_s: Callable[[], int]) -> None:
        self._root = root
        self._listen = listen
        self._now_s = now_s
        self._open: dict[str, _Open] = {}
        self._closing: set[asyncio.Task[None]] = set()

    def clear(self, world: World) -> None:
        """Remove what an earlier relay left behind. Raises OSError.

        The folders of sessions that still live stay: a container has mounted that very folder,
        and would never see a new one of the same name.
        """
        self._root.mkdir(parents=True, exist_ok=True)
        live = {key[:_NAME_CHARS] for key in world.sessions}
        for left in self._root.iterdir():
            if left.is_symlink() or not left.is_dir():
                left.unlink()
            elif left.name not in live:
                shutil.rmtree(left)

    async def prepare(self, world: World) -> None:
        """Make the sockets agree with the sessions of `world`. Raises OSError."""
        sessions = world.sessions
        for key in self._open.keys() - sessions.keys():
            self._end(key)
        for key, grant in sessions.items():
            if (known := self._open.get(key)) is None:
                await self._begin(key, grant)
            elif known.ends_s > grant.hard_expires_at:
                known.timer.cancel()
                known.ends_s = grant.hard_expires_at
                known.timer = self._timer(key, grant.hard_expires_at)

    async def close(self) -> None:
        """End them all; the folders stay, for the next relay's sockets."""
        for key in list(self._open):
            self._end(key, for_good=False)
        await asyncio.gather(*self._closing)

    @property
    def keys(self) -> Mapping[str, Path]:
        """The open sockets by session key."""
        return {key: known.folder / SOCKET for key, known in self._open.items()}

    async def _begin(self, key: str, grant: Grant) -> None:
        if grant.hard_expires_at <= self._now_s():
            return
        folder = self._root / key[:_NAME_CHARS]
        folder.mkdir(exist_ok=True)
        folder.chmod(0o755)
        path = folder / SOCKET
        path.unlink(missing_ok=True)
        server = await self._listen(path, key)
        # Closed to other users by the folder above, 0700; the container's user is another uid.
        path.chmod(0o666)
        timer = self._timer(key, grant.hard_expires_at)
        self._open[key] = _Open(server, folder, grant.hard_expires_at, timer)

    def _timer(self, key: str, ends_s: int) -> asyncio.TimerHandle:
        loop = asyncio.get_running_loop()
        return loop.call_later(max(0, ends_s - self._now_s()), self._end, key)

    def _end(self, key: str, *, for_good: bool = True) -> None:
        known = self._open.pop(key, None)
        if known is None:
            return
        known.timer.cancel()
        task = asyncio.create_task(self._close(known, for_good=for_good))
        self._closing.add(task)
        task.add_done_callback(self._closing.discard)

    async def _close(self, known: _Open, *, for_good: bool) -> None:
        known.server.close()
        if for_good:
            shutil.rmtree(known.folder, ignore_errors=True)
        await close_server(known.server)
