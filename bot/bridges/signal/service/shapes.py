"""Pure: what the Signal service (signal-cli-rest-api) is asked and answers, as types.

ServiceError
├── Unreachable        nothing was done: no connection, or it says that it cannot yet
├── Uncertain          it may have been done: the connection or the time ended after the request
└── Rejected           it answered that it will not
    └── RateLimited    Signal asks for a proof first: challenge tokens
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


class ServiceError(Exception):
    """The service did not do what was asked; `str()` is a sentence for a person."""


class Unreachable(ServiceError):
    """Nothing was done: it could not be connected to, or says that it cannot do it yet."""


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
    failed: "recipient: reason" for each that did not get it; nobody can be found by it.
    """

    timestamp: int
    failed: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Quote:
    """What a message answers. author: an ACI, or our number. timestamp: ms. text: of what is
    quoted.
    """

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
