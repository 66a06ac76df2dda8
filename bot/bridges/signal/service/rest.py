"""Shell: the Signal service (signal-cli-rest-api); a method for each of its endpoints that is used.

Source: the service's own code, api/api.go, client/client.go.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from types import TracebackType
from typing import Self, TypeVar
from urllib.parse import quote as percent_encoded

from bot.bridges.signal.addresses import group_recipient, is_aci, is_file_id
from bot.bridges.signal.service import answers, payloads, streaming
from bot.bridges.signal.service.refusals import error_text, refusal
from bot.bridges.signal.service.salvage import may_hold_items
from bot.bridges.signal.service.shapes import (
    About,
    Attachment,
    Group,
    Quote,
    RateLimited,
    Rejected,
    Sent,
    ServiceError,
    Uncertain,
    Unreachable,
)
from bot.bridges.signal.service.transport import Transport
from nips.refusal import Malformed

__all__ = [
    "About",
    "Attachment",
    "Group",
    "Quote",
    "RateLimited",
    "Rejected",
    "Sent",
    "Service",
    "ServiceError",
    "Uncertain",
    "Unreachable",
    "group_recipient",
]

READ_S = 60.0
RECEIVE_S = 600.0  # the service kills its program after 120 s where it is not told otherwise
SEND_S = 300.0
T = TypeVar("T")


class Service:
    """The service at `url` (http or https). An asynchronous context manager.

    `number` is our own, with + and the country. `recipient` is an ACI or `group_recipient` of a
    group; ValueError where either is none. Every method raises ServiceError; only those that change
    something (send, react, unreact, remote_delete, typing, receipt, solve_challenge) raise
    Uncertain.
    """

    def __init__(
        self,
        url: str,
        *,
        read_s: float = READ_S,
        receive_s: float = RECEIVE_S,
        send_s: float = SEND_S,
    ) -> None:
        """Seconds until an answer is given up. read_s: to a question. receive_s: to a poll, far
        more than the service takes: a poll that is given up loses what it brings. send_s: to what
        is passed on to Signal. Raises ValueError where `url` is no plain address.
        """
        self._transport = Transport(url)
        self._read_s, self._receive_s, self._send_s = read_s, receive_s, send_s

    async def __aenter__(self) -> Self:
        """Nothing is asked yet."""
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close every connection."""
        await self._transport.close()

    # Questions

    async def about(self) -> About:
        """What the service is: mode and versions."""
        return await self._read("/v1/about", answers.about)

    async def accounts(self) -> tuple[str, ...]:
        """The numbers it holds, linked or registered."""
        return await self._read("/v1/accounts", answers.accounts)

    async def link_uri(self, device_name: str) -> str:
        """A fresh `sgnl://linkdevice?…` for a QR code; it lives about a minute."""
        query = {"device_name": payloads.argument(device_name)}
        return await self._read("/v1/qrcodelink/raw", answers.link_uri, query)

    async def groups(self, number: str) -> tuple[Group, ...]:
        """The groups that our number is in."""
        path = f"/v1/groups/{_part(payloads.account(number))}"
        return await self._read(path, answers.groups, {"expand": "true"})

    async def own_aci(self, number: str) -> str | None:
        """The ACI of our number as far as the service knows it."""
        in_path = _part(payloads.account(number))

        def found(text: str) -> str | None:
            return answers.own_aci(text, number)

        contacts = f"/v1/contacts/{in_path}"
        return await self._read(contacts, found, {"all_recipients": "true"}) or await self._read(
            f"/v1/identities/{in_path}", found
        )

    async def attachment(self, file_id: str, *, max_bytes: int) -> bytes:
        """A received file. Raises Rejected when it is gone, or has more than `max_bytes`."""
        if not is_file_id(file_id):
            raise ValueError("not the id of a file")
        path = f"/v1/attachments/{_part(file_id)}"
        answer = await self._transport.read(path, self._read_s, max_bytes=max_bytes)
        if answer.status != 200:
            raise refusal(answer.status, answer.text, acts=False)
        if not answer.is_whole:
            raise Rejected(f"The file has more than {max_bytes} bytes.", 413)
        return answer.content

    async def receive(self, number: str, *, timeout_s: int, max_messages: int) -> str:
        """The raw text of the body, or of a 400's error: see salvage. Cancelled, a batch is lost.

        timeout_s: how long the service waits for a message. Raises ServiceError where there is
        nothing that could be a message.
        """
        path = f"/v1/receive/{_part(payloads.account(number))}"
        query = {
            "timeout": str(timeout_s),
            "max_messages": str(max_messages),
            "ignore_stories": "true",
            "ignore_avatars": "true",
            "ignore_stickers": "true",
        }
        answer = await self._transport.read(path, self._receive_s, query)
        if answer.status == 200:  # cut off where it was too long: what is whole of it is salvaged
            return answer.text
        if (error := error_text(answer.text)) and may_hold_items(error):
            return error
        raise refusal(answer.status, answer.text, acts=False)

    def stream(
        self, number: str, *, opened: Callable[[], None] = lambda: None
    ) -> AsyncGenerator[str, None]:
        """What comes over the websocket (json-rpc), one text a message, until it ends.

        opened: called once, when it is open; must not raise.

        Raises Unreachable when it cannot be opened; ends when the service closes it.
        """
        url = self._transport.url.replace("http", "ws", 1)
        path = f"/v1/receive/{_part(payloads.account(number))}"
        return streaming.stream(url + path, self._transport.trusted, opened)

    # What changes something

    async def send(
        self,
        number: str,
        recipient: str,
        text: str,
        *,
        quote: Quote | None = None,
        attachments: Sequence[Attachment] = (),
    ) -> Sent:
        """Send styled text from our number. Raises Rejected when nobody got it."""
        body = await asyncio.to_thread(
            payloads.message, number, recipient, text, quote, attachments
        )
        answer = await self._transport.act("POST", "/v2/send", body, self._send_s)
        if answer.status == 400 and (error := error_text(answer.text)):
            known = answers.results(error)
            if isinstance(known, ServiceError):
                raise known
            if known is not None:
                return known
        if not answer.is_success:
            raise refusal(answer.status, answer.text, acts=True)
        try:
            sent = answers.sent(answer.text)
        except Malformed:
            raise Uncertain("The Signal service does not say when it was sent.") from None
        if sent.failed and is_aci(recipient):
            raise answers.nobody(sent.failed)
        return sent

    async def react(
        self, number: str, recipient: str, target_author: str, timestamp: int, emoji: str
    ) -> None:
        """Put an emoji on the message of `target_author` (an ACI or our number) of that time (ms).

        Raises ValueError when it can be no emoji, as `+` and `-` are none.
        """
        body = payloads.reaction(recipient, target_author, timestamp, emoji)
        await self._done("POST", f"/v1/reactions/{_part(payloads.account(number))}", body)

    async def unreact(
        self, number: str, recipient: str, target_author: str, timestamp: int, emoji: str
    ) -> None:
        """Take it away again."""
        body = payloads.reaction(recipient, target_author, timestamp, emoji)
        await self._done("DELETE", f"/v1/reactions/{_part(payloads.account(number))}", body)

    async def remote_delete(self, number: str, recipient: str, timestamp: int) -> None:
        """Take back what we sent at that time (ms); readers see that something was."""
        body = {"recipient": payloads.to(recipient), "timestamp": timestamp}
        path = f"/v1/remote-delete/{_part(payloads.account(number))}"
        await self._done("DELETE", path, payloads.dumps(body))

    async def typing(self, number: str, recipient: str, *, on: bool) -> None:
        """Show that we are writing, for about 15 s, or that we are not any more."""
        body = payloads.dumps({"recipient": payloads.to(recipient)})
        path = f"/v1/typing-indicator/{_part(payloads.account(number))}"
        await self._done("PUT" if on else "DELETE", path, body)

    async def receipt(self, number: str, recipient: str, timestamp: int) -> None:
        """Say that the message of that time by `recipient` (an ACI) was read."""
        if not is_aci(recipient):
            raise ValueError("not a person of Signal")
        body = {"recipient": recipient, "receipt_type": "read", "timestamp": timestamp}
        path = f"/v1/receipts/{_part(payloads.account(number))}"
        await self._done("POST", path, payloads.dumps(body))

    async def solve_challenge(self, number: str, token: str, captcha: str) -> None:
        """Answer a rate limit's challenge with a solved captcha (`signalcaptcha://…`)."""
        body = payloads.challenge(token, captcha)
        path = f"/v1/accounts/{_part(payloads.account(number))}/rate-limit-challenge"
        await self._done("POST", path, body)

    # How it is asked

    async def _read(
        self, path: str, meaning: Callable[[str], T], query: Mapping[str, str] | None = None
    ) -> T:
        answer = await self._transport.read(path, self._read_s, query)
        if answer.status != 200:
            raise refusal(answer.status, answer.text, acts=False)
        if not answer.is_whole:
            raise ServiceError("The Signal service answers without end.")
        try:
            return meaning(answer.text)
        except Malformed as error:
            raise ServiceError(f"The Signal service's answer is not understood: {error}.") from None

    async def _done(self, method: str, path: str, body: bytes) -> None:
        answer = await self._transport.act(method, path, body, self._send_s)
        if not answer.is_success:
            raise refusal(answer.status, answer.text, acts=True)


def _part(text: str) -> str:
    """One part of a path. Its form is checked already; this is for the + and the rest."""
    return percent_encoded(text, safe="")
