"""Pure: one group's work as a state machine: one job at a time, in the order in which it came.

            ┌────────┐ arrived  ┌────────┐ placed  ┌─────────┐ called off ┌──────────┐
            │  IDLE  │ ───────► │ QUEUED │ ──────► │ RUNNING │ ─────────► │ STOPPING │
            └────────┘          └────────┘         └─────────┘            └──────────┘
                 ▲                ▲  ▲ │ woken        │  │ ended               │ ended
                 │ nothing waits  │  └─┴── PAUSED ◄───┘  │                     │
                 └────────────────┴──────────────────────┴─────────────────────┘
                                    failed

A failed job keeps its turn: it waits at the head of its group (PAUSED) without holding one of
the places that all groups share (`bot.turns`), then asks for a place again. A job that is called
off leaves the line; if it is the one under way, it keeps its place until its container is gone.
A job that may not begin yet is in no line: it arrives when it may.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import Enum, auto


class Phase(Enum):
    """What a group is doing."""

    IDLE = auto()
    QUEUED = auto()  # its first job waits for a place
    RUNNING = auto()  # its first job has a place
    PAUSED = auto()  # its first job failed and waits until it is tried again
    STOPPING = auto()  # its first job has a place, and is being ended


class Signal(Enum):
    """What happens to a group."""

    ARRIVED = auto()
    PLACED = auto()
    ENDED = auto()
    FAILED = auto()
    WOKEN = auto()
    CALLED_OFF = auto()  # its first job


class Effect(Enum):
    """What the group wants done."""

    ASK = auto()  # stand in line for a place
    LEAVE = auto()  # stand in line no more
    START = auto()  # run the first job
    STOP = auto()  # end the container of the first job
    RELEASE = auto()  # give the place back


TABLE: dict[tuple[Phase, Signal], tuple[Phase, Effect | None]] = {
    (Phase.IDLE, Signal.ARRIVED): (Phase.QUEUED, Effect.ASK),
    (Phase.QUEUED, Signal.ARRIVED): (Phase.QUEUED, None),
    (Phase.RUNNING, Signal.ARRIVED): (Phase.RUNNING, None),
    (Phase.PAUSED, Signal.ARRIVED): (Phase.PAUSED, None),
    (Phase.STOPPING, Signal.ARRIVED): (Phase.STOPPING, None),
    (Phase.QUEUED, Signal.PLACED): (Phase.RUNNING, Effect.START),
    (Phase.RUNNING, Signal.ENDED): (Phase.IDLE, Effect.RELEASE),
    (Phase.STOPPING, Signal.ENDED): (Phase.IDLE, Effect.RELEASE),
    (Phase.RUNNING, Signal.FAILED): (Phase.PAUSED, Effect.RELEASE),
    (Phase.PAUSED, Signal.WOKEN): (Phase.QUEUED, Effect.ASK),
    (Phase.QUEUED, Signal.CALLED_OFF): (Phase.IDLE, Effect.LEAVE),
    (Phase.PAUSED, Signal.CALLED_OFF): (Phase.IDLE, None),
    (Phase.RUNNING, Signal.CALLED_OFF): (Phase.STOPPING, Effect.STOP),
    (Phase.STOPPING, Signal.CALLED_OFF): (Phase.STOPPING, None),
}


class OutOfTurn(Exception):
    """A bug of ours: this cannot happen in this phase."""


@dataclass(frozen=True, slots=True)
class Conversation:
    """One group's phase and its jobs' ids, the first of which is the one under way."""

    phase: Phase = Phase.IDLE
    jobs: tuple[str, ...] = ()

    def on(self, signal: Signal, job: str | None = None) -> tuple[Conversation, list[Effect]]:
        """The conversation after a signal, and what it wants done. `job`: of ARRIVED and
        CALLED_OFF.

        Raises OutOfTurn where the table has no such line, or the group no such job.
        """
        if signal is Signal.CALLED_OFF and job in self.jobs[1:]:
            # It was not its turn: nothing else changes.
            return replace(self, jobs=tuple(other for other in self.jobs if other != job)), []
        line = TABLE.get((self.phase, signal))
        if line is None or (signal is Signal.CALLED_OFF and self.jobs[:1] != (job,)):
            raise OutOfTurn(f"{signal.name} while {self.phase.name}")
        phase, effect = line
        effects = [] if effect is None else [effect]
        jobs = self.jobs
        if signal is Signal.ARRIVED:
            assert job is not None
            jobs = (*jobs, job)
        elif phase is Phase.IDLE:
            jobs = jobs[1:]
            if jobs:  # the next one stands in line behind the other groups
                phase = Phase.QUEUED
                effects.append(Effect.ASK)
        return replace(self, phase=phase, jobs=jobs), effects
