"""Pure: how long what the house itself writes is kept. Source: PROTOCOL.md "How long it is kept".

What goes leaves its id and once-key behind: what comes again is a duplicate and no news.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from nips.own.delivery import Delivery

DAY_S = 86_400
WRAP_KEPT_S = 30 * DAY_S  # after it was handled, or delivered
JOB_KEPT_S = 90 * DAY_S  # after its end
DELIVERY_KEPT_S = 90 * DAY_S
COST_KEPT_S = 365 * DAY_S
MAX_BACKDATED_S = 2 * DAY_S  # NIP-59: a wrap's created_at is up to two days before its time
# Attack: anybody may send the bot wraps through any public relay, all day.
MAX_HANDLED_WRAPS = 20_000
MAX_HANDLED_BYTES = 256 << 20


@dataclass(frozen=True, slots=True)
class Handled:
    """A wrap to the bot that has been dealt with. `seq`: its arrival number."""

    seq: int
    id: str
    created_at: int
    size_bytes: int


def dispensable(wraps: Sequence[Handled], now_s: int) -> list[str]:
    """The ids of the wraps that are kept no longer: those of long ago, and the first to arrive
    of what is too many or too much. A stranger's count as anybody's: nobody can tell them apart
    without opening them."""
    out: list[str] = []
    left, left_bytes = MAX_HANDLED_WRAPS, MAX_HANDLED_BYTES
    for wrap in sorted(wraps, key=lambda one: one.seq, reverse=True):
        left, left_bytes = left - 1, left_bytes - wrap.size_bytes
        is_old = wrap.created_at < now_s - WRAP_KEPT_S - MAX_BACKDATED_S
        if is_old or left < 0 or left_bytes < 0:
            out.append(wrap.id)
    return out


def is_over(delivery: Delivery, now_s: int, kept_s: int) -> bool:
    """Say whether nothing more is sent for a delivery, and has not been for so long."""
    # Uncertain is over too: what may have gone out is never sent again.
    if not delivery.relays or delivery.is_pending:
        return False
    return max(state.at for state in delivery.relays) < now_s - kept_s
