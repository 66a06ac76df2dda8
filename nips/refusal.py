"""Pure: refusals as values, and the tree of what can be wrong with an input.

    ProtocolError
    ├── Malformed    the peer sent something that is not the protocol
    └── Refused      the peer asked for something it may not have; carries a Refusal

Source: NIP-01 "Communication between clients and relays", NIP-42.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Prefix(StrEnum):
    """The machine-readable words of an OK or CLOSED message. NIP-01, NIP-42, NIP-43.

    `pending` is ours and the signer's alone: the owner has been asked (PROTOCOL.md "Approvals").
    """

    DUPLICATE = "duplicate"
    POW = "pow"
    BLOCKED = "blocked"
    RATE_LIMITED = "rate-limited"
    INVALID = "invalid"
    RESTRICTED = "restricted"
    MUTE = "mute"
    ERROR = "error"
    AUTH_REQUIRED = "auth-required"
    UNSUPPORTED = "unsupported"
    PENDING = "pending"


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why something was not done: a prefix for machines and a sentence for people."""

    prefix: Prefix
    sentence: str

    def __str__(self) -> str:
        """Render for the wire: NIP-01 `<prefix>: <sentence>`."""
        return f"{self.prefix}: {self.sentence}"

    @classmethod
    def parse(cls, text: str) -> Refusal:
        """Read a peer's message; one without a known prefix is an `error:` in its words."""
        head, separator, rest = text.partition(":")
        if separator and head in Prefix.__members__.values():
            return cls(Prefix(head), rest.strip())
        return cls(Prefix.ERROR, text)


class ProtocolError(Exception):
    """Something a peer did or sent; never a bug of ours."""


class Malformed(ProtocolError):
    """The input does not have the form the protocol gives it."""


class Refused(ProtocolError):
    """The request was understood and denied."""

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(str(refusal))
        self.refusal = refusal


def refused(prefix: Prefix, sentence: str) -> Refused:
    """Build the exception from its two parts."""
    return Refused(Refusal(prefix, sentence))
