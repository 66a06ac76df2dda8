"""Pure: what passes between the service and the desk."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from nips.event import Event
from nips.nip46 import Request, Response
from nips.refusal import Refusal


@dataclass(frozen=True, slots=True)
class Arrived:
    """An event of the router's, and its arrival number."""

    event: Event
    seq: int | None


@dataclass(frozen=True, slots=True)
class Asked:
    """A 24133 addressed to the signer."""

    event: Event


@dataclass(frozen=True, slots=True)
class Place:
    """Everything up to here has been read from the relay."""

    epoch: str | None
    seq: int | None


@dataclass(frozen=True, slots=True)
class Settled:
    """The relay has answered for this event: it took it, or refused it for good."""

    event_id: str
    refusal: Refusal | None = None


Work = Arrived | Asked | Place | Settled


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer to send to `client`, once `publish`, where given, is on the relay.

    classic: the client is taken to read NIP-44's classic form only.
    """

    client: str
    response: Response
    publish: Event | None = None
    classic: bool = False


@dataclass(frozen=True, slots=True)
class Publication:
    """Events that nobody waits for, to be put on the relay in this order."""

    events: tuple[Event, ...]


Outcome = Reply | Publication


def say(client: str, request: Request, result: str, publish: Event | None = None) -> Reply:
    """The reply that answers a request."""
    return Reply(client, Response(request.id, result), publish)


def refuse(client: str, request: Request, refusal: Refusal) -> Reply:
    """The reply that denies a request."""
    return Reply(client, Response(request.id, error=refusal))


@dataclass(frozen=True, slots=True)
class Clocks:
    """Where time comes from, in seconds: the wall's unix time, and one that only counts on."""

    wall_s: Callable[[], float]
    monotonic_s: Callable[[], float]
