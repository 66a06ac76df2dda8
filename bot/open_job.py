"""Shell: a job that has no end event yet, as the dispatch keeps it, and who makes its attempts."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Protocol

from bot.author import Author
from bot.failure import Failure
from bot.jobs import Job
from nips.own.handed import MAX_HANDED


@dataclass(frozen=True, slots=True)
class JobState:
    """An open job as a person is shown it: `state` is waiting (for its time), queued, running,
    paused (before another attempt) or stopping; since_s: unix seconds."""

    job: Job
    state: str
    since_s: int


@dataclass(slots=True)
class Open:
    """A job that has no end event.

    closed: nothing is handed to it any more. ending: how it ends is decided, and on its way.
    attempt: while one is made. timer: wakes it, where it waits. ended: set when it has its end
    event.
    """

    job: Job
    since_s: int
    handing: asyncio.Lock = field(default_factory=asyncio.Lock)
    closed: bool = False
    ending: bool = False
    attempt: asyncio.Task[Failure] | None = None
    timer: asyncio.Task[None] | None = None
    ended: asyncio.Event = field(default_factory=asyncio.Event)

    def takes_more(self) -> bool:
        """Say whether a message may be handed to it."""
        full = len(self.job.handed) >= MAX_HANDED
        return not (self.closed or self.job.called_off or full)


class Attempts(Protocol):
    """Who makes the attempts; `author`: the router's pen."""

    @property
    def author(self) -> Author:
        """The router's pen."""
        ...

    async def run(self, job: Job, number: int, folder: str) -> Failure:
        """Make attempt `number` of a job whose group has `folder`; cancelled, it leaves nothing
        that runs."""
        ...
