"""Pure: token buckets as values, and what an event costs.

A bucket is kept as what was *spent* from it, which drains at the refill rate. So one stored value
serves whichever capacity is asked for next: a renewed grant with another rate resets nothing.
Source: "token bucket" as in RFC 2697, section 3, written the other way round.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from nips.refusal import Prefix, Refusal

DAY_S = 86_400
LIFETIME_S = 100 * 365 * DAY_S


@dataclass(frozen=True, slots=True)
class Rated:
    """A cost: one token of the bucket `name`, which holds `capacity` and refills `per_s`."""

    name: str
    capacity: int
    per_s: float


@dataclass(frozen=True, slots=True)
class Counted:
    """A cost: one of at most `cap` under `name`, ever, or in one UTC day where `daily`."""

    name: str
    cap: int
    daily: bool


Cost = Rated | Counted


@dataclass(frozen=True, slots=True)
class Spent:
    """What is stored under a name: tokens spent at unix second `at_s`, or a count."""

    amount: float
    at_s: float


def charge(cost: Cost, spent: Spent | None, now_s: float) -> Spent | Refusal:
    """Take one: the value to store, or why there is none to take.

    The clock never goes back here (clock.py); a value from the future would only drain later.
    """
    match cost:
        case Rated(name, capacity, per_s):
            used = 0.0
            if spent is not None:
                used = max(0.0, spent.amount - max(0.0, now_s - spent.at_s) * per_s)
            if used + 1 > capacity:
                wait_s = (used + 1 - capacity) / per_s if per_s else math.inf
                wait = f"in {math.ceil(wait_s)} s" if wait_s < LIFETIME_S else "never"
                return Refusal(
                    Prefix.RATE_LIMITED, f"too fast for {describe(name)}; the next one {wait}"
                )
            return Spent(used + 1, now_s)
        case Counted(name, cap, daily):
            same = spent is not None and (not daily or spent.at_s // DAY_S == now_s // DAY_S)
            used = spent.amount if spent is not None and same else 0.0
            if used + 1 > cap:
                per = "for today" if daily else "for good"
                return Refusal(
                    Prefix.RATE_LIMITED, f"{describe(name)} has used up its {cap} events {per}"
                )
            return Spent(used + 1, now_s)


def describe(name: str) -> str:
    """What a bucket's name means to a person: `all`, `group/…`, `frames`, `kind/…/9`, `key/…`."""
    match name.split("/"):
        case ["all", *_]:
            return "all conversations together"
        case ["questions", *_]:
            return "asking the owner"
        case ["frames", *_]:
            return "all live views together"
        case ["group", *_]:
            return "this conversation"
        case ["bunker", *_]:
            return "all logins together"
        case ["kind", _, kind, *_]:
            return f"kind {kind}"
        case _:
            return "this key"
