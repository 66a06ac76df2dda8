"""Pure: an event on its way in, as the rules of writing see it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import lru_cache

from nips.event import Event
from nips.refusal import Refusal
from relay_local.viewer import Standing, Viewer, standing
from relay_local.world import World


@dataclass(frozen=True, slots=True)
class Writing:
    """An event on its way in. `group`: the value of its `h` tag."""

    world: World
    viewer: Viewer
    event: Event
    now_s: int
    standing: Standing
    group: str | None


def writing(world: World, viewer: Viewer, event: Event, now_s: int) -> Writing:
    """What the rules see when `viewer` brings `event` to `world`."""
    return Writing(world, viewer, event, now_s, standing(world, viewer, event), event.tag("h"))


Rule = Callable[[Writing], Refusal | None]
_subjects: dict[Rule, frozenset[int]] = {}


def about(*kinds: int | Iterable[int]) -> Callable[[Rule], Rule]:
    """Declare the kinds that a rule is about: of any other it is not asked."""
    numbers = frozenset(
        number for one in kinds for number in ((one,) if isinstance(one, int) else one)
    )

    def declare(rule: Rule) -> Rule:
        _subjects[rule] = numbers
        return rule

    return declare


@lru_cache(1_024)
def of_kind(rules: tuple[Rule, ...], kind: int) -> tuple[Rule, ...]:
    """Those of the rules, in their order, that have a say about a kind."""
    return tuple(rule for rule in rules if rule not in _subjects or kind in _subjects[rule])
