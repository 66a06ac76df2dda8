"""Pure: why an attempt at a job did not end well, in words for the owner."""

from __future__ import annotations

from dataclasses import dataclass

from bot.engine.outcome import Exited, Killed, Limits, Outcome, Why

# A limit that the program reached by itself; the same program would reach it again.
FINAL = frozenset({Why.WALL_CLOCK, Why.MEMORY, Why.OUTPUT, Why.FOLDER, Why.DISK})
# What the image's program says by its exit status.
SIGNER_AWAY = 68
EXITS = {
    64: "it was started wrongly",
    65: "the job's events are not what they should be",
    69: "the relay stayed away",
    75: "the relay or the signer refused it",
    127: "the image has no such program",
    137: "it was killed",
}


@dataclass(frozen=True, slots=True)
class Failure:
    """Why an attempt did not end well, in words for the owner that follow "I could not finish
    that: "; `final` where another attempt would fail alike."""

    words: str
    final: bool = False


INTERRUPTED = Failure("the assistant was stopped while it worked on it")


def failure_of(outcome: Outcome, limits: Limits) -> Failure:
    """Say why a container that ended was not successful, should its job not be done."""
    match outcome.end:
        case Killed(why):
            return Failure(_words(why, limits), why in FINAL)
        case Exited(0):
            return Failure("the agent ended without an end to its work")
        case Exited(code) if code == SIGNER_AWAY:
            # It waited for as long as a run may last; it would do so again.
            return Failure(
                "what signs my words did not answer until the time for it was over", final=True
            )
        case Exited(code):
            meaning = f" ({EXITS[code]})" if code in EXITS else ""
            return Failure(f"the agent ended with status {code}{meaning}")


def _words(why: Why, limits: Limits) -> str:
    match why:
        case Why.WALL_CLOCK:
            return f"the agent ran longer than {_duration(limits.wall_clock_s)} and was stopped"
        case Why.MEMORY:
            return f"the agent used more than {limits.memory_bytes >> 20} MiB of memory"
        case Why.OUTPUT:
            return f"the agent wrote more than {limits.output_bytes >> 20} MiB of output"
        case Why.FOLDER:
            return (
                f"its folder grew beyond {limits.folder_bytes >> 20} MiB, or beyond what can be "
                "counted. Look into it before you ask again"
            )
        case Why.DISK:
            return "the disk is nearly full. Free some space"
        case Why.ENGINE:
            return "the container engine went away"


def _duration(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:g} seconds"
    return f"{seconds / 60:.0f} minutes" if seconds % 60 == 0 else f"{seconds / 60:.1f} minutes"
