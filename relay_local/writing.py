"""Pure: an event on its way in, as the rules of writing see it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from nips.event import Event
from nips.refusal import Refusal
from relay_local.viewer import Standing, Viewer, standing
from relay_local.world import World


@dataclass(frozen=True, slots=True)
class Writing:
    """An event on its way in."""

    world: World
    viewer: Viewer
    event: Event
    now_s: int
    standing: Standing = field(init=False)

    def __post_init__(self) -> None:
        of_author = standing(self.world, self.viewer, self.event)
        object.__setattr__(self, "standing", of_author)


Rule = Callable[[Writing], Refusal | None]
