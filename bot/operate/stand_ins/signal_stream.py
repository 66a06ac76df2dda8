"""Shell: the websocket of signal-cli-rest-api in `json-rpc` mode: what comes, one frame each.

Whoever is connected is given what comes while it is. The service takes everything from signal-cli
the moment that it comes, so what comes while nobody is connected is gone.
Source: signal-cli-rest-api, api/api.go (handleSignalReceive, wsPong), client/jsonrpc2.go; RFC 6455.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from websockets.protocol import SERVER, Protocol, State
from websockets.utils import accept_key

from bot.operate.stand_ins.http import Answer, Request
from bot.operate.stand_ins.signal_account import SignalCli
from bot.operate.stand_ins.signal_cli import as_json

MAX_FROM_CLIENT_BYTES = 512


def is_asked_for(request: Request) -> bool:
    """Say whether a request would leave HTTP for the websocket."""
    return (
        request.method == "GET"
        and request.path().startswith("/v1/receive/")
        and request.headers.get("upgrade", "").lower() == "websocket"
        and "sec-websocket-key" in request.headers
    )


class Streams:
    """The websockets that are open."""

    def __init__(self, cli: SignalCli) -> None:
        self._cli = cli
        self._open: set[Callable[[dict[str, Any]], None]] = set()

    def hand_over(self, params: dict[str, Any]) -> None:
        """Give what came to everyone who is there for it."""
        for receive in tuple(self._open):
            if self._cli.take("drops") is None:
                receive(params)

    async def serve(
        self, request: Request, answer: Answer, reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
    ) -> None:  # fmt: skip
        """Push what comes for one account until the client goes. Raises ConnectionError."""
        number = request.path().rpartition("/")[2]
        protocol = Protocol(SERVER, state=State.OPEN, max_size=MAX_FROM_CLIENT_BYTES)

        def flush() -> None:
            for data in protocol.data_to_send():
                if data:
                    writer.write(data)

        def receive(params: dict[str, Any]) -> None:
            if params.get("account") == number and protocol.state is State.OPEN:
                protocol.send_text(as_json(params).encode())
                flush()

        early = await answer.switch(
            ("upgrade", "websocket"), ("connection", "Upgrade"),
            ("sec-websocket-accept", accept_key(request.headers["sec-websocket-key"])),
        )  # fmt: skip
        await self._count(lambda: self._open.add(receive))
        try:
            await _read(protocol, early, reader, flush)
        finally:
            await self._count(lambda: self._open.discard(receive))

    async def _count(self, change: Callable[[], None]) -> None:
        change()
        self._cli.n_listening = len(self._open)
        await self._cli.changed()


async def _read(
    protocol: Protocol, early: bytes, reader: asyncio.StreamReader, flush: Callable[[], None]
) -> None:
    """Read until the client has gone: all that it says is that it is there, or not any more."""
    if early:
        protocol.receive_data(early)
    while protocol.state is State.OPEN and (data := await reader.read(65_536)):
        protocol.receive_data(data)
        flush()  # the answers to pings, to a farewell, and to what is against the protocol
