"""The real signal-cli-rest-api over a signal-cli of ours, driven like the stand-in.

    SIGNAL_API_BIN=/path/to/signal-cli-rest-api

In `normal` mode it runs tests/signal/signal_cli.py for `signal-cli`; in `json-rpc` mode it
connects to the stand-in's daemon. The account lives in the stand-in's process either way, so the
same door says what comes and shows what went.
"""

from __future__ import annotations

import asyncio
import os
import socket
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import httpx

from bot.operate.stand_ins.signal_service import SignalService, entered, process

BINARY = os.environ.get("SIGNAL_API_BIN", "")
NATIVE = Path("/usr/bin/signal-cli-native")  # without it `native` is `normal`
READY = b"Listening and serving HTTP"
PROGRAM = Path(__file__).with_name("signal_cli.py")
MULTI_ACCOUNT = "<multi-account>"


class RealService(SignalService):
    """The service is a program of its own; the stand-in is only its signal-cli."""

    def __init__(
        self, url: str, door: httpx.AsyncClient, number: str, argv: Sequence[str],
        environment: dict[str, str],
    ) -> None:  # fmt: skip
        super().__init__(url, door, number)
        self._argv, self._environment = argv, environment
        self._process: asyncio.subprocess.Process | None = None
        self._log: asyncio.Task[None] | None = None

    async def start(self) -> None:
        self._process = await asyncio.create_subprocess_exec(
            *self._argv, env=self._environment, start_new_session=True,
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
        )  # fmt: skip
        output = self._process.stdout
        assert output is not None
        while READY not in (line := await output.readline()):
            assert line, "the service did not start"
        self._log = asyncio.create_task(drained(output))
        async with httpx.AsyncClient(trust_env=False) as client:
            while True:  # it says so before it listens
                try:
                    await client.get(f"{self.url}/v1/health")
                    return
                except httpx.ConnectError:
                    await asyncio.sleep(0.005)

    async def stop(self) -> None:
        if self._process is not None:
            os.killpg(self._process.pid, 9)  # and the programs that it runs, as a container's end
            await self._process.wait()
            self._process = None
        if self._log is not None:
            await self._log


async def drained(stream: asyncio.StreamReader) -> None:
    """Read the service's log, so that it is not held up by it."""
    while await stream.read(65_536):
        pass


@asynccontextmanager
async def a_real_service(
    folder: Path, mode: str, number: str = "", *, command_timeout_s: int = 120
) -> AsyncIterator[RealService]:
    """Run it for the length of the block. folder: an empty one, for all that it writes."""
    more = ["--number", number] if number else []
    data = folder / "signal-cli"
    data.mkdir()
    async with process("--daemon", "--data", str(data), *more) as (_, door, daemon):
        environment = {
            "PATH": f"{programs(folder)}:{os.environ['PATH']}",
            "PORT": str(free_port()), "MODE": mode, "BUILD_VERSION": "0.98",
            "SIGNAL_STAND_IN_DOOR": f"127.0.0.1:{door}",
        }  # fmt: skip
        if mode == "json-rpc":
            config = f"config:\n  {MULTI_ACCOUNT}:\n    tcp_port: {daemon}\n"
            (data / "jsonrpc2.yml").write_text(config)
        else:
            environment["SIGNAL_CLI_CMD_TIMEOUT"] = str(command_timeout_s)
        argv = [BINARY, "-signal-cli-config", str(data), "-attachment-tmp-dir", f"{folder}/"]
        async with entered(door) as client:
            url = f"http://127.0.0.1:{environment['PORT']}"
            service = RealService(url, client, number, argv, environment)
            try:
                await service.start()
                yield service
            finally:
                await service.stop()


def programs(folder: Path) -> Path:
    """A folder that holds a program called signal-cli."""
    found = folder / "bin"
    found.mkdir()
    program = found / "signal-cli"
    program.write_text(f"#!{sys.executable} -SE\n{PROGRAM.read_text()}")
    program.chmod(0o755)
    return found


def free_port() -> int:
    """A port that nobody has at this moment."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return int(taken.getsockname()[1])
