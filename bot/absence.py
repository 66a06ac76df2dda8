"""Pure: whether the signer is away, and what its owner is told of it: once when it goes, once when
it returns.

            silent, refuses                    for AWAY_AFTER_S: tell Gone
    SERVING ───────────────► DOUBTED ─────────────────────────► AWAY
       ▲  ▲                     │                                │ ▲
       │  └──────── serves ─────┘                         serves │ │ silent, refuses
       │                                                         ▼ │
       └────────── for `holds_s`: tell Back ─────────────── RETURNING

A signer that comes and goes must not flood its owner: each return within an hour has to hold twice
as long as the one before until it is believed, and nothing is told meanwhile. While the relay is
away nothing can be known of the signer, and nothing is concluded from it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from enum import Enum, auto

AWAY_AFTER_S = 30.0
FIRST_HOLD_S, LONGEST_HOLD_S = 30.0, 900.0
REMEMBERED_S = 3_600.0
MAX_WORDS_CHARS = 300


@dataclass(frozen=True, slots=True)
class Instant:
    """A moment by two clocks: one that never steps, for durations, and unix time, for words."""

    steady_s: float
    unix_s: int


@dataclass(frozen=True, slots=True)
class Serves:
    """It answered."""


@dataclass(frozen=True, slots=True)
class Refuses:
    """It is there and cannot serve; why, in its words."""

    words: str


@dataclass(frozen=True, slots=True)
class Silent:
    """It did not answer."""


@dataclass(frozen=True, slots=True)
class Blind:
    """The relay was away, so nobody could have answered."""


Sight = Serves | Refuses | Silent | Blind


class Phase(Enum):
    """What is thought of the signer."""

    SERVING = auto()
    DOUBTED = auto()
    AWAY = auto()
    RETURNING = auto()


@dataclass(frozen=True, slots=True)
class Gone:
    """Tell that it is away since then (unix); `words`: why, where it said so itself."""

    since_s: int
    words: str


@dataclass(frozen=True, slots=True)
class Back:
    """Tell that it was away from then until then (unix)."""

    since_s: int
    until_s: int


Telling = Gone | Back


@dataclass(frozen=True, slots=True)
class Watch:
    """What is known. `since`: when the signer was first missed; `held_from`: since when it serves
    again; `returns`: when it has returned, by the steady clock, within the last hour."""

    phase: Phase = Phase.SERVING
    since: Instant | None = None
    held_from: Instant | None = None
    returns: tuple[float, ...] = ()

    @property
    def serves(self) -> bool:
        """Say whether asking it is worth while."""
        return self.phase is not Phase.AWAY


def resumed(since: Instant) -> Watch:
    """The watch of a process that was started while the signer was known to be away."""
    return Watch(Phase.AWAY, since)


def after(watch: Watch, sight: Sight, asked: Instant, now: Instant) -> tuple[Watch, Telling | None]:
    """The watch after a look that began at `asked` and ended `now`, and what is to be told."""
    since = watch.since or asked
    match watch.phase, sight:
        case Phase.SERVING, Silent() | Refuses():
            return after(replace(watch, phase=Phase.DOUBTED, since=asked), sight, asked, now)
        case Phase.DOUBTED, Serves() | Blind():
            return replace(watch, phase=Phase.SERVING, since=None), None
        case Phase.DOUBTED, Silent() | Refuses():
            if now.steady_s - since.steady_s < AWAY_AFTER_S:
                return watch, None
            words = sight.words if isinstance(sight, Refuses) else ""
            return replace(watch, phase=Phase.AWAY, since=since), Gone(since.unix_s, words)
        case Phase.AWAY, Serves():
            returning = replace(watch, phase=Phase.RETURNING, held_from=now)
            return after(returning, sight, asked, now)
        case Phase.RETURNING, Serves():
            held_from = watch.held_from or now
            recent = tuple(at for at in watch.returns if now.steady_s - at < REMEMBERED_S)
            if now.steady_s - held_from.steady_s < holds_s(len(recent)):
                return watch, None
            back = Back(since.unix_s, max(since.unix_s, held_from.unix_s))
            return Watch(returns=(*recent, now.steady_s)), back
        case Phase.RETURNING, Silent() | Refuses():
            return replace(watch, phase=Phase.AWAY, held_from=None), None
        case _:
            return watch, None


def holds_s(n_returns: int) -> float:
    """How long a return must hold after `n_returns` others within the hour."""
    return min(FIRST_HOLD_S * 2 ** (n_returns - 1), LONGEST_HOLD_S) if n_returns else 0.0


def sentence(telling: Telling) -> str:
    """What the owner is told."""
    match telling:
        case Gone(since_s, words):
            why = (
                f"is there but cannot sign: {_plain(words)}."
                if words
                else "does not answer. It is started again by itself; if it stays away, its log "
                "says why."
            )
            return (
                f"I cannot speak since {_clock(since_s)} UTC: the signer, which holds my key, "
                f"{why} What you write to me waits, and is answered when it is back."
            )
        case Back(since_s, until_s):
            return (
                f"I can speak again. The signer was away for {_duration(until_s - since_s)}, from "
                f"{_clock(since_s)} to {_clock(until_s)} UTC; what waited is being answered now."
            )


def _plain(words: str) -> str:
    return "".join(c if c.isprintable() else " " for c in words[:MAX_WORDS_CHARS]).rstrip(". ")


def _clock(unix_s: int) -> str:
    return datetime.fromtimestamp(unix_s, UTC).strftime("%Y-%m-%d %H:%M")


def _duration(seconds: int) -> str:
    for size, unit in ((86_400, "day"), (3_600, "hour"), (60, "minute")):
        if seconds >= 2 * size:
            return f"{seconds // size} {unit}s"
    return f"{seconds} seconds" if seconds != 1 else "1 second"
