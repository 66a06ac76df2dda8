"""A real relay process on a free port, that tests may kill and start again."""

from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
START_WAIT_S = 30.0


class RelayProcess:
    """One relay with its data folder; `url` is where it listens, also after a restart."""

    def __init__(self, argv: list[str]) -> None:
        self._argv = argv
        self._process: asyncio.subprocess.Process | None = None
        self.url = ""

    async def start(self) -> None:
        """Start it and wait until it is ready."""
        self._process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "relay_local", *self._argv,
            cwd=ROOT, stdout=asyncio.subprocess.PIPE,
        )  # fmt: skip
        assert self._process.stdout is not None
        async with asyncio.timeout(START_WAIT_S):
            line = (await self._process.stdout.readline()).decode()
        assert line.startswith("relay: ready "), f"the relay said {line!r}"
        self.url = line.split()[2]

    @property
    def pid(self) -> int:
        """The process."""
        assert self._process is not None
        return self._process.pid

    async def end(self, number: int = signal.SIGTERM) -> int:
        """Send a signal and wait for the end; returns the exit status."""
        assert self._process is not None
        with suppress(ProcessLookupError):
            self._process.send_signal(number)
        return await self._process.wait()


@asynccontextmanager
async def relay_process(
    data: Path, *options: str, owner: str | None = None, port: int = 0
) -> AsyncIterator[RelayProcess]:
    """Run a relay for the length of a block. `options`: more of its command line."""
    argv = ["--data", str(data), "--listen", f"127.0.0.1:{port}", *options]
    if owner is not None:
        argv += ["--owner", owner]
    running = RelayProcess(argv)
    await running.start()
    try:
        yield running
    finally:
        await running.end()
