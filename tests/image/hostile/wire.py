"""Shell: frames by hand on the session's socket, for what the ordinary client does not send."""

from __future__ import annotations

import asyncio
import json
import secrets
import socket
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from websockets.asyncio.client import ClientConnection, unix_connect
from websockets.exceptions import ConnectionClosed

from nips import nip42
from nips.key import SecretKey
from relay_local.client import SOCKET_URL
from tests.image.hostile.attempt import SOCKET, Stopped

ANSWER_WAIT_S = 10.0


@asynccontextmanager
async def a_wire(*keys: SecretKey) -> AsyncIterator[ClientConnection]:
    """A connection that has authenticated with these keys. Raises Stopped where it cannot."""
    async with asyncio.timeout(ANSWER_WAIT_S):
        while True:
            connection, challenge = await _connect()
            if challenge is not None:
                break
            await asyncio.sleep(0.05)  # the relay has not seen the end of the one before
    try:
        for key in keys:
            proof = nip42.auth_template(key.public, challenge, SOCKET_URL, int(time.time()))
            event = proof.sign(key, secrets.token_bytes(32))
            await connection.send(json.dumps(["AUTH", event.to_json()]))
            ok = await answer(connection, "OK")
            if not ok[2]:
                raise Stopped(str(ok[3]))
        yield connection
    finally:
        await connection.close()


@asynccontextmanager
async def a_second() -> AsyncIterator[None]:
    """Another connection, at once; raises Stopped where it is closed."""
    connection, challenge = await _connect()
    await connection.close()
    if challenge is None:
        raise Stopped("closed: one connection at a time")
    yield


async def _connect() -> tuple[ClientConnection, str | None]:
    """A connection and its challenge; None where it was closed instead."""
    connection = await unix_connect(SOCKET, SOCKET_URL, compression=None)
    try:
        return connection, str((await answer(connection, "AUTH"))[1])
    except ConnectionClosed:
        return connection, None


async def answer(connection: ClientConnection, *kinds: str) -> list[Any]:
    """The next frame of one of these kinds. Raises Stopped for a CLOSED or NEG-ERR instead."""
    async with asyncio.timeout(ANSWER_WAIT_S):
        while True:
            frame: list[Any] = json.loads(await connection.recv())
            if frame[0] in kinds:
                return frame
            if frame[0] in ("CLOSED", "NEG-ERR"):
                raise Stopped(str(frame[2]))


async def ask(connection: ClientConnection, *frame: object, until: str) -> list[Any]:
    """Send a frame; returns the answer of the kind `until`."""
    await connection.send(json.dumps(frame))
    return await answer(connection, until)


def http(request: bytes) -> str:
    """Send plain HTTP to the socket; returns the answer."""
    with socket.socket(socket.AF_UNIX) as plain:
        plain.settimeout(ANSWER_WAIT_S)
        plain.connect(SOCKET)
        plain.sendall(request)
        parts = []
        while part := plain.recv(65_536):
            parts.append(part)
        return b"".join(parts).decode(errors="replace")
