"""Shell: what the model proxy adds to a call of a language model: `python -m bench model`.

The provider is a process of the tests on loopback that answers at once, so nearly all the time is
ours: the client's authorisation, two commits to the disk, the way through. Asked directly and
through the proxy in turn; the difference of the medians is what is added.
"""

from __future__ import annotations

import asyncio
import os
import secrets
import shutil
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from uuid import uuid4

import orjson
from rich.table import Table

from agent_image.agent.model import Models
from bench.figures import Figures, summarise
from bot import grants
from bot.author import Author
from bot.operate import assembly, models
from config import settings
from config.roles import read_key
from nips.key import SecretKey
from nips.own.model_scope import ModelScope
from relay_local.client import connect
from tests.provider import a_provider

PATH = "/v1/messages"
KEY = "sk-bench"
START_WAIT_S = 60.0
WARM_UP = 20
SCOPE = ModelScope(("echo",), 10**6, 10**12, 10**12)
ASKED = {"model": "echo", "max_tokens": 64, "messages": [{"role": "user", "content": "a b c d"}]}


def run(count: int, announce: Callable[[str], None]) -> list[Figures]:
    """Measure `count` of each. Raises RuntimeError, OSError."""
    return asyncio.run(_run(count, announce))


async def _run(count: int, announce: Callable[[str], None]) -> list[Figures]:
    root = Path(tempfile.mkdtemp(prefix="nostrclaw-bench-"))
    try:
        async with _place(root) as (port, client):
            announce(f"{count} calls of each kind, directly and through the proxy in turn")
            samples: dict[str, list[float]] = {}
            for n in range(WARM_UP + count):
                for name, value_ms in (
                    ("directly, whole answer", await _direct(port, stream=False)),
                    ("proxied, whole answer", await _proxied(client)),
                    ("directly, first byte of a stream", await _direct(port, stream=True)),
                    ("proxied, first byte of a stream", await _proxied_stream(client)),
                ):
                    if n >= WARM_UP:
                        samples.setdefault(name, []).append(value_ms)
            return [summarise(name, "ms", values) for name, values in samples.items()]
    finally:
        shutil.rmtree(root, ignore_errors=True)


def added_ms(figures: list[Figures]) -> dict[str, float]:
    """What the proxy adds at the median, by what was asked."""
    p50 = {one.name: one.p50 for one in figures}
    return {
        what: p50[f"proxied, {what}"] - p50[f"directly, {what}"]
        for what in ("whole answer", "first byte of a stream")
    }


def table(figures: list[Figures]) -> Table:
    """A row a figure, and what is added."""
    shown = Table(title="model proxy")
    for column in ("figure", "unit", "n", "p50", "p99", "max"):
        shown.add_column(column, justify="left" if column in ("figure", "unit") else "right")
    for f in figures:
        shown.add_row(
            f.name, f.unit, f"{f.samples:,}", f"{f.p50:.2f}", f"{f.p99:.2f}", f"{f.maximum:.2f}"
        )
    for what, value_ms in added_ms(figures).items():
        shown.add_row(f"added: {what}", "ms", "", f"[bold]{value_ms:.2f}[/]", "", "")
    return shown


# The two ways


async def _proxied(client: Models) -> float:
    began_s = time.perf_counter()
    await client.ask(PATH, ASKED)
    return (time.perf_counter() - began_s) * 1000


async def _proxied_stream(client: Models) -> float:
    began_s, first_ms = time.perf_counter(), 0.0
    async for _ in client.events(PATH, ASKED):
        first_ms = first_ms or (time.perf_counter() - began_s) * 1000
    return first_ms


async def _direct(port: int, *, stream: bool) -> float:
    body = orjson.dumps(ASKED | {"stream": stream})
    began_s = time.perf_counter()
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(
        f"POST {PATH} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nX-Api-Key: {KEY}\r\n"
        f"Content-Length: {len(body)}\r\n\r\n".encode()
        + body
    )
    await reader.readuntil(b"\r\n\r\n")
    await reader.read(1)
    first_ms = (time.perf_counter() - began_s) * 1000
    await reader.read()
    writer.close()
    return first_ms if stream else (time.perf_counter() - began_s) * 1000


# The parts


@asynccontextmanager
async def _place(root: Path) -> AsyncIterator[tuple[int, Models]]:
    """A provider, a relay and a proxy as processes, and a session that may ask."""
    place = assembly.installation(root / "data")
    settings.write(place.data, {"listen": "127.0.0.1:0"})
    chosen = settings.load(place.data)
    owner = SecretKey.generate(secrets.token_bytes)
    roles = await asyncio.to_thread(assembly.prepare, place, chosen, owner.public)
    async with AsyncExitStack() as stack:
        provider = await stack.enter_async_context(
            a_provider("tests.model_provider", root / "provider.log", KEY)
        )
        await asyncio.to_thread(_configure, place.signer, provider.url)
        relay = assembly.relay_argv(place, chosen)
        await stack.enter_async_context(_program(relay, "relay: ready"))
        proxy = models.proxy(
            place.signer, place.key("model"), place.roles_file, place.relay_address,
            place.run / "s",
        )  # fmt: skip
        await stack.enter_async_context(_program(proxy.argv, proxy.ready))
        router, session = read_key(place.key("router")), SecretKey.generate(secrets.token_bytes)
        link = await stack.enter_async_context(connect(place.relay_address, [router]))
        author = Author(link, router)
        grant = grants.of_session(
            session.public, str(uuid4()), secrets.token_hex(32), is_main=False,
            now_s=author.now_s(), wall_clock_s=3_600, models=SCOPE,
        )  # fmt: skip
        if refusal := (await author.grant(grant, deadline_s=10)).refusal:
            raise RuntimeError(f"the relay refused the grant: {refusal}")
        assert roles.model is not None
        socket = place.run / "s" / session.public[:16] / "model.sock"
        yield provider.port, Models(session, time.time, str(socket))
    shutil.rmtree(place.run, ignore_errors=True)


def _configure(signer: Path, url: str) -> None:
    from subprocess import run as call

    ceiling = signer / "ceiling.toml"
    lines = ceiling.read_text().splitlines()
    table = lines.index(next(line for line in lines if line.startswith("[models]")))
    for n, line in enumerate(lines[table:], table):
        if "_per_day = " in line and "usd" in line:
            lines[n] = f"{line.split(' = ')[0]} = 1000000.0"
        elif "_per_day = " in line:
            lines[n] = f"{line.split(' = ')[0]} = 1000000000000"
    ceiling.write_text("\n".join(lines) + "\n")
    reads, writes = os.pipe()
    os.write(writes, KEY.encode())
    os.close(writes)
    argv = [
        sys.executable, "-m", "signer", "model", "add", "bench", "--data", str(signer),
        "--style", "anthropic", "--url", url, "--model", "echo=3/15", "--key-fd", str(reads),
    ]  # fmt: skip
    done = call(argv, pass_fds=[reads], capture_output=True, text=True, check=False)
    os.close(reads)
    if done.returncode != 0:
        raise RuntimeError(done.stderr)


@asynccontextmanager
async def _program(argv: tuple[str, ...], ready: str) -> AsyncIterator[None]:
    running = await asyncio.create_subprocess_exec(
        *argv,
        cwd=assembly.SOURCE_TREE,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
    )
    assert running.stdout is not None
    try:
        async with asyncio.timeout(START_WAIT_S):
            line = (await running.stdout.readline()).decode()
        if not line.startswith(ready):
            raise RuntimeError(f"{' '.join(argv[1:4])} did not start")
        yield
    finally:
        if running.returncode is None:
            running.terminate()
        await running.wait()
