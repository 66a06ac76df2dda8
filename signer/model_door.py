"""Shell: how a model proxy that started without a passphrase gets its keys.

Where a person keeps the passphrase the proxy starts locked and answers 503. `nostrclaw model
unlock` opens the keys in a process of its own and hands them, not the passphrase, through
`DATA/signer/models/unlock.sock`, which only the same user and root reach.

    caller → {"anthropic": "sk-…"}, one line of JSON
    caller ← the names that were taken, one line of JSON
"""

from __future__ import annotations

import asyncio
import json
import os
import socket
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

from signer.keystore import KeystoreError

SOCKET = "unlock.sock"
MAX_LINE_BYTES = 1 << 20
ANSWER_S = 10.0

Take = Callable[[Mapping[str, bytes]], list[str]]  # returns the names that were taken


async def open_door(folder: Path, take: Take) -> asyncio.Server:
    """Listen for keys. Raises OSError."""
    listening = _bound(folder)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError, ValueError, TimeoutError):
            async with asyncio.timeout(ANSWER_S):
                given = json.loads(await reader.readline())
                taken = take({str(name): str(key).encode("ascii") for name, key in given.items()})
                writer.write(json.dumps(taken).encode() + b"\n")
                await writer.drain()
        writer.close()

    return await asyncio.start_unix_server(serve, sock=listening, limit=MAX_LINE_BYTES)


def hand_over(folder: Path, keys: Mapping[str, bytes]) -> list[str]:
    """Give a running proxy its keys; returns the names that it took. Raises KeystoreError."""
    with socket.socket(socket.AF_UNIX) as caller:
        caller.settimeout(ANSWER_S)
        try:
            with _in_folder(folder):
                caller.connect(SOCKET)
        except OSError as error:
            raise KeystoreError(
                "No model proxy runs here. Start nostrclaw up, then unlock again."
            ) from error
        try:
            line = json.dumps({name: key.decode("ascii") for name, key in keys.items()})
            caller.sendall(line.encode() + b"\n")
            with caller.makefile("rb") as answer:
                taken: list[str] = json.loads(answer.readline())
        except (OSError, ValueError) as error:
            raise KeystoreError("The model proxy gave no answer; see its log.") from error
    return taken


def _bound(folder: Path) -> socket.socket:
    listening = socket.socket(socket.AF_UNIX)
    with _in_folder(folder):
        Path(SOCKET).unlink(missing_ok=True)
        before = os.umask(0o077)
        try:
            listening.bind(SOCKET)
        finally:
            os.umask(before)
    return listening


@contextmanager
def _in_folder(folder: Path) -> Iterator[None]:
    """A Unix socket's path has 107 bytes; a folder's may have more."""
    before = Path.cwd()
    os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(before)
