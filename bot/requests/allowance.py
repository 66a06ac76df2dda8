"""Pure: how much a caller may ask, by what it is: requests a second, and open at once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import Enum, auto
from types import MappingProxyType

from bot.requests.callers import Bridge, Caller, Console, ModelProxy, Session, TheRouter


@dataclass(frozen=True, slots=True)
class Limits:
    """at_once: requests in a burst; per_s: what comes back each second; open: unanswered ones."""

    at_once: int
    per_s: float
    open: int


LIMITS: Mapping[type[Caller], Limits] = MappingProxyType(
    {
        # Attack: an agent that asks without end keeps the router, and so everybody, from work.
        Session: Limits(30, 1.0, 4),
        Bridge: Limits(200, 20.0, 32),
        Console: Limits(60, 10.0, 8),
        ModelProxy: Limits(500, 50.0, 32),
        TheRouter: Limits(60, 4.0, 8),
    }
)


class Verdict(Enum):
    """What becomes of one more request."""

    ANSWER = auto()
    REFUSE = auto()
    IGNORE = auto()  # it was told, and goes on: an answer would be work for us too


@dataclass(frozen=True, slots=True)
class Allowance:
    """One caller's state. `left` goes below zero by as much again before it is ignored;
    `seen_s`: by any clock that only goes forward."""

    limits: Limits
    left: float
    seen_s: float
    open: int = 0

    @classmethod
    def of(cls, caller: Caller, now_s: float) -> Allowance:
        """A new caller's."""
        limits = LIMITS[type(caller)]
        return cls(limits, limits.at_once, now_s)

    def ask(self, now_s: float) -> tuple[Allowance, Verdict]:
        """One more request at this second."""
        came_back = (now_s - self.seen_s) * self.limits.per_s
        left = min(self.limits.at_once, self.left + max(0.0, came_back)) - 1
        after = replace(self, left=max(left, -self.limits.at_once), seen_s=now_s)
        if left < -self.limits.at_once:
            return after, Verdict.IGNORE
        if left < 0 or self.open >= self.limits.open:
            return after, Verdict.REFUSE
        return replace(after, open=self.open + 1), Verdict.ANSWER

    def settle(self) -> Allowance:
        """A request was answered."""
        return replace(self, open=self.open - 1)
