"""A proxy between a client and a real relay that does on demand what goes wrong in between.

`faults.py` is the table of what it can do; it runs as a process of its own (`__main__.py`).
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
WAIT_S = 30.0


class FaultProxy:
    """One running proxy; `url` is where it listens."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self._asking = asyncio.Lock()
        self.url = ""

    async def started(self) -> None:
        """Wait until it is ready."""
        line = await self._line()
        assert line.startswith("fault-proxy: ready "), f"the proxy said {line!r}"
        self.url = line.split()[2]

    async def fault(self, name: str, **options: Any) -> None:
        """Behave so from now on: a name in FAULTS, with the fields of its class."""
        answer = await self._ask({"fault": name, **options})
        assert answer == {"fault": name}, answer

    async def stats(self) -> dict[str, Any]:
        """connections, open, up and down: how many frames of which verb."""
        return await self._ask({"stats": True})

    async def _ask(self, command: dict[str, Any]) -> dict[str, Any]:
        stdin = self._process.stdin
        assert stdin is not None
        async with self._asking:
            stdin.write(json.dumps(command).encode() + b"\n")
            await stdin.drain()
            answer: dict[str, Any] = json.loads(await self._line())
        return answer

    async def _line(self) -> str:
        assert self._process.stdout is not None
        async with asyncio.timeout(WAIT_S):
            return (await self._process.stdout.readline()).decode()


@asynccontextmanager
async def fault_proxy(upstream: str, *, seed: int = 0, port: int = 0) -> AsyncIterator[FaultProxy]:
    """Run a proxy to `upstream` for the length of a block. seed: of the faults that roll dice."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.fault_proxy", upstream, f"--seed={seed}", f"--port={port}",
        cwd=ROOT, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    try:
        proxy = FaultProxy(process)
        await proxy.started()
        yield proxy
    finally:
        if process.returncode is None:
            process.terminate()
        await process.wait()
