"""Pure: pauses that grow: each twice as long as the one before, up to a longest."""

from __future__ import annotations

MAX_DOUBLINGS = 20  # a larger power is beyond any longest pause


def pause_s(attempt: int, first_s: float, longest_s: float) -> float:
    """Seconds to wait after the n-th fruitless attempt, the first being 0."""
    return float(min(first_s * 2 ** min(attempt, MAX_DOUBLINGS), longest_s))
