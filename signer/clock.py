"""Pure: the time that grants are judged by, which never goes back.

A grant must not live again because somebody set the wall clock back, neither while the signer
runs (the monotonic clock counts on) nor over a restart (the highest second ever seen is kept in
the ledger). Time that went back is not repaired by guessing: nothing is signed until it is right.
"""

from __future__ import annotations

from dataclasses import dataclass

SLACK_S = 5.0  # what a time server's correction may take back at once


@dataclass(frozen=True, slots=True)
class Reading:
    """The highest time seen, in unix seconds, and the monotonic clock's value then."""

    now_s: float
    monotonic_s: float


@dataclass(frozen=True, slots=True)
class WentBack:
    """The wall clock is `by_s` seconds behind what it must be at least."""

    by_s: float


def start(high_water_s: float, monotonic_s: float) -> Reading:
    """Begin with the highest second that the ledger knows (0: none yet)."""
    return Reading(high_water_s, monotonic_s)


def read(before: Reading, wall_s: float, monotonic_s: float) -> tuple[Reading, WentBack | None]:
    """The time now, from both clocks, and whether the wall clock went back.

    A wall clock that jumps forward (a correction, a sleep of the machine) is believed: it ends
    grants, it lengthens none.
    """
    least_s = before.now_s + max(0.0, monotonic_s - before.monotonic_s)
    now = Reading(max(least_s, wall_s), monotonic_s)
    return now, WentBack(least_s - wall_s) if wall_s < least_s - SLACK_S else None
