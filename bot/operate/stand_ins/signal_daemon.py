"""Shell: signal-cli as a daemon: its JSON-RPC, on TCP and within this process.

Requests run at once, none waits for another. What comes for any account goes to every connection,
as a notification, the moment that it comes, and is gone: whoever is connected has received it.
Source: signal-cli 0.14, man/signal-cli-jsonrpc.5.adoc, jsonrpc/*.java.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Mapping
from typing import Any

from bot.operate.stand_ins import signal_cli, signal_sending
from bot.operate.stand_ins.signal_account import CommandError, SignalCli
from bot.operate.stand_ins.signal_arguments import Options

INVALID_PARAMS, METHOD_NOT_FOUND, INTERNAL_ERROR = -32602, -32601, -32603
UNEXPECTED = 2  # as an exit code
# A program on the other side needs a moment to expect the answer to what it has just written.
ANSWER_S = 0.003
# As the service's JSON-RPC names them → as the command line does.
_NAMES = {
    "recipient": "recipient", "username": "username", "group-id": "group-id",
    "attachment": "attachment", "text-style": "text-style", "mentions": "mention",
    "quote-mentions": "quote-mention", "allRecipients": "all-recipients",
}  # fmt: skip

Receive = Callable[[dict[str, Any]], None]  # told of one notification's params; must not raise


class RpcError(Exception):
    """A request that failed, and the result that it gave nevertheless: `{}` for none."""

    def __init__(self, code: int, message: str, response: Any = None) -> None:
        super().__init__(message)
        self.code, self.response = code, response or {}


class Daemon:
    """The daemon; `serve` gives what waits to those who listen, for as long as it runs."""

    def __init__(self, cli: SignalCli) -> None:
        self._cli = cli
        self._listeners: set[Receive] = set()

    async def serve(self) -> None:
        """Hand over what comes, while anybody is connected."""
        while True:
            await self._cli.until(self._can_deliver, None)
            for account in self._cli.accounts.values():
                while account.waiting and self._listeners:
                    params = json.loads(account.waiting.popleft())
                    for listener in tuple(self._listeners):
                        listener(params)
            await asyncio.sleep(0)

    def _can_deliver(self) -> bool:
        return bool(self._listeners) and any(a.waiting for a in self._cli.accounts.values())

    async def listen(self, receive: Receive) -> None:
        """Have what comes given to somebody."""
        self._listeners.add(receive)
        self._cli.n_connected = len(self._listeners)
        await self._cli.changed()

    async def leave(self, receive: Receive) -> None:
        """Undo `listen`."""
        self._listeners.discard(receive)
        self._cli.n_connected = len(self._listeners)
        await self._cli.changed()

    async def request(self, method: str, params: Mapping[str, Any]) -> Any:
        """Do what a request asks. Returns its result. Raises RpcError."""
        try:
            if fault := self._cli.take("refuses", lambda f: f.command in ("", method)):
                raise CommandError(fault.code, fault.line)
            await self._cli.hold(method, late=False)
            result = await self._do(method, params)
            await self._cli.hold(method, late=True)
        except CommandError as error:
            code = INTERNAL_ERROR if error.code == UNEXPECTED else -error.code
            raise RpcError(code, str(error), error.result) from None
        return {} if result is None else result

    async def _do(self, method: str, params: Mapping[str, Any]) -> Any:
        match method:
            case "listAccounts":
                return signal_cli.accounts(self._cli)
            case "startLink":
                return {"deviceLinkUri": self._cli.begin_link().uri}
            case "finishLink":
                link = self._cli.links.get(params.get("deviceLinkUri", ""))
                if link is None:
                    raise CommandError(1, "Unknown device link uri.")
                return {"number": await self._cli.finish_link(link, params.get("deviceName", ""))}
        number = params.get("account", "")
        if number not in self._cli.accounts:
            raise RpcError(INVALID_PARAMS, "Specified account does not exist")
        account, options = self._cli.accounts[number], options_of(method, params)
        if method == "send":
            text = params.get("message", "")
            return await signal_sending.send(self._cli, account, options, text)
        if method == "submitRateLimitChallenge":
            return await signal_sending.solve(self._cli, account, options)
        if act := signal_sending.ACTS.get(method):
            return await act(self._cli, account, options)
        lists: dict[str, Callable[[], Any]] = {
            "listGroups": lambda: list(account.groups.values()),
            "listContacts": lambda: signal_cli.contacts(account, options),
            "listIdentities": lambda: signal_cli.identities(account),
        }
        if method in lists:
            return lists[method]()
        raise RpcError(METHOD_NOT_FOUND, "Method not implemented")

    # --- on TCP -------------------------------------------------------------------------------

    async def connection(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:  # fmt: skip
        """Serve one connection, a JSON object a line in both directions."""
        tasks: set[asyncio.Task[None]] = set()

        def receive(params: dict[str, Any]) -> None:
            write_line(writer, {"jsonrpc": "2.0", "method": "receive", "params": params})

        await self.listen(receive)
        try:
            while line := await reader.readline():
                task = asyncio.create_task(self._answer(json.loads(line), writer))
                tasks.add(task)
                task.add_done_callback(tasks.discard)
        except ConnectionError:
            pass
        finally:
            await self.leave(receive)
            for task in tasks:
                task.cancel()
            writer.close()

    async def _answer(self, request: Mapping[str, Any], writer: asyncio.StreamWriter) -> None:
        answer: dict[str, Any] = {"jsonrpc": "2.0", "id": request["id"]}
        try:
            answer["result"] = await self.request(request["method"], request.get("params") or {})
        except RpcError as error:
            data = {"response": error.response} if error.response else None
            answer["error"] = {"code": error.code, "message": str(error), "data": data}
        await asyncio.sleep(ANSWER_S)
        write_line(writer, answer)


def write_line(writer: asyncio.StreamWriter, value: object) -> None:
    """One line of JSON, unless nobody is there any more."""
    if not writer.is_closing():
        writer.write(signal_cli.as_json(value).encode() + b"\n")


def options_of(method: str, params: Mapping[str, Any]) -> Options:
    """A request's parameters as a command line's options."""
    values: dict[str, list[str]] = {}
    for name, value in params.items():
        if name in ("account", "message") or value is False or value is None:
            continue
        given = value if isinstance(value, (list, tuple)) else [] if value is True else [value]
        values[_NAMES.get(name, name)] = [str(one) for one in given]
    # signal-cli knows no such name, and takes every receipt for one of reading.
    values.pop("receipt-type", None)
    return Options(method, values=values)
