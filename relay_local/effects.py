"""Pure: what a connection's machine wants done, as values; the server does them in their order."""

from __future__ import annotations

from dataclasses import dataclass

from nips.event import Event
from nips.filter import Filter
from nips.frames import NegErr, NegMsg, RelayFrame, encode
from nips.refusal import Refusal
from relay_local.access import Scope
from relay_local.negentropy import Gather, Reconcile, Step
from relay_local.viewer import Viewer


@dataclass(frozen=True, slots=True)
class Send:
    """Queue a frame for the client."""

    frame: bytes


@dataclass(frozen=True, slots=True)
class Submit:
    """Take in an event that `viewer` brings."""

    event: Event
    viewer: Viewer


@dataclass(frozen=True, slots=True)
class TurnAway:
    """Refuse an event that has cost nobody anything yet."""

    event_id: str
    refusal: Refusal


@dataclass(frozen=True, slots=True)
class Search:
    """Look up what is stored, up to the arrival number `last`, for `found` and `caught_up`."""

    subscription: str
    generation: int
    filters: tuple[Filter, ...]
    scope: Scope
    last: int
    ordered: bool  # by arrival, with numbers: the extension for our own parts


@dataclass(frozen=True, slots=True)
class Tally:
    """Count what is stored, up to the arrival number `last`, for `counted`. NIP-45."""

    query: str
    filters: tuple[Filter, ...]
    scope: Scope
    last: int


@dataclass(frozen=True, slots=True)
class Listen:
    """From now on pass on live events that match."""

    subscription: str
    filters: tuple[Filter, ...]


@dataclass(frozen=True, slots=True)
class Unlisten:
    """Pass on no more events to the subscription."""

    subscription: str


@dataclass(frozen=True, slots=True)
class Cut:
    """End the connection: it does not keep up, or it wears the relay out."""

    reason: str


Effect = Send | Submit | TurnAway | Search | Tally | Gather | Reconcile | Listen | Unlisten | Cut


def send(frame: RelayFrame) -> Send:
    """The sending of a frame."""
    return Send(encode(frame).encode())


def of_step(step: Step) -> Effect:
    """What a step of a reconciliation comes to."""
    return send(step) if isinstance(step, NegMsg | NegErr) else step
