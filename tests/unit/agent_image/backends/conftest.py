"""A stand-in for OpenAI's service behind the real model proxy, for the backends' tests."""

from __future__ import annotations

import asyncio
import json
import sys
import tempfile
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from agent_image.agent.model import Models
from nips.own.model_scope import ModelScope
from tests.openai_api import SERVERS
from tests.unit.signer.house import House
from tests.unit.signer.models import API_KEY, Scene, a_scene

SCOPE = ModelScope(SERVERS, 10_000, 100_000_000, 100_000_000)


@dataclass
class Api:
    """`models`: a session's way to it."""

    models: Models
    log: Path

    def requests(self) -> list[dict[str, Any]]:
        """The bodies that came since the last call of `forget`."""
        return [one["fields"] for one in self._lines() if "fields" in one]

    def bad(self) -> list[str]:
        """Why requests were refused as no request of this API."""
        return [one["bad"] for one in self._lines() if "bad" in one]

    def forget(self) -> None:
        self.log.write_text("")

    def _lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.log.read_text().splitlines()]


@pytest.fixture(scope="session")
async def shared_api() -> AsyncIterator[Api]:
    with tempfile.TemporaryDirectory(prefix="chat-") as folder:
        log = Path(folder) / "api.log"
        log.touch()
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "tests.openai_api", str(log),
            stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
        )  # fmt: skip
        try:
            assert process.stdin is not None
            assert process.stdout is not None
            process.stdin.write(f"{API_KEY}\n".encode())
            line = (await asyncio.wait_for(process.stdout.readline(), 20)).decode()
            async with a_scene(Path(folder), House()) as scene:
                await configure(scene, int(line.split()[-1]))
                await scene.start_proxy()
                _, models = await scene.session(SCOPE)
                yield Api(models, log)
        finally:
            process.terminate()
            await process.wait()


async def configure(scene: Scene, port: int) -> None:
    named = [option for name in SERVERS for option in ("--model", f"{name}=1/2")]
    url = f"http://127.0.0.1:{port}"
    argv = ("add", "mine", "--url", url, "--style", "openai", *named, "--stall-s", "1")
    status, _, said = await scene.command(*argv, secret=API_KEY)
    assert status == 0, said


@pytest.fixture
def api(shared_api: Api) -> Api:
    shared_api.forget()
    return shared_api
