"""The command line, as a process of its own."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from bot.operate.assembly import SOURCE_TREE

PATIENCE_S = 90


async def nostrclaw(data: Path, *arguments: str) -> tuple[int, str]:
    """`nostrclaw …` for an installation: its exit status, and what it says."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "bot.cli", *arguments, "--data", str(data),
        cwd=SOURCE_TREE,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    async with asyncio.timeout(PATIENCE_S):
        said, _ = await process.communicate()
    return process.returncode or 0, said.decode()
