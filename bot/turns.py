"""Pure: whose job runs next: one a group, `places` in all, first come, first served.

A group with a hundred messages stands in line once, behind whoever came before; its next job
then stands in line again. So nobody waits for more than one job of each other group.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType

from bot.conversation import Conversation, Effect, Phase, Signal


@dataclass(frozen=True, slots=True)
class Start:
    """Run this job now."""

    group: str
    job: str


@dataclass(frozen=True, slots=True)
class Stop:
    """End this job's container; that it has ended is to be signalled as ever."""

    group: str
    job: str


@dataclass(frozen=True, slots=True)
class Turns:
    """The conversations, those that stand in line, and how many places are taken."""

    places: int
    conversations: Mapping[str, Conversation] = field(default_factory=lambda: MappingProxyType({}))
    line: tuple[str, ...] = ()
    taken: int = 0

    def on(
        self, group: str, signal: Signal, job: str | None = None
    ) -> tuple[Turns, list[Start | Stop]]:
        """The turns after a signal, and what is to be done. Raises OutOfTurn."""
        turns, todo = _step(self, group, signal, job)
        while turns.line and turns.taken < turns.places:
            first, *rest = turns.line
            turns, started = _step(replace(turns, line=tuple(rest)), first, Signal.PLACED)
            todo += started
        return turns, todo

    def of(self, group: str) -> Conversation:
        """The group's conversation."""
        return self.conversations.get(group, Conversation())

    @property
    def is_idle(self) -> bool:
        """Say whether no job runs, waits or is paused."""
        return not self.conversations


def _step(
    turns: Turns, group: str, signal: Signal, job: str | None = None
) -> tuple[Turns, list[Start | Stop]]:
    conversation, effects = turns.of(group).on(signal, job)
    line, taken, todo = turns.line, turns.taken, list[Start | Stop]()
    for effect in effects:
        match effect:
            case Effect.ASK:
                line = (*line, group)
            case Effect.LEAVE:
                line = tuple(other for other in line if other != group)
            case Effect.START:
                taken += 1
                todo.append(Start(group, conversation.jobs[0]))
            case Effect.STOP:
                todo.append(Stop(group, conversation.jobs[0]))
            case Effect.RELEASE:
                taken -= 1
    kept = {**turns.conversations, group: conversation}
    if conversation.phase is Phase.IDLE:
        del kept[group]
    return replace(turns, conversations=MappingProxyType(kept), line=line, taken=taken), todo
