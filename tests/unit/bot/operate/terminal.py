"""A command of ours at a terminal of its own, while the test goes on."""

from __future__ import annotations

import asyncio
import os
import pty
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

from bot.operate.assembly import SOURCE_TREE

WAIT_S = 30.0


class Terminal:
    """`shown`: all that it has shown, its line ends as `\\n`."""

    def __init__(self, descriptor: int, process: asyncio.subprocess.Process) -> None:
        self.shown = ""
        self._descriptor, self._process = descriptor, process
        self._changed = asyncio.Event()
        self._raw = b""
        asyncio.get_running_loop().add_reader(descriptor, self._read)

    async def until(self, words: str) -> None:
        """Wait until it has shown these words."""
        async with asyncio.timeout(WAIT_S):
            while words not in self.shown:
                assert not self._is_over, f"{words!r} is not in:\n{self.shown}"
                self._changed.clear()
                await self._changed.wait()

    def type(self, text: str) -> None:
        """Type into it; `\\x03` is Ctrl-C."""
        os.write(self._descriptor, text.encode())

    async def end(self) -> int:
        """Wait for its end: the exit status."""
        async with asyncio.timeout(WAIT_S):
            status = await self._process.wait()
            while not self._is_over:
                self._changed.clear()
                await self._changed.wait()
        return status

    _is_over = False

    def _read(self) -> None:
        try:
            part = os.read(self._descriptor, 65_536)
        except OSError:  # nobody has the other end any more
            part = b""
        if not part:
            asyncio.get_running_loop().remove_reader(self._descriptor)
            self._is_over = True
        self._raw += part
        self.shown = self._raw.decode(errors="replace").replace("\r\n", "\n")
        self._changed.set()


@asynccontextmanager
async def at_terminal(*argv: str, env: Mapping[str, str]) -> AsyncIterator[Terminal]:
    """Start it; ended with the block where it has not ended by itself."""
    ours, theirs = pty.openpty()
    process = await asyncio.create_subprocess_exec(
        sys.executable, *argv, stdin=theirs, stdout=theirs, stderr=theirs, cwd=SOURCE_TREE,
        env={**os.environ, "TERM": "xterm", "COLUMNS": "120", **env}, preexec_fn=_leader,
    )  # fmt: skip
    os.close(theirs)
    terminal = Terminal(ours, process)
    try:
        yield terminal
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
        asyncio.get_running_loop().remove_reader(ours)
        os.close(ours)


def _leader() -> None:
    """The terminal's keys, Ctrl-C among them, are for this process, and do what they do there:
    whoever runs tests in the background ignores an interrupt, and so would it."""
    import fcntl
    import signal
    import termios

    signal.signal(signal.SIGINT, signal.SIG_DFL)
    os.setsid()
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)
