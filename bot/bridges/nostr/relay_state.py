"""Pure: how a public relay is doing, what is wrong with one, and how long it is left alone then.

    connecting ──► listening ◄──► deaf, until it shows that it passes on what comes
        ▲              │
        └── a pause ◄── down │ deaf │ refused │ rate-limited │ forging

A fault ends the connection. What it was is shown until the relay serves again.
Source: PROTOCOL.md "Health".
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from enum import StrEnum
from typing import Any, Self

from bot.bridges.pauses import pause_s
from nips.refusal import Prefix, Refusal

FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.5, 60.0
WELL_FOR_S = 60.0  # after so long a fault is a new one, and its first pause short


class State(StrEnum):
    """What a relay is to us now."""

    CONNECTING = "connecting"
    LISTENING = "listening"
    DOWN = "down"
    DEAF = "deaf"
    REFUSED = "refused"
    RATE_LIMITED = "rate-limited"
    FORGING = "forging"


@dataclass(frozen=True, slots=True)
class Fault:
    """Why a relay is connected anew; `reason` in plain words, or the relay's own."""

    state: State
    reason: str


def closed(reason: str) -> Fault:
    """What it means that a relay closed (NIP-01 CLOSED) what it had not yet answered."""
    prefix = Refusal.parse(reason).prefix
    if prefix is Prefix.RATE_LIMITED:
        return Fault(State.RATE_LIMITED, reason)
    return Fault(State.REFUSED, reason)


@dataclass(frozen=True, slots=True)
class Health:
    """What is known of one relay.

    since_s: unix second since when it is in this state. healthy_s: until when nothing was missed of
    it, None: never. probe_ms: how long its last answer to a REQ took. reconnects: connections after
    the first. accepted, refused: what it said to events that we sent. own: whether it stands in the
    bot's inbox list alone, and not in the configuration.
    """

    state: State = State.CONNECTING
    reason: str = ""
    since_s: int = 0
    healthy_s: int | None = None
    last_event_s: int | None = None
    last_probe_s: int | None = None
    probe_ms: int | None = None
    connections: int = 0
    reconnects: int = 0
    accepted: int = 0
    refused: int = 0
    own: bool = False

    def to(self, state: State, reason: str, now_s: int) -> Self:
        """The same in another state; without a change it is the same value."""
        if (self.state, self.reason) == (state, reason):
            return self
        since_s = self.since_s if self.state is state else now_s
        return replace(self, state=state, reason=reason, since_s=since_s)

    def to_json(self) -> dict[str, Any]:
        """As in the health event."""
        return asdict(self)


class Pauses:
    """How long to wait before each connection; dice: a number from 0 up to 1, each time."""

    def __init__(self) -> None:
        self._attempts = 0

    def next_s(self, well_for_s: float, dice: float) -> float:
        """The pause after a connection that served for so long (seconds, 0: never).

        Each is twice the one before, up to a minute; between half and all of it, so that those
        who lost a relay at one moment do not come back to it at one moment.
        """
        if well_for_s >= WELL_FOR_S:
            self._attempts = 0
        whole_s = pause_s(self._attempts, FIRST_PAUSE_S, LONGEST_PAUSE_S)
        self._attempts += 1
        return whole_s * (0.5 + dice / 2)
