"""Pure: which groups have a spare: a container that is started and waits for its group's next job.

A group is in use from the end of a job on, until it has been idle for long; while a job of it runs
it needs none. There are no more spares than a number and the machine's memory allow: the groups
used last come first. One that has died, or that was made of something that no longer holds, is
never used: without a spare a job gets a container of its own, as if there were none anywhere.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from bot.engine.outcome import Limits
from nips.own.backend_name import BackendName
from nips.own.binding import Binding


@dataclass(frozen=True, slots=True)
class Makeup:
    """All of a group that a container is made of. One that was made of something else is another
    group's, or this one's as it was: who is in it, its folder, and what it may."""

    binding: Binding
    limits: Limits
    backends: tuple[BackendName, ...]
    is_main: bool = False

    @property
    def group(self) -> str:
        """The group's id."""
        return self.binding.group


@dataclass(frozen=True, slots=True)
class Bounds:
    """most: spares at once; 0: none at all. idle_s: how long one waits. free_bytes: of memory
    that are left to the machine, whatever the spares need."""

    most: int = 0
    idle_s: float = 900.0
    free_bytes: int = 1 << 30


@dataclass(frozen=True, slots=True)
class Kept:
    """A spare. made_s: by a clock that never steps."""

    makeup: Makeup
    made_s: float
    is_alive: bool = True


@dataclass(frozen=True, slots=True)
class Plan:
    """What is to be done now: end the spares of these groups, then make one of this."""

    end: tuple[str, ...] = ()
    make: Makeup | None = None


def fits(kept: Kept, wanted: Makeup | None, bounds: Bounds, now_s: float) -> bool:
    """Say whether a spare may be used for a job of the group that `wanted` is of."""
    return kept.is_alive and kept.makeup == wanted and now_s - kept.made_s < bounds.idle_s


def plan(
    kept: Iterable[Kept],
    used_s: Mapping[str, float],
    wanted: Mapping[str, Makeup],
    bounds: Bounds,
    available_bytes: int | None,
    now_s: float,
) -> Plan:
    """Decide. used_s: when each group in use was used last. wanted: what a spare would be made of
    now, of the groups that may have one. available_bytes: of memory; None where nobody knows.
    """
    recent = sorted(
        (group for group, at in used_s.items() if group in wanted and now_s - at < bounds.idle_s),
        key=lambda group: used_s[group],
        reverse=True,
    )[: bounds.most]
    good: dict[str, Kept] = {}
    over: list[str] = []
    for one in kept:
        group = one.makeup.group
        if group in recent and fits(one, wanted[group], bounds, now_s):
            good[group] = one
        else:
            over.append(group)
    by_age = [group for group in reversed(recent) if group in good]
    spare_bytes = None if available_bytes is None else available_bytes - bounds.free_bytes
    if spare_bytes is not None and spare_bytes < 0:
        return Plan((*over, *by_age[:1]))  # one at a time: the next look sees what it gave back
    missing = next((group for group in recent if group not in good), None)
    if missing is None:
        return Plan(tuple(over))
    made = wanted[missing]
    if spare_bytes is not None and spare_bytes < made.limits.memory_bytes:
        lesser = [group for group in by_age if used_s[group] < used_s[missing]]
        return Plan((*over, *lesser[:1]))
    return Plan(tuple(over), made)
