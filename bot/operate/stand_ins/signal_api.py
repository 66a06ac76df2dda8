"""Shell: a stand-in for signal-cli-rest-api: its HTTP, as the real service answers it.

    python -m bot.operate.stand_ins.signal_api [--port 0] [--mode normal|native|json-rpc]
        [--number +49…]… [--data DIR] [--command-timeout 120] [--version 0.98] [--daemon]

It says `signal: ready PORT DOOR DAEMON`. On the first port it is the service; on the second it is
driven (`signal_door.py`); the third, with `--daemon`, is its signal-cli's JSON-RPC, for the real
service to connect to. Nothing of it reaches Signal.
Source: signal-cli-rest-api, api/api.go.
"""

from __future__ import annotations

import argparse
import asyncio
import signal
import socket
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import h11

from bot.operate.stand_ins.http import Answer, Reply, Request, read_request
from bot.operate.stand_ins.signal_account import SignalCli
from bot.operate.stand_ins.signal_client import MODES, Client
from bot.operate.stand_ins.signal_daemon import Daemon
from bot.operate.stand_ins.signal_door import Door
from bot.operate.stand_ins.signal_routes import Routes
from bot.operate.stand_ins.signal_stream import Streams, is_asked_for

VERSION = "0.98"


class Api:
    """The service; `open` and `close` are its beginning and its end, on one port."""

    def __init__(self, cli: SignalCli, daemon: Daemon, client: Client, routes: Routes) -> None:
        self._cli, self._daemon, self._client, self._routes = cli, daemon, client, routes
        self._streams = Streams(cli)
        self.calls: list[dict[str, Any]] = []
        self.port = 0
        self._server: asyncio.Server | None = None
        self._connections: dict[asyncio.Task[None], asyncio.StreamWriter] = {}

    async def open(self, port: int = 0) -> None:
        """Serve, on the former port where none is named. Raises OSError."""
        if self._client.is_rpc:
            await self._daemon.listen(self._streams.hand_over)
        self._server = await asyncio.start_server(
            self._connected, "127.0.0.1", port or self.port, family=socket.AF_INET
        )
        self.port = self._server.sockets[0].getsockname()[1]

    async def close(self) -> None:
        """Be away: the port refuses, connections are cut, commands killed with what they took."""
        if self._server is None:
            return
        self._server.close()
        self._server = None
        self._client.kill()
        await self._daemon.leave(self._streams.hand_over)
        for task, writer in self._connections.items():
            writer.transport.abort()
            task.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)

    async def _connected(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:  # fmt: skip
        task = asyncio.current_task()
        assert task is not None
        self._connections[task] = writer
        connection = h11.Connection(h11.SERVER)
        try:
            with suppress(ConnectionError, h11.ProtocolError, asyncio.CancelledError):
                while (request := await read_request(connection, reader)) is not None:
                    answer = Answer(connection, writer)
                    noted = await self._note(request)
                    if self._client.is_rpc and is_asked_for(request):
                        await self._streams.serve(request, answer, reader, writer)
                        return
                    reply = await self._reply(request)
                    await answer.reply(reply)
                    noted |= {"answered": time.time(), "n_bytes": len(reply.body)}
                    if connection.our_state is not h11.DONE:
                        return
                    connection.start_next_cycle()
        finally:
            self._connections.pop(task, None)
            writer.close()

    async def _note(self, request: Request) -> dict[str, Any]:
        noted = {
            "method": request.method, "path": request.path(), "query": request.query(),
            "body": request.fields(),
        }  # fmt: skip
        self.calls.append(noted)
        await self._cli.changed()
        return noted

    async def _reply(self, request: Request) -> Reply:
        """Raises ConnectionError, to hang up on the caller."""
        path = request.path()
        if fault := self._cli.take("answers", lambda f: path.startswith(f.path)):
            return Reply(fault.status, fault.line.encode(), "text/plain; charset=utf-8")
        if self._cli.take("cut", lambda f: path.startswith(f.path) and not f.late):
            raise ConnectionError
        # What a request began goes on to its end, whether or not the caller is still there.
        reply = await self._routes.reply(request)
        if self._cli.take("cut", lambda f: path.startswith(f.path) and f.late):
            raise ConnectionError
        return reply


async def serve(arguments: argparse.Namespace, data: Path) -> None:
    """Be the process, until a signal ends it."""
    task = asyncio.current_task()
    assert task is not None
    # Ended so, and not at once, it leaves no folder behind.
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    cli = SignalCli(data / "attachments")
    for number in arguments.number:
        cli.add(number)
    daemon = Daemon(cli)
    client = Client(arguments.mode, cli, daemon, arguments.command_timeout)
    api = Api(cli, daemon, client, Routes(client, cli, arguments.version))
    await api.open(arguments.port)
    door = await asyncio.start_server(Door(cli, api).connection, "127.0.0.1", 0, limit=2**26)
    ports = [api.port, door.sockets[0].getsockname()[1]]
    if arguments.daemon:
        tcp = await asyncio.start_server(daemon.connection, "127.0.0.1", 0, limit=2**26)
        ports.append(tcp.sockets[0].getsockname()[1])
    print("signal: ready", *ports, flush=True)  # noqa: T201 - whoever started it reads this
    await daemon.serve()


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="signal_api", description=__doc__)
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--mode", choices=MODES, default=MODES[0])
    parser.add_argument("--number", action="append", default=[])
    parser.add_argument("--data", type=Path)
    parser.add_argument("--command-timeout", type=float, default=120.0)
    parser.add_argument("--version", default=VERSION)
    parser.add_argument("--daemon", action="store_true")
    arguments = parser.parse_args()
    with (
        tempfile.TemporaryDirectory() as folder,
        suppress(KeyboardInterrupt, asyncio.CancelledError),
    ):
        asyncio.run(serve(arguments, arguments.data or Path(folder)))


if __name__ == "__main__":
    main()
