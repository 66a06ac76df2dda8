"""Pure: what public relays say to us, as the pool tells it."""

from __future__ import annotations

from dataclasses import dataclass

from nips.event import Event

MAX_REASON_CHARS = 300


@dataclass(frozen=True, slots=True)
class Heard:
    """An event that a relay sent under one of our subscriptions. Who acts on it checks it."""

    url: str
    subscription: str
    event: Event


@dataclass(frozen=True, slots=True)
class Ended:
    """A relay's EOSE (`reason` None) or CLOSED (`reason` in its words)."""

    url: str
    subscription: str
    reason: str | None


@dataclass(frozen=True, slots=True)
class NotLoggedIn:
    """A relay's challenge (NIP-42) was not answered, or the answer not accepted."""

    url: str
    reason: str


@dataclass(frozen=True, slots=True)
class Dropped:
    """The connection has ended, by itself or by us."""

    url: str
    reason: str = "the connection ended"


Note = Heard | Ended | NotLoggedIn | Dropped


def plain(words: str) -> str:
    """A relay's words, fit for a log line and for the state of a delivery.

    Attack: a reason of a megabyte, with which a delivery fits no frame and is never written
    again; line ends and escape sequences for whoever reads the log in a terminal.
    """
    return "".join(char if char.isprintable() else " " for char in words[:MAX_REASON_CHARS])
