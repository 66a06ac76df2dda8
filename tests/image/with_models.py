"""A stage whose containers have language models: the model proxy, and what a person configures."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from bot.operate import models
from tests.image.stage import Stage, a_program
from tests.provider import Provider


@asynccontextmanager
async def with_models(
    stage: Stage, provider: Provider, style: str, names: Sequence[str], stall_s: int = 1
) -> AsyncIterator[None]:
    """Add a provider, and run the proxy on it. style: `anthropic` or `openai`."""
    place = stage.place
    await configure(place.data, provider, "--style", style, "--stall-s", str(stall_s),
                    *(part for name in names for part in ("--model", name)))  # fmt: skip
    program = models.proxy(
        place.signer, place.key("model"), place.roles_file, place.relay_address, place.run / "s"
    )
    async with a_program(place.data / "model-proxy.log", program.ready, list(program.argv[1:])):
        yield


async def configure(data: Path, provider: Provider, *options: str) -> None:
    """As a person does with `nostrclaw model add`."""
    reads, writes = os.pipe()
    os.write(writes, provider.key.encode())
    os.close(writes)
    running = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "bot.cli", "model", "--data", str(data), "add", "mine",
        "--url", provider.url, "--key-fd", str(reads), *options,
        pass_fds=(reads,), stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    os.close(reads)
    _, err = await running.communicate()
    assert running.returncode == 0, err
