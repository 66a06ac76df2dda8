"""A relay, a model proxy and a provider, each the process that it is, and sessions that ask."""

from __future__ import annotations

import asyncio
import contextlib
import os
import secrets
import sys
import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from agent_image.agent.model import Models
from nips.key import SecretKey
from nips.own.grant import Grant
from nips.own.model_scope import ModelScope
from nips.own.roles import Roles
from relay_local.client import Link
from tests.provider import Provider, a_provider
from tests.unit.signer.house import MAIN, House, key
from tests.unit.signer.processes import Installation, Process, installation, start

MODEL = key(11)
API_KEY = "sk-test-" + "7b0d9c2e41a5f386"
MODELS = (
    "echo", "limited", "broken", "stalls", "stalls-later", "garbage", "leaks", "redirects",
    "hangs-up", "slow",
)  # fmt: skip
SCOPE = ModelScope(MODELS, 1_000, 10_000_000, 100_000_000)
STALL_S = 1


@dataclass
class Scene:
    """All of it. `proxy` is None until it is started."""

    place: Installation
    provider: Provider
    router: Link
    proxy: Process | None = None
    stack: contextlib.AsyncExitStack = field(default_factory=contextlib.AsyncExitStack)

    @property
    def signer_data(self) -> Path:
        return self.place.folder / "s"

    @property
    def sessions(self) -> Path:
        return self.place.folder / "c"

    async def command(self, *argv: str, secret: str | None = None) -> tuple[int, str, str]:
        """`python -m signer model …`; a secret comes through `--key-fd`."""
        descriptors: tuple[int, ...] = ()
        if secret is not None:
            reads, writes = os.pipe()
            os.write(writes, secret.encode())
            os.close(writes)
            descriptors, argv = (reads,), (*argv, "--key-fd", str(reads))
        running = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "signer", "model", argv[0], "--data", str(self.signer_data),
            *argv[1:], pass_fds=descriptors, stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
        )  # fmt: skip
        for descriptor in descriptors:
            os.close(descriptor)
        out, err = await running.communicate()
        return running.returncode or 0, out.decode(), err.decode()

    async def add_both(self) -> None:
        """Configure the provider twice: in Anthropic's style, and in OpenAI's as `o-…`."""
        named = [option for name in MODELS for option in ("--model", f"{name}=3/15")]
        stall = ("--stall-s", str(STALL_S))
        for argv in (
            ("add", "one", "--url", self.provider.url, "--style", "anthropic", *named, *stall),
            ("add", "two", "--url", self.provider.url, "--model", "o-echo=1/2", *stall),
        ):
            status, _, said = await self.command(*argv, secret=API_KEY)
            assert status == 0, said

    async def start_proxy(self, *more: str, descriptors: tuple[int, ...] = ()) -> Process:
        """Start the proxy and wait until it is ready."""
        self.proxy = await start(
            self.place.folder / "proxy.log", "model-proxy: ready", "signer", "model-proxy",
            "--data", str(self.signer_data), "--key", str(self.place.folder / "model"),
            "--roles", str(self.place.folder / "roles.toml"), "--relay", self.place.address,
            "--sessions", str(self.sessions), *more, descriptors=descriptors,
        )  # fmt: skip
        return self.proxy

    def grant(self, session: SecretKey, scope: ModelScope | None = SCOPE, **more: Any) -> Grant:
        return self.place.house.session_grant(
            now=int(time.time()), client=session.public, models=scope, **more
        )

    async def session(
        self, scope: ModelScope | None = SCOPE, **more: Any
    ) -> tuple[SecretKey, Models]:
        """A session with a grant, and its way to the models."""
        session = SecretKey.generate(secrets.token_bytes)
        await self.place.grant(self.router, self.grant(session, scope, **more))
        return session, Models(session, time.time, self.socket(session))

    def socket(self, session: SecretKey) -> str:
        return str(self.sessions / session.public[:16] / "model.sock")

    async def revoke(self, session: SecretKey) -> None:
        revoked = replace(self.grant(session), revoked=True)
        await self.place.grant(self.router, revoked, int(time.time()) + 1)

    async def close(self) -> None:
        if self.proxy is not None:
            await self.proxy.stop()


@contextlib.asynccontextmanager
async def a_scene(folder: Path, house: House) -> AsyncIterator[Scene]:
    """A relay and a provider run; the provider is configured and the proxy started by you."""
    async with (
        installation(folder, house) as place,
        a_provider("tests.model_provider", folder / "provider.log", API_KEY) as provider,
    ):
        (folder / "model").write_text(MODEL.raw.hex() + "\n")
        roles: Roles = replace(place.roles, model=MODEL.public)
        (folder / "roles.toml").write_text(roles.to_toml())
        await place.start_relay()
        scene = Scene(place, provider, await place.link(house.router))
        try:
            yield scene
        finally:
            await scene.close()


def said(text: str, **fields: object) -> dict[str, object]:
    """A request's body."""
    return {
        "model": "echo",
        "max_tokens": 100,
        "messages": [{"role": "user", "content": text}],
        **fields,
    }


def texts(events: Sequence[dict[str, Any]]) -> str:
    """What a stream of Anthropic's events says."""
    return " ".join(e["delta"]["text"] for e in events if e.get("type") == "content_block_delta")


__all__ = ["API_KEY", "MAIN", "MODELS", "SCOPE", "STALL_S", "Scene", "a_scene", "said", "texts"]
