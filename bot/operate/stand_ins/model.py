"""Shell: a language model for the demonstration, as a process of its own on loopback.

It holds no model: it speaks Anthropic's Messages API as its documentation has it, and answers what
the text in double brackets asks for (tests/anthropic_api.py).
"""

from __future__ import annotations

import asyncio
import os
import secrets
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from bot.operate.assembly import SOURCE_TREE

MODEL = "stand-in"
START_S = 20.0


class StandInError(Exception):
    """It did not start, or could not be configured; the message says why."""


@dataclass(frozen=True, slots=True)
class StandIn:
    """Where it listens, and the API key that it wants to see."""

    url: str
    key: str

    def configure(self, signer: Path) -> None:
        """Add it as a provider, as a person does with `nostrclaw model add`. signer: its folder.

        Raises StandInError.
        """
        argv = [
            sys.executable, "-m", "signer", "model", "add", "stand-in", "--data", str(signer),
            "--url", self.url, "--style", "anthropic", "--model", f"{MODEL}=3/15",
        ]  # fmt: skip
        reads, writes = os.pipe()
        os.write(writes, self.key.encode())
        os.close(writes)
        with os.fdopen(reads):
            done = subprocess.run(
                [*argv, "--key-fd", str(reads)],
                pass_fds=(reads,), cwd=SOURCE_TREE, capture_output=True, text=True, check=False,
            )  # fmt: skip
        if done.returncode != 0:
            raise StandInError(f"The stand-in of a model was not taken: {done.stderr.strip()}")


@asynccontextmanager
async def stand_in(folder: Path) -> AsyncIterator[StandIn]:
    """Run it for the length of the block. folder: for its log. Raises StandInError."""
    key = f"sk-demo-{secrets.token_hex(24)}"
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.anthropic_api", str(folder / "model.log"),
        cwd=SOURCE_TREE, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
        start_new_session=True,
    )  # fmt: skip
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        process.stdin.write(f"{key}\n".encode())
        try:
            async with asyncio.timeout(START_S):
                line = await process.stdout.readline()
        except TimeoutError:
            line = b""
        if not (port := line.decode().split()[-1:]):
            raise StandInError("The stand-in of a model did not start. Is this the whole source?")
        yield StandIn(f"http://127.0.0.1:{port[0]}", key)
    finally:
        if process.returncode is None:
            process.terminate()
        await process.wait()
