"""A stand-in for OpenAI's service behind the real model proxy, for the backends' tests."""

from __future__ import annotations

import tempfile
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from agent_image.agent.model import Models
from nips.own.model_scope import ModelScope
from tests.openai_api import SERVERS
from tests.provider import Provider, a_provider
from tests.unit.signer.house import House
from tests.unit.signer.models import API_KEY, Scene, a_scene

SCOPE = ModelScope(SERVERS, 10_000, 100_000_000, 100_000_000)


@dataclass
class Api:
    """`models`: a session's way to it."""

    models: Models
    provider: Provider

    def requests(self) -> list[dict[str, Any]]:
        """The bodies that came since the last call of `forget`."""
        return [one["fields"] for one in self.provider.seen() if "fields" in one]

    def bad(self) -> list[str]:
        """Why requests were refused as no request of this API."""
        return [one["bad"] for one in self.provider.seen() if "bad" in one]

    def forget(self) -> None:
        self.provider.log.write_text("")


@pytest.fixture(scope="session")
async def shared_api() -> AsyncIterator[Api]:
    with tempfile.TemporaryDirectory(prefix="chat-") as folder:
        log = Path(folder) / "api.log"
        async with (
            a_provider("tests.openai_api", log, API_KEY) as provider,
            a_scene(Path(folder), House()) as scene,
        ):
            await configure(scene, provider.url)
            await scene.start_proxy()
            _, models = await scene.session(SCOPE)
            yield Api(models, provider)


async def configure(scene: Scene, url: str) -> None:
    named = [option for name in SERVERS for option in ("--model", f"{name}=1/2")]
    argv = ("add", "mine", "--url", url, "--style", "openai", *named, "--stall-s", "1")
    status, _, said = await scene.command(*argv, secret=API_KEY)
    assert status == 0, said


@pytest.fixture
def api(shared_api: Api) -> Api:
    shared_api.forget()
    return shared_api
