"""Pure: what strangers and agents are refused at the door, before it costs others anything.

People and the house's parts are not counted. A stranger is whoever sees nothing here, with or
without a key: one can be made in no time. An agent is counted over all connections of its session.
"""

from __future__ import annotations

from nips.event import Event
from nips.refusal import Prefix, Refusal
from relay_local.access import Scope, may_write
from relay_local.pacing import Meter
from relay_local.viewer import Viewer
from relay_local.world import World

STRANGER_BURST, STRANGER_PER_S = 40, 5.0  # of one connection
STRANGERS_BURST, STRANGERS_PER_S = 200, 20.0  # of all of them together
SESSION_BURST, SESSION_PER_S = 200, 10.0
# A classic NIP-44 text in an event; only our own ends send longer ones.
MAX_STRANGER_CHARS = 128 << 10
MAX_LIVE_VALUES = 100_000  # in the filters of all live subscriptions of a connection
MAX_STRANGER_VALUES = 200


class Door:
    """One connection's. `shared`: a meter for all strangers, or for all of one session's."""

    def __init__(self, shared: Meter) -> None:
        self._own = Meter(STRANGER_BURST, STRANGER_PER_S)
        self._shared = shared

    def objection(
        self, event: Event, n_chars: int, world: World, viewer: Viewer, scope: Scope, now_s: int
    ) -> Refusal | None:
        """Why an event goes no further; None when it may. n_chars: of its frame.

        Attack: a flood would keep the parts' events from being taken in, and the signer from
        answering the agents; an agent's own would fill the disk.
        """
        is_agent = viewer.session is not None
        if world.public or not (is_agent or scope.is_empty):
            return None
        if (refusal := may_write(world, viewer, event, now_s)) is not None:
            return refusal
        if not is_agent and n_chars > MAX_STRANGER_CHARS:
            return Refusal(Prefix.INVALID, f"a request holds at most {MAX_STRANGER_CHARS} bytes")
        if not (is_agent or self._own.take(now_s)) or not self._shared.take(now_s):
            return Refusal(Prefix.RATE_LIMITED, "too many events at once; slow down")
        return None


def too_many_values(n_values: int, scope: Scope) -> Refusal | None:
    """Why a connection may not keep so many values in its live filters: each is kept in the
    index that every event is looked up in."""
    if n_values <= (MAX_STRANGER_VALUES if scope.is_empty else MAX_LIVE_VALUES):
        return None
    return Refusal(Prefix.RATE_LIMITED, "too many values in live filters; close some of them")
