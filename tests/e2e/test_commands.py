"""The commands a person types, as processes: up, chat, demo, and their Ctrl-C."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import docker
import pytest

from bot.engine.host import Engine
from bot.operate.assembly import SOURCE_TREE
from bot.operate.house import free_ports
from config import settings
from config.runtime import runtime_dir
from nips.key import SecretKey
from nips.nip19 import encode_npub
from tests.e2e.conftest import containers_of
from tests.relay_process import relay_process

OWNER = encode_npub(SecretKey(bytes([7]) * 32).public)


@asynccontextmanager
async def command(*arguments: str, **environ: str) -> AsyncIterator[asyncio.subprocess.Process]:
    """`nostrclaw …` in a session of its own, ended by Ctrl-C if it still runs."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "bot.cli", *arguments,
        cwd=SOURCE_TREE,
        env=os.environ | environ,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        start_new_session=True,
    )  # fmt: skip
    try:
        yield process
    finally:
        if process.returncode is None:
            interrupt(process)
            await asyncio.wait_for(process.wait(), 60)


def interrupt(process: asyncio.subprocess.Process) -> None:
    """What Ctrl-C does: SIGINT to the whole foreground group."""
    os.killpg(process.pid, signal.SIGINT)


async def until(process: asyncio.subprocess.Process, words: str, timeout_s: float = 90) -> str:
    """What it says, up to the line that holds `words`."""
    assert process.stdout is not None
    said = ""
    async with asyncio.timeout(timeout_s):
        async for line in process.stdout:
            said += line.decode(errors="replace")
            if words in said:
                return said
    raise AssertionError(f"it never said {words!r}, but:\n{said}")


async def outcome(*arguments: str, **environ: str) -> tuple[int, str]:
    """Run a command to its end: its status and what it said."""
    async with command(*arguments, **environ) as process:
        said, _ = await asyncio.wait_for(process.communicate(), 120)
        assert process.returncode is not None
        return process.returncode, said.decode(errors="replace")


@pytest.fixture
async def prepared(
    tmp_path: Path, engine: Engine, agent_image: str
) -> AsyncIterator[tuple[Path, dict[str, str]]]:
    """A data folder whose settings name a free port and a public relay on loopback."""
    data = tmp_path / "data"
    data.mkdir()
    async with relay_process(tmp_path / "public", "--open") as public:
        listen = f"127.0.0.1:{free_ports(1)[0]}"
        settings.write(data, {"listen": listen, "relays": [public.url]})
        yield data, {"DOCKER_HOST": engine.url}


def children_of(data: Path) -> dict[str, int]:
    """The programs that the supervisor says it runs."""
    status = json.loads((runtime_dir(data) / "status.json").read_text())
    return {name: found["pid"] for name, found in status["programs"].items() if found["pid"]}


async def test_up_and_chat_and_ctrl_c(
    prepared: tuple[Path, dict[str, str]], docker_client: docker.DockerClient
) -> None:
    data, environ = prepared
    async with command("up", "--data", str(data), "--owner", OWNER, **environ) as up:
        said = await until(up, "nostrclaw is up")
        assert "npub1" in said
        assert "nostr:nprofile1" in said
        assert "█" in said  # the QR code
        assert "Next:" in said

        status, answer = await outcome("chat", "/say from here", "--data", str(data), "--json")
        assert status == 0, answer
        assert json.loads(answer)["answer"] == "from here"

        status, words = await outcome("up", "--data", str(data), "--owner", OWNER, **environ)
        assert status == 1
        assert "already runs" in words

        pids = children_of(data)
        assert set(pids) == {"relay", "signer", "bot"}
        interrupt(up)
        assert await asyncio.wait_for(up.wait(), 60) == 0
    assert not [name for name, pid in pids.items() if Path(f"/proc/{pid}").exists()]
    assert containers_of(docker_client, data) == []

    status, words = await outcome("chat", "anybody?", "--data", str(data))
    assert status == 1
    assert "Start it first" in words


async def test_without_an_owner_up_shows_a_code(prepared: tuple[Path, dict[str, str]]) -> None:
    data, environ = prepared
    async with command("up", "--data", str(data), **environ) as up:
        said = await until(up, "nostrclaw is up")
    assert "send it the code" in said
    code = said.partition("send it the code ")[2].split()[0]
    for path in (p for p in data.rglob("*") if p.is_file()):
        assert code.encode() not in path.read_bytes(), f"{path} holds the code"


async def test_a_taken_port_is_one_sentence(prepared: tuple[Path, dict[str, str]]) -> None:
    data, environ = prepared
    port = settings.load(data).listen.rpartition(":")[2]
    server = await asyncio.start_server(lambda _r, w: w.close(), "127.0.0.1", int(port))
    async with server:
        status, said = await outcome("up", "--data", str(data), "--owner", OWNER, **environ)
    assert status != 0
    assert port in said.splitlines()[-1]
    assert "Traceback" not in said


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("up", "--owner", "npub1nonsense"), "--owner"),
        (("up", "--data", str(SOURCE_TREE / "data")), "elsewhere"),
        (("up", "--data", "/proc/nowhere"), "cannot be made"),
    ],
)
async def test_a_mistake_is_one_sentence(arguments: tuple[str, ...], words: str) -> None:
    status, said = await outcome(*arguments)
    assert status in (1, 2)
    assert words in said
    assert "Traceback" not in said


async def test_the_demonstration(engine: Engine, agent_image: str) -> None:
    status, said = await outcome("demo", DOCKER_HOST=engine.url)
    assert status == 0, said
    assert said.rstrip().splitlines()[-1] == "demo: ok"


async def test_ctrl_c_in_the_demonstration_leaves_nothing(
    engine: Engine, agent_image: str, tmp_path: Path, docker_client: docker.DockerClient
) -> None:
    environ = {"DOCKER_HOST": engine.url, "TMPDIR": str(tmp_path)}
    async with command("demo", **environ) as demo:
        await until(demo, "pairs with the one-time code")
        (place,) = tmp_path.glob("nostrclaw-*")
        pids = children_of(place / "data")
        run = runtime_dir(place / "data")
        interrupt(demo)
        assert await asyncio.wait_for(demo.wait(), 60) == 130
    assert not [name for name, pid in pids.items() if Path(f"/proc/{pid}").exists()]
    assert list(tmp_path.iterdir()) == []
    assert not run.exists()
    assert containers_of(docker_client, place / "data") == []
