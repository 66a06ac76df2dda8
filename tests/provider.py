"""A stand-in of a language model provider, run for the length of a block."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
START_WAIT_S = 60.0


@dataclass(frozen=True, slots=True)
class Provider:
    """Where it listens, the API key that it wants to see, and what it notes."""

    port: int
    key: str
    log: Path

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def seen(self) -> list[dict[str, Any]]:
        """What it has noted: the requests that it took, and more."""
        if not self.log.exists():
            return []
        return [json.loads(line) for line in self.log.read_text().splitlines()]


@asynccontextmanager
async def a_provider(module: str, log: Path, key: str) -> AsyncIterator[Provider]:
    """Run one. module: such as `tests.openai_api`. Raises RuntimeError if it does not start."""
    running = await asyncio.create_subprocess_exec(
        sys.executable, "-m", module, str(log.absolute()),
        cwd=ROOT, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    assert running.stdin is not None
    assert running.stdout is not None
    try:
        running.stdin.write(f"{key}\n".encode())
        line = await asyncio.wait_for(running.stdout.readline(), START_WAIT_S)
        if not line.startswith(b"api: ready "):
            raise RuntimeError(f"{module} did not start")
        yield Provider(int(line.split()[-1]), key, log)
    finally:
        if running.returncode is None:
            running.terminate()
        await running.wait()
