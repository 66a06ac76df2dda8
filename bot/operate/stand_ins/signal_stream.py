"""Shell: the websocket of signal-cli-rest-api in `json-rpc` mode: what comes, one frame each.

It answers no request for one message or another: whoever is connected is given what comes while
it is, and what comes while nobody is, is gone.
Source: signal-cli-rest-api, api/api.go (handleSignalReceive, wsPong); RFC 6455.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Any

from websockets.frames import Opcode
from websockets.protocol import SERVER, Protocol, State
from websockets.utils import accept_key

from bot.operate.stand_ins.http import Answer, Request
from bot.operate.stand_ins.signal_account import SignalCli
from bot.operate.stand_ins.signal_cli import as_json
from bot.operate.stand_ins.signal_daemon import Daemon

MAX_FROM_CLIENT_BYTES = 512


def is_asked_for(request: Request) -> bool:
    """Say whether a request would leave HTTP for a websocket."""
    return (
        request.method == "GET"
        and request.headers.get("upgrade", "").lower() == "websocket"
        and "sec-websocket-key" in request.headers
    )


async def serve(
    cli: SignalCli, daemon: Daemon, request: Request, answer: Answer,
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter,
) -> None:  # fmt: skip
    """Push what comes for one account until the client goes. Raises ConnectionError."""
    number = request.path().rpartition("/")[2]
    protocol = Protocol(SERVER, state=State.OPEN, max_size=MAX_FROM_CLIENT_BYTES)

    def receive(params: dict[str, Any]) -> None:
        if cli.take("drops") is None and params.get("account") == number:
            with suppress(Exception):
                protocol.send_text(as_json(params).encode())
                flush()

    def flush() -> None:
        for data in protocol.data_to_send():
            if data:
                writer.write(data)

    early = await answer.switch(
        ("upgrade", "websocket"), ("connection", "Upgrade"),
        ("sec-websocket-accept", accept_key(request.headers["sec-websocket-key"])),
    )  # fmt: skip
    await daemon.listen(receive)
    try:
        protocol.receive_data(early)
        while data := await reader.read(65_536):
            protocol.receive_data(data)
            flush()  # pongs
            await writer.drain()
            if any(frame.opcode is Opcode.CLOSE for frame in _frames(protocol)):
                return
    finally:
        await daemon.leave(receive)


def _frames(protocol: Protocol) -> list[Any]:
    return [event for event in protocol.events_received() if hasattr(event, "opcode")]
