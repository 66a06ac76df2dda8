"""Pure: a token bucket, as a value and as what several share."""

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


class Meter:
    """One bucket for all who hold the meter, full at first."""

    def __init__(self, capacity: float, per_s: float) -> None:
        self._bucket: Bucket | None = None
        self._capacity, self._per_s = capacity, per_s

    def take(self, now_s: float) -> bool:
        """Take a token; False when there is none."""
        bucket = self._bucket or Bucket(self._capacity, self._per_s, self._capacity, now_s)
        taken = bucket.take(now_s)
        self._bucket = taken or bucket
        return taken is not None
