"""Shell: the Signal service (signal-cli-rest-api) over HTTP; a method for each endpoint used.

    ServiceError
    ├── Unreachable        nothing was done: no connection, or it says that it is starting
    ├── Uncertain          it may have been done: the connection or the time ended after the request
    └── Rejected           it answered that it will not
        └── RateLimited    Signal asks for a proof first: challenge tokens

Source: the service's own code and documentation, api/api.go, client/client.go.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Self


class ServiceError(Exception):
    """The service did not do what was asked; `str()` is a sentence for a person."""


class Unreachable(ServiceError):
    """Nothing was done: it could not be connected to, or says that it is starting."""


class Uncertain(ServiceError):
    """It may have been done: the connection broke, or time was over, after the request was sent."""


class Rejected(ServiceError):
    """It answered that it will not. `status` is the HTTP status."""

    def __init__(self, sentence: str, status: int) -> None:
        super().__init__(sentence)
        self.status = status


class RateLimited(Rejected):
    """Signal wants a pause, or a captcha solved for one of `tokens` (maybe none)."""

    def __init__(self, sentence: str, tokens: tuple[str, ...]) -> None:
        super().__init__(sentence, 429)
        self.tokens = tokens


@dataclass(frozen=True, slots=True)
class About:
    """What the service says of itself. mode: "normal", "native" or "json-rpc"."""

    mode: str
    version: str
    build: int
    versions: tuple[str, ...]
    capabilities: Mapping[str, tuple[str, ...]]


@dataclass(frozen=True, slots=True)
class Sent:
    """A message that is sent. timestamp: ms, by which others quote it.
    failed: "recipient: reason" for each that did not get it.
    """

    timestamp: int
    failed: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Quote:
    """What a message answers. author: an ACI. timestamp: ms. text: of what is quoted."""

    author: str
    timestamp: int
    text: str


@dataclass(frozen=True, slots=True)
class Attachment:
    """A file to send. mime: as "image/png"."""

    name: str
    mime: str
    content: bytes


@dataclass(frozen=True, slots=True)
class Group:
    """A group of the account's. id: "group.…", as a recipient; internal_id: base64, as envelopes
    have it; members: ACIs, or numbers where no ACI is known.
    """

    id: str
    internal_id: str
    name: str
    members: tuple[str, ...]


class Service:
    """The service at `url` (http or https). An asynchronous context manager.

    `recipient` is an ACI (a lower-case UUID) or `group.<base64 of the internal id>`; ValueError
    when it is neither. Every method raises ServiceError; only those that change something
    (send, react, unreact, typing, receipt, solve_challenge) raise Uncertain.
    """

    def __init__(self, url: str, *, read_s: float = 30.0, send_s: float = 180.0) -> None:
        """read_s: for a question. send_s: for what the service passes on to Signal."""
        raise NotImplementedError

    async def __aenter__(self) -> Self:
        """Open the connections' pool."""
        raise NotImplementedError

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close every connection."""
        raise NotImplementedError

    async def about(self) -> About:
        """What the service is: mode and versions."""
        raise NotImplementedError

    async def accounts(self) -> tuple[str, ...]:
        """The numbers it holds, linked or registered."""
        raise NotImplementedError

    async def link_uri(self, device_name: str) -> str:
        """A fresh `sgnl://linkdevice?…` for a QR code; it lives about a minute."""
        raise NotImplementedError

    async def receive(self, number: str, *, timeout_s: int, max_messages: int) -> str:
        """The raw text of the body, or of a 400's error: see salvage. Cancelled, a batch is lost.

        timeout_s: how long the service waits for a message.
        """
        raise NotImplementedError

    def stream(self, number: str) -> AsyncIterator[str]:
        """What comes over the websocket (json-rpc), one text a message, until it ends.

        Raises Unreachable when it cannot be opened; ends when the service closes it.
        """
        raise NotImplementedError

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
        raise NotImplementedError

    async def react(
        self, number: str, recipient: str, target_author: str, timestamp: int, emoji: str
    ) -> None:
        """Put an emoji on the message of `target_author` (an ACI or our number) of that time."""
        raise NotImplementedError

    async def unreact(
        self, number: str, recipient: str, target_author: str, timestamp: int, emoji: str
    ) -> None:
        """Take it away again."""
        raise NotImplementedError

    async def typing(self, number: str, recipient: str, *, on: bool) -> None:
        """Show that we are writing, for about 15 s, or that we are not any more."""
        raise NotImplementedError

    async def receipt(self, number: str, recipient: str, timestamp: int) -> None:
        """Say that the message of that time by `recipient` (an ACI) was read."""
        raise NotImplementedError

    async def attachment(self, file_id: str, *, max_bytes: int) -> bytes:
        """A received file's bytes. Raises Rejected when it has more than `max_bytes`."""
        raise NotImplementedError

    async def groups(self, number: str) -> tuple[Group, ...]:
        """The groups that our number is in."""
        raise NotImplementedError

    async def own_aci(self, number: str) -> str | None:
        """The ACI of our number as far as the service knows it."""
        raise NotImplementedError

    async def solve_challenge(self, number: str, token: str, captcha: str) -> None:
        """Answer a rate limit's challenge with a solved captcha (`signalcaptcha://…`)."""
        raise NotImplementedError


def group_recipient(internal_id: str) -> str:
    """The recipient form of a group's internal id (base64), as the service encodes it."""
    raise NotImplementedError
