"""Shell: what signal-cli-rest-api does with signal-cli: a program a request, or its JSON-RPC.

In `normal` and `native` mode each request runs one command to its end and takes both of its
outputs for the answer, one behind the other. In `json-rpc` mode it asks the daemon.
Source: signal-cli-rest-api, client/cli.go, client/client.go, client/jsonrpc2.go.
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Mapping, Sequence
from typing import Any

from bot.operate.stand_ins import signal_cli
from bot.operate.stand_ins.signal_account import SignalCli
from bot.operate.stand_ins.signal_daemon import Daemon, RpcError
from bot.operate.stand_ins.signal_files import data_uri
from bot.operate.stand_ins.signal_printed import ServiceError, array, decoded, without_warnings
from bot.operate.stand_ins.signal_recipients import GROUP, InvalidRecipient, Recipients, internal
from bot.operate.stand_ins.signal_requests import written
from bot.operate.stand_ins.signal_sending import RAW
from bot.operate.stand_ins.signal_text import styled

RATE_LIMIT, UNTRUSTED = -5, -4
JSON_RPC = "json-rpc"
MODES = ("normal", "native", JSON_RPC)
_RPC_TO = {"group": "group-id", "number": "recipient", "name": "username"}
_CLI_TO = {"group": ["-g"], "number": [], "name": ["-u"]}


class Client:
    """One per service. command_timeout_s: how long a command may run before it is killed."""

    def __init__(self, mode: str, cli: SignalCli, daemon: Daemon, command_timeout_s: float) -> None:
        self.mode, self._cli, self._daemon = mode, cli, daemon
        self._command_timeout_s = command_timeout_s
        self._running: set[asyncio.Task[int]] = set()

    @property
    def is_rpc(self) -> bool:
        return self.mode == JSON_RPC

    def kill(self) -> None:
        """End every command that runs, as when the whole container stops."""
        for task in self._running:
            task.cancel()

    # --- running it ---------------------------------------------------------------------------

    async def execute(self, arguments: Sequence[str], stdin: str = "") -> str:
        """Run a command to its end. Returns what it printed. Raises ServiceError."""
        if any("\0" in argument for argument in arguments):
            raise ServiceError("fork/exec /usr/bin/signal-cli: invalid argument")
        printed: dict[str, list[str]] = {"out": [], "err": []}

        async def write(stream: str, line: str) -> None:
            printed[stream].append(line + "\n")

        task = self._start(arguments, stdin, write)
        done, _ = await asyncio.wait({task}, timeout=self._command_timeout_s)
        if not done:
            task.cancel()
            raise ServiceError("process killed as timeout reached")
        whole = "".join(printed["out"] + printed["err"])
        if task.result() != 0:
            raise ServiceError(whole)
        return without_warnings(whole)

    async def first_line(self, arguments: Sequence[str]) -> str:
        """Run a command until it has printed a line, and let it run on; "" where it has none."""
        first: asyncio.Future[str] = asyncio.get_running_loop().create_future()

        async def write(stream: str, line: str) -> None:
            if stream == "out" and not first.done():
                first.set_result(line)

        task = self._start(arguments, "", write)
        ends: set[asyncio.Future[Any]] = {task, first}
        await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
        return first.result() if first.done() else ""

    def _start(self, arguments: Sequence[str], stdin: str, write: Any) -> asyncio.Task[int]:
        task = asyncio.create_task(signal_cli.run(self._cli, arguments, stdin, write))
        self._running.add(task)
        task.add_done_callback(self._running.discard)
        return task

    async def rpc(self, method: str, number: str | None, params: Mapping[str, Any]) -> Any:
        """Ask the daemon. Raises ServiceError."""
        account = {} if number is None else {"account": number}
        try:
            return await self._daemon.request(method, {**params, **account})
        except RpcError as error:
            if error.code == RATE_LIMIT:
                results = error.response.get("results") or []
                raise ServiceError(str(error), [r.get("token", "") for r in results]) from None
            if error.code == UNTRUSTED:
                text = "Unable to complete request due to untrusted recipient keys"
                raise ServiceError(text) from None
            raise ServiceError(str(error)) from None

    async def _ask(
        self, number: str, command: Sequence[str], method: str, params: Mapping[str, Any]
    ) -> Any:
        """The JSON of a command's output, or of the daemon's answer. Raises ServiceError."""
        if self.is_rpc:
            return await self.rpc(method, number, params)
        return decoded(await self.execute(["--output", "json", "-a", number, *command]))

    # --- what it is asked for -----------------------------------------------------------------

    async def receive(self, number: str, timeout: int, most: int, flags: Sequence[str]) -> str:
        """What waits, as an array: every line of the output is taken for an element of it."""
        command = ["--output", "json", "-a", number, "receive", "-t", str(timeout), *flags]
        if most > 0:
            command += ["--max-messages", str(most)]
        return array(await self.execute(command))

    async def send(self, number: str, to: Recipients, body: Mapping[str, Any]) -> Any:
        """One message. Returns signal-cli's outcome. Raises ServiceError."""
        text: str = body["message"]
        RAW.set(text)
        ranges: tuple[str, ...] = ()
        if body.get("text_mode") == "styled":
            made = styled(text)
            text, ranges = made.text, made.ranges
        files = [
            data_uri(value, str(uuid.uuid4())) for value in body.get("base64_attachments") or []
        ]
        many = {
            "text-style": ranges,
            "attachment": files,
            "mention": [written(mention) for mention in body.get("mentions") or []],
            "quote-mention": [written(mention) for mention in body.get("quote_mentions") or []],
        }
        one = {
            name: body.get(name.replace("-", "_"))
            for name in ("sticker", "quote-timestamp", "quote-author", "quote-message",
                         "edit-timestamp")
        }  # fmt: skip
        notify = body.get("notify_self") is not False
        once = bool(body.get("view_once"))
        if self.is_rpc:
            names = {"mention": "mentions", "quote-mention": "quote-mentions"}
            params = {
                _RPC_TO[to.kind]: to.ids[0] if to.kind == "group" else to.ids, "message": text,
                **{names.get(name, name): values for name, values in many.items()}, **one,
                "notify-self": notify, "view-once": once,
            }  # fmt: skip
            return await self.rpc("send", number, {n: v for n, v in params.items() if v})
        command = ["--output", "json", "-a", number, "send", "--message-from-stdin"]
        command += [*_CLI_TO[to.kind], *to.ids]
        for name, option in (("text-style", "--text-style"), ("attachment", "-a")):
            command += [option, *many[name]] if many[name] else []
        for name in ("mention", "quote-mention"):
            for value in many[name]:
                command += [f"--{name}", value]
        for name, given in one.items():
            command += [f"--{name}", str(given)] if given not in (None, "") else []
        command += ["--notify-self"] if notify else []
        command += ["--view-once"] if once else []
        return decoded(await self.execute(command, text))

    async def react(
        self, number: str, recipient: str, emoji: str, author: str, target: int, *, remove: bool
    ) -> None:  # fmt: skip
        """Raises ServiceError."""
        at = str(target)
        params = {"emoji": emoji, "target-author": author, "target-timestamp": at,
                  "remove": remove}  # fmt: skip
        command = ["-e", emoji, "-a", author, "-t", at, *(["-r"] if remove else [])]
        await self._act(number, "sendReaction", recipient, [], command, params)

    async def typing(self, number: str, recipient: str, *, stop: bool) -> None:
        """Raises ServiceError."""
        before = ["--stop"] if stop else []
        await self._act(number, "sendTyping", recipient, before, [], {"stop": stop})

    async def receipt(self, number: str, recipient: str, kind: str, target: int) -> None:
        """Its kind goes under a name that signal-cli does not know. Raises ServiceError."""
        if self.is_rpc:
            params = {"recipient": recipient, "receipt-type": kind, "target-timestamp": target}
            await self.rpc("sendReceipt", number, params)
            return
        await self.execute(["-a", number, "sendReceipt", recipient, "-t", str(target)])

    async def delete(self, number: str, to: Recipients, target: int) -> int:
        """Returns when it was. Raises ServiceError."""
        at = str(target)
        if self.is_rpc:
            whom = "group-id" if to.kind == "group" else "recipient"
            params = {whom: to.ids[0] or None, "target-timestamp": at}
            return int((await self.rpc("remoteDelete", number, params))["timestamp"])
        person = ["-g", *to.ids] if to.kind == "group" else to.ids
        command = ["-a", number, "remoteDelete", *person, "-t", at]
        return int((await self.execute(command)).strip())

    async def _act(
        self, number: str, method: str, recipient: str, before: Sequence[str],
        after: Sequence[str], params: Mapping[str, Any],
    ) -> Any:  # fmt: skip
        """What goes to a person or a group and is no message. Raises ServiceError."""
        try:
            group = internal(recipient) if recipient.startswith(GROUP) else None
        except InvalidRecipient as error:
            raise ServiceError(str(error)) from None
        if self.is_rpc:
            to = {"recipient": recipient} if group is None else {"group-id": group}
            return await self.rpc(method, number, {**to, **params} if recipient else params)
        person = [recipient] if group is None else ["-g", group]
        return await self.execute(["-a", number, method, *before, *person, *after])

    async def accounts(self) -> list[str]:
        """Raises ServiceError."""
        if self.is_rpc:
            found = await self.rpc("listAccounts", None, {})
        else:
            found = decoded(await self.execute(["--config", "C", "--output", "json",
                                                "listAccounts"]))  # fmt: skip
        return [account["number"] for account in found]

    async def groups(self, number: str) -> list[dict[str, Any]]:
        """Every group as signal-cli has it. Raises ServiceError."""
        found = await self._ask(number, ["listGroups", "-d"], "listGroups", {})
        return list(found)

    async def contacts(self, number: str, everyone: bool, recipient: str) -> list[dict[str, Any]]:
        """Raises ServiceError."""
        command = ["listContacts", *(["--all-recipients"] if everyone else [])]
        command += [recipient] if recipient else []
        params = {"allRecipients": everyone, "recipient": recipient or None}
        if self.is_rpc:
            return list(await self.rpc("listContacts", number, params))
        output = await self.execute(["-o", "json", "-a", number, *command])
        try:
            return list(decoded(output))
        except ServiceError:
            text = "Couldn't process request - invalid signal-cli response"
            raise ServiceError(text) from None

    async def identities(self, number: str) -> list[dict[str, Any]]:
        """Raises ServiceError."""
        return list(await self._ask(number, ["listIdentities"], "listIdentities", {}))

    async def solve(self, number: str, token: str, captcha: str) -> None:
        """Raises ServiceError."""
        if self.is_rpc:
            params = {"challenge": token, "captcha": captcha}
            await self.rpc("submitRateLimitChallenge", number, params)
            return
        command = ["submitRateLimitChallenge", "--challenge", token, "--captcha", captcha]
        await self.execute(["-a", number, *command])

    async def link(self, name: str, complaint: str) -> str:
        """An address to link with; what comes of it, nobody waits for. Raises ServiceError."""
        if not self.is_rpc:
            return await self.first_line(["--config", "C", "link", "-n", name])
        try:
            uri = str((await self.rpc("startLink", None, {}))["deviceLinkUri"])
        except ServiceError as error:
            raise ServiceError(f"{complaint}: {error}") from None
        task = asyncio.create_task(self._finish(uri, name))
        self._running.add(task)
        task.add_done_callback(self._running.discard)
        return uri

    async def _finish(self, uri: str, name: str) -> int:
        try:
            await self.rpc("finishLink", None, {"deviceLinkUri": uri, "deviceName": name})
        except ServiceError:
            return 1
        return 0
