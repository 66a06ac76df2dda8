"""Shell: the door by which Signal's stand-in is driven: what people write, what they get, faults.

Plain HTTP with JSON under `/stand-in/`:

    POST messages   [{account, envelope}, …]   they wait to be received; {"line": "…"} as it is
    GET  sent       ?account=&kind=            what was sent …
    GET  calls      ?path=                     what the service was asked …
                    … &at_least=&timeout_s=    once there is so much of it, or the time is over
    GET  state      ?waiting=&timeout_s=       its numbers, once they are so, or the time is over
    POST faults     [fault, …]                 instead of those before
    POST release                               what stands still goes on
    POST groups     {account, group}           as signal-cli lists them
    POST contacts   {account, contact}
    POST files      {id, base64}               an attachment that was received
    POST scan       {number, uri?}             a phone scans the address; the last one
    POST expire     {}                         the addresses to scan are good no more
    POST accounts   {number, aci?}
    POST service    {up}                       the service goes, and comes back on its port
    POST run        {arguments, stdin}         signal-cli itself: prints as it goes, a line each
"""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any, Protocol

import h11

from bot.operate.stand_ins import signal_cli, signal_faults
from bot.operate.stand_ins.http import Answer, Request, read_request
from bot.operate.stand_ins.signal_account import SignalCli

ROOT = "/stand-in/"


class Service(Protocol):
    """What the door must know of the service that it belongs to."""

    calls: list[dict[str, Any]]

    async def open(self) -> None: ...
    async def close(self) -> None: ...


class Door:
    """Serves the door's connections."""

    def __init__(self, cli: SignalCli, service: Service) -> None:
        self._cli, self._service = cli, service
        self._handles: dict[tuple[str, str], Callable[[Request], Awaitable[Any]]] = {
            ("POST", "messages"): self._messages, ("GET", "sent"): self._sent,
            ("GET", "calls"): self._calls, ("GET", "state"): self._state,
            ("POST", "faults"): self._faults, ("POST", "release"): self._release,
            ("POST", "groups"): self._groups, ("POST", "contacts"): self._contacts,
            ("POST", "files"): self._files, ("POST", "scan"): self._scan,
            ("POST", "expire"): self._expire,
            ("POST", "accounts"): self._accounts, ("POST", "service"): self._up,
        }  # fmt: skip

    async def connection(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:  # fmt: skip
        """Serve one connection."""
        connection = h11.Connection(h11.SERVER)
        try:
            with suppress(ConnectionError, h11.ProtocolError):
                while (request := await read_request(connection, reader)) is not None:
                    await self._answer(request, Answer(connection, writer), reader)
                    if connection.our_state is not h11.DONE:
                        return
                    connection.start_next_cycle()
        finally:
            writer.close()

    async def _answer(
        self, request: Request, answer: Answer, reader: asyncio.StreamReader
    ) -> None:  # fmt: skip
        name = request.path().removeprefix(ROOT)
        if (request.method, name) == ("POST", "run"):
            await self._run(request.fields(), answer, reader)
        elif handle := self._handles.get((request.method, name)):
            try:
                await answer.whole(200, await handle(request))
            except (LookupError, TypeError, ValueError) as error:
                await answer.whole(400, {"error": repr(error)})
        else:
            await answer.whole(404, {"error": "There is no such thing here."})

    # --- what happens on Signal ---------------------------------------------------------------

    async def _messages(self, request: Request) -> Any:
        for message in request.fields():
            number = message.get("account") or next(iter(self._cli.accounts))
            line = message.get("line")
            whole = {"envelope": message.get("envelope"), "account": number, **message}
            self._cli.accounts[number].waiting.append(line or signal_cli.as_json(whole))
        await self._cli.changed()
        return {}

    async def _groups(self, request: Request) -> Any:
        given = request.fields()
        self._cli.accounts[given["account"]].groups[given["group"]["id"]] = given["group"]
        return {}

    async def _contacts(self, request: Request) -> Any:
        given = request.fields()
        self._cli.accounts[given["account"]].contacts[given["contact"]["uuid"]] = given["contact"]
        return {}

    async def _files(self, request: Request) -> Any:
        given = request.fields()
        self._cli.attachments.mkdir(parents=True, exist_ok=True)
        path = self._cli.attachments / given["id"]
        await asyncio.to_thread(path.write_bytes, base64.b64decode(given["base64"]))
        return {}

    async def _accounts(self, request: Request) -> Any:
        given = request.fields()
        return {"aci": self._cli.add(given["number"], given.get("aci", "")).aci}

    async def _scan(self, request: Request) -> Any:
        given = request.fields()
        waiting = [link for link in self._cli.links.values() if not link.scanned.done()]
        link = self._cli.links[given["uri"]] if given.get("uri") else waiting[-1]
        link.scanned.set_result(given["number"])
        return {"name": link.name}

    async def _expire(self, request: Request) -> Any:
        for link in self._cli.links.values():
            if not link.scanned.done():
                link.scanned.set_exception(TimeoutError())
        return {}

    # --- what is seen of it -------------------------------------------------------------------

    async def _sent(self, request: Request) -> Any:
        query = request.query()

        def found() -> list[dict[str, Any]]:
            kind = query.get("kind")
            account = query.get("account") or ""
            return [
                sent
                for sent in self._cli.sent
                if kind in (None, sent["kind"]) and account in ("", sent["account"])
            ]

        await self._wait(query, lambda: len(found()) >= int(query.get("at_least", 0)))
        return found()

    async def _calls(self, request: Request) -> Any:
        query = request.query()

        def found() -> list[dict[str, Any]]:
            path = query.get("path", "")
            return [call for call in self._service.calls if call["path"].startswith(path)]

        await self._wait(query, lambda: len(found()) >= int(query.get("at_least", 0)))
        return found()

    async def _state(self, request: Request) -> Any:
        query, cli = request.query(), self._cli
        one = query.get("account", "")
        accounts = [a for a in cli.accounts.values() if one in ("", a.number)]

        def state() -> dict[str, int]:
            return {
                "held": cli.n_held,
                "listening": cli.n_listening,
                "connected": cli.n_connected,
                "waiting": sum(len(account.waiting) for account in accounts),
                "links": len(cli.links),
            }

        def is_so() -> bool:
            now = state()
            return all(now[name] == int(query[name]) for name in now if name in query)

        await self._wait(query, is_so)
        return {**state(), "accounts": {a.number: a.aci for a in cli.accounts.values()}}

    async def _wait(self, query: dict[str, str], holds: Callable[[], bool]) -> None:
        await self._cli.until(holds, float(query.get("timeout_s", 0)))

    # --- what goes wrong ----------------------------------------------------------------------

    async def _faults(self, request: Request) -> Any:
        self._cli.faults = [signal_faults.read(value) for value in request.fields()]
        return {}

    async def _release(self, request: Request) -> Any:
        self._cli.release()
        return {}

    async def _up(self, request: Request) -> Any:
        await (self._service.open if request.fields()["up"] else self._service.close)()
        return {}

    # --- signal-cli as a program --------------------------------------------------------------

    async def _run(
        self, given: dict[str, Any], answer: Answer, reader: asyncio.StreamReader
    ) -> None:  # fmt: skip
        async def write(stream: str, line: str) -> None:
            await answer.piece(json.dumps({stream: line}).encode() + b"\n")

        await answer.begin(200, ("content-type", "application/x-ndjson"))
        task = asyncio.create_task(
            signal_cli.run(self._cli, given["arguments"], given["stdin"], write)
        )
        killed = asyncio.create_task(reader.read())  # the program sends nothing more: it has gone
        await asyncio.wait({task, killed}, return_when=asyncio.FIRST_COMPLETED)
        killed.cancel()
        if not task.done():
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            raise ConnectionError
        await answer.piece(json.dumps({"exit": task.result()}).encode() + b"\n")
        await answer.end()
