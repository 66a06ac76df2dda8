"""Shell: the addresses of signal-cli-rest-api: which request does what, and how it is answered.

Source: signal-cli-rest-api, main.go (the addresses), api/api.go (checks and answers).
"""

from __future__ import annotations

import io
import json
import re
from collections.abc import Awaitable, Callable, Mapping
from typing import Any
from urllib.parse import unquote

import segno

from bot.operate.stand_ins import signal_entries, signal_requests
from bot.operate.stand_ins.http import Reply, Request
from bot.operate.stand_ins.signal_account import SignalCli
from bot.operate.stand_ins.signal_client import Client
from bot.operate.stand_ins.signal_files import sniffed
from bot.operate.stand_ins.signal_printed import ServiceError
from bot.operate.stand_ins.signal_recipients import InvalidRecipient, sorted_recipients

TEXT = "text/plain; charset=utf-8"
JSON = "application/json; charset=utf-8"
BAD = "Couldn't process request - "
CHALLENGE = (
    ". Use the attached challenge tokens to lift the rate limit restrictions via the "
    "'/v1/accounts/{number}/rate-limit-challenge' endpoint."
)
QR_VERSION = 10
NO_DATA = "no data to encode"
QR_PIXELS = 256
RECEIVE_FLAGS = (
    "ignore_attachments", "ignore_stories", "ignore_avatars", "ignore_stickers",
    "send_read_receipts",
)  # fmt: skip
Named = dict[str, str]  # the parts of an address: number, group, …


class Refused(Exception):
    """A request that is answered with an error."""

    def __init__(self, status: int, text: str, kind: str = JSON, **more: Any) -> None:
        super().__init__(text)
        self.reply = Reply(status, _json({"error": text, **more}), kind)


class Routes:
    """Answers requests, whatever they are."""

    def __init__(self, client: Client, cli: SignalCli, version: str) -> None:
        self._client, self._cli, self._version = client, cli, version
        number = "/(?P<number>[^/]+)"
        routes: list[tuple[str, str, Callable[[Request, Named], Awaitable[Reply]]]] = [
            ("GET", "/v1/about", self._about),
            ("GET", "/v1/health", self._health),
            ("GET", "/v1/accounts", self._accounts),
            ("POST", f"/v1/accounts{number}/rate-limit-challenge", self._solve),
            ("GET", "/v1/qrcodelink", self._qr_code),
            ("GET", "/v1/qrcodelink/raw", self._link),
            ("GET", f"/v1/receive{number}", self._receive),
            ("POST", "/v2/send", self._send),
            ("PUT|DELETE", f"/v1/typing-indicator{number}", self._typing),
            ("POST|DELETE", f"/v1/reactions{number}", self._react),
            ("POST", f"/v1/receipts{number}", self._receipt),
            ("DELETE", f"/v1/remote-delete{number}", self._delete),
            ("GET", "/v1/attachments", self._attachments),
            ("GET|DELETE", "/v1/attachments/(?P<id>[^/]+)", self._attachment),
            ("GET", f"/v1/groups{number}", self._groups),
            ("GET", f"/v1/groups{number}/(?P<group>[^/]+)", self._group),
            ("GET", f"/v1/contacts{number}", self._contacts),
            ("GET", f"/v1/contacts{number}/(?P<uuid>[^/]+)", self._contact),
            ("GET", f"/v1/identities{number}", self._identities),
        ]
        self._routes = [(methods, re.compile(path), handle) for methods, path, handle in routes]

    async def reply(self, request: Request) -> Reply:
        """The answer to a request."""
        for methods, pattern, handle in self._routes:
            found = pattern.fullmatch(request.path())
            if found is None or request.method not in methods.split("|"):
                continue
            named = {name: unquote(value) for name, value in found.groupdict().items()}
            try:
                return await handle(request, named)
            except Refused as refused:
                return refused.reply
            except ServiceError as error:
                return Refused(400, str(error)).reply
        return Reply(404, b"404 page not found", "text/plain")

    # --- the service itself -------------------------------------------------------------------

    async def _about(self, request: Request, named: Named) -> Reply:
        return _ok(
            {
                "versions": ["v1", "v2"],
                "build": 2,
                "mode": self._client.mode,
                "version": self._version,
                "capabilities": {"v2/send": ["quotes", "mentions"]},
            }
        )

    async def _health(self, request: Request, named: Named) -> Reply:
        return Reply(204)

    async def _accounts(self, request: Request, named: Named) -> Reply:
        try:
            return _ok(await self._client.accounts())
        except ServiceError as error:
            raise Refused(500, f"Couldn't get list of accounts: {error}") from None

    async def _solve(self, request: Request, named: Named) -> Reply:
        body = _body(request, signal_requests.SOLVE)
        for name, word in (("challenge_token", "challenge token"), ("captcha", "captcha")):
            _need(body, name, word)
        await self._client.solve(named["number"], body["challenge_token"], body["captcha"])
        return Reply(204)

    # --- linking ------------------------------------------------------------------------------

    async def _link(self, request: Request, named: Named) -> Reply:
        name = _device(request)
        uri = await self._client.link(name, "Couldn't start link")
        return _ok({"device_link_uri": uri.strip()})

    async def _qr_code(self, request: Request, named: Named) -> Reply:
        name = _device(request)
        try:
            version = int(request.query().get("qrcode_version") or QR_VERSION)
        except ValueError:
            text = "The qrcode_version parameter needs to be an integer!"
            raise Refused(400, text) from None
        uri = await self._client.link(name, "Couldn't create QR code")
        try:
            if not uri:
                raise ValueError
            code = segno.make(uri, version=version, error="h", boost_error=False, micro=False)
        except ValueError as error:
            size = f"fixed size QR Code version {version}"
            text = f"Cannot encode QR code: content too large for {size}" if uri else NO_DATA
            raise Refused(400, f"Couldn't create QR code: {text}") from error
        image = io.BytesIO()
        code.save(image, kind="png", scale=QR_PIXELS / code.symbol_size()[0])
        return Reply(200, image.getvalue(), "image/png")

    # --- messages -----------------------------------------------------------------------------

    async def _receive(self, request: Request, named: Named) -> Reply:
        if self._client.is_rpc:
            refusal = Refused(400, "websocket: the client is not using the websocket protocol: "
                              "'upgrade' token not found in 'Connection' header")  # fmt: skip
            return Reply(400, b"Bad Request\n" + refusal.reply.body, TEXT)
        query = request.query()
        timeout, most = (
            _integer(query, name, default)
            for name, default in (("timeout", "1"), ("max_messages", "0"))
        )
        flags = [
            "--" + name.replace("_", "-")
            for name in RECEIVE_FLAGS
            if _truth(query, name)
        ]  # fmt: skip
        array = await self._client.receive(named["number"], timeout, most, flags)
        return Reply(200, array.encode(), TEXT)

    async def _send(self, request: Request, named: Named) -> Reply:
        body = _body(request, signal_requests.SEND)
        recipients = list(body.get("recipients") or [])
        if body.get("recipient"):
            recipients.append(body["recipient"])
        if not recipients:
            raise Refused(400, BAD + "please provide at least one recipient")
        number = _need(body, "number", "", BAD + "please provide a valid number")
        if body.get("sticker") and ":" not in body["sticker"]:
            raise Refused(400, BAD + "please provide valid sticker delimiter")
        if body.get("view_once") and not body.get("base64_attachments"):
            raise Refused(400, "'view_once' can only be set for image attachments!")
        try:
            to = sorted_recipients(recipients)
            message = {**body, "message": body.get("message") or "", "recipients": recipients}
            outcome = await self._client.send(number, to, message)
        except InvalidRecipient as error:
            raise Refused(400, str(error)) from None
        except ServiceError as error:
            if error.tokens is None:
                raise
            more: dict[str, Any] = {"account": number}
            if error.tokens:
                more["challenge_tokens"] = error.tokens
            raise Refused(429, str(error) + CHALLENGE, **more) from None
        return _ok([signal_entries.send_response(outcome)], 201)

    async def _typing(self, request: Request, named: Named) -> Reply:
        body = _body(request, signal_requests.TYPING)
        stop = request.method == "DELETE"
        await self._client.typing(named["number"], body.get("recipient") or "", stop=stop)
        return Reply(204)

    async def _react(self, request: Request, named: Named) -> Reply:
        body = _body(request, signal_requests.REACTION)
        remove = request.method == "DELETE"
        recipient = _need(body, "recipient", "recipient")
        emoji = body.get("reaction") or "" if remove else _need(body, "reaction", "reaction")
        author = _need(body, "target_author", "target_author")
        at = _need(body, "timestamp", "timestamp")
        await self._client.react(
            named["number"], recipient, emoji or "👍", author, at, remove=remove
        )  # fmt: skip
        return Reply(204)

    async def _receipt(self, request: Request, named: Named) -> Reply:
        body = _body(request, signal_requests.RECEIPT)
        recipient = _need(body, "recipient", "recipient")
        if body.get("receipt_type") not in ("read", "viewed"):
            raise Refused(400, BAD + "receipt type must be read or viewed")
        at = _need(body, "timestamp", "timestamp")
        await self._client.receipt(named["number"], recipient, body["receipt_type"], at)
        return Reply(204)

    async def _delete(self, request: Request, named: Named) -> Reply:
        body = _body(request, signal_requests.DELETE)
        try:
            to = sorted_recipients([body.get("recipient", "")])
        except InvalidRecipient as error:
            raise Refused(400, str(error)) from None
        timestamp = await self._client.delete(named["number"], to, body.get("timestamp", 0))
        return _ok({"timestamp": str(timestamp)}, 201)

    # --- files --------------------------------------------------------------------------------

    async def _attachments(self, request: Request, named: Named) -> Reply:
        folder = self._cli.attachments
        return _ok(sorted(path.name for path in folder.glob("*")) if folder.is_dir() else [])

    async def _attachment(self, request: Request, named: Named) -> Reply:
        path = self._cli.attachments / named["id"]
        if path.is_dir():
            raise Refused(500, "Couldn't read attachment - please try again later")
        if not path.is_file():
            raise Refused(404, "No attachment with that name found")
        if request.method == "DELETE":
            path.unlink()
            return Reply(204)
        content = path.read_bytes()
        return Reply(200, content, sniffed(content))

    # --- people -------------------------------------------------------------------------------

    async def _groups(self, request: Request, named: Named) -> Reply:
        whole = _truth(request.query(), "expand")
        found = await self._client.groups(named["number"])
        return _ok([signal_entries.group(entry, whole=whole) for entry in found])

    async def _group(self, request: Request, named: Named) -> Reply:
        whole = _truth(request.query(), "expand")
        entries = await self._client.groups(named["number"])
        found = [signal_entries.group(entry, whole=whole) for entry in entries]
        # Without such a group it answers null: what it checks is never nothing.
        return _ok(next((group for group in found if group["id"] == named["group"]), None))

    async def _contacts(self, request: Request, named: Named) -> Reply:
        everyone = _truth(request.query(), "all_recipients")
        found = await self._client.contacts(named["number"], everyone, "")
        return _ok([signal_entries.contact(entry) for entry in found])

    async def _contact(self, request: Request, named: Named) -> Reply:
        everyone = _truth(request.query(), "all_recipients")
        found = await self._client.contacts(named["number"], everyone, named["uuid"])
        if not found:
            raise Refused(404, f"No user with that id ({named['uuid']}) found")
        return _ok(signal_entries.contact(found[0]))

    async def _identities(self, request: Request, named: Named) -> Reply:
        try:
            found = await self._client.identities(named["number"])
        except ServiceError as error:
            raise Refused(500, str(error)) from None
        return _ok([signal_entries.identity(entry) for entry in found])


def _json(value: object) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()


def _ok(value: object, status: int = 200) -> Reply:
    return Reply(status, _json(value), JSON)


def _body(request: Request, fields: Mapping[str, str]) -> dict[str, Any]:
    if (body := signal_requests.read(request.body, fields)) is None:
        # The head of this answer is written before its kind is known.
        raise Refused(400, BAD + "invalid request", TEXT)
    return body


def _need(body: dict[str, Any], name: str, word: str, text: str = "") -> Any:
    if not (value := body.get(name)):
        raise Refused(400, text or f"{BAD}{word} missing")
    return value


def _device(request: Request) -> str:
    if not (name := request.query().get("device_name")):
        raise Refused(400, "Please provide a name for the device")
    return name


def _integer(query: dict[str, str], name: str, default: str) -> int:
    try:
        return int(query.get(name, default))
    except ValueError:
        raise Refused(400, f"{BAD}{name} needs to be numeric!") from None


def _truth(query: dict[str, str], name: str) -> bool:
    if (value := query.get(name, "false")) not in ("true", "false"):
        text = f"{BAD}{name} parameter needs to be either 'true' or 'false'"
        raise Refused(400, text)
    return value == "true"
