"""Pure: a token bucket as a value."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Bucket:
    """`level` of at most `capacity` tokens at the second `at_s`; `per_s` more each second."""

    capacity: float
    per_s: float
    level: float
    at_s: float

    def take(self, now_s: float) -> Bucket | None:
        """The bucket with one token less; None when there is none. A clock that was set back
        refills nothing."""
        refilled = self.level + max(0.0, now_s - self.at_s) * self.per_s
        level = min(self.capacity, refilled)
        if level < 1:
            return None
        return Bucket(self.capacity, self.per_s, level - 1, max(now_s, self.at_s))
