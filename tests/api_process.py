"""What the stand-ins of language model providers share: each is an HTTP server, a process.

    python -m tests.MODULE LOG      the API key comes on stdin, one line

It says `api: ready PORT`. LOG gets a JSON line for whatever a stand-in notes, and `gone` for each
caller that hung up.
"""

from __future__ import annotations

import asyncio
import json
import sys
from abc import ABC, abstractmethod
from collections.abc import Callable
from pathlib import Path
from typing import Any, Generic, TypeVar

import h11

from bot.operate.stand_ins.http import Answer, Request, read_request

__all__ = ["Answer", "ApiProcess", "Request", "run"]

To = TypeVar("To", bound=Answer)


class ApiProcess(ABC, Generic[To]):
    """Serves; a stand-in brings `_answer`, and the class that writes its answers."""

    def __init__(self, key: str, log: Path, answering: type[To]) -> None:
        self._key, self._log, self._answering = key, log, answering
        self._forever = asyncio.Event()  # waited for, it is silence

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connection = h11.Connection(h11.SERVER)
        try:
            while (request := await read_request(connection, reader)) is not None:
                await self._answer(self._answering(connection, writer), request)
                if connection.our_state is not h11.DONE:
                    return
                connection.start_next_cycle()
        except (ConnectionError, h11.RemoteProtocolError):
            self._note(gone=True)
        finally:
            writer.close()

    @abstractmethod
    async def _answer(self, to: To, request: Request) -> None:
        """May raise ConnectionError, to hang up on the caller."""

    def _note(self, **what: object) -> None:
        with self._log.open("a") as log:
            log.write(json.dumps(what) + "\n")


def run(api: Callable[[str, Path], ApiProcess[Any]]) -> None:
    """Be the process, until a signal ends it. api: makes it of the key and the log."""
    asyncio.run(_run(api))


async def _run(api: Callable[[str, Path], ApiProcess[Any]]) -> None:
    made = api(sys.stdin.readline().strip(), Path(sys.argv[1]))
    server = await asyncio.start_server(made.serve, "127.0.0.1", 0)
    print(f"api: ready {server.sockets[0].getsockname()[1]}", flush=True)
    async with server:
        await server.serve_forever()
