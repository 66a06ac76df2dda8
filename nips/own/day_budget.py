"""Pure: what a group has used of language models on a day, and by how much its owner raised that
day's budget.

Source: PROTOCOL.md "Budget". Kind 30078 by the router, `["d","budget/<uuid>"]`, or `budget/all`
for all groups together, content

    {"day":"2026-01-01","tokens":13,"microusd":63,
     "raised":[{"by":"<what raised it>","runs":10,"tokens":0,"microusd":0}]}

Runs are not in it: they are the 43001s of the day. A later day's replaces it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from nips.event import Event, Template
from nips.kinds import Kind
from nips.own import spent
from nips.own.binding import Budget
from nips.own.fields import (
    GROUP_ID,
    integer,
    json_object,
    known_only,
    of_kind,
    only_tag,
    text,
)
from nips.refusal import Malformed

D_PREFIX = "budget/"
ALL = "all"  # in place of a group
MAX_RAISES = 200
MAX_BY_CHARS = 128
_AMOUNTS = ("runs", "tokens", "microusd")


@dataclass(frozen=True, slots=True)
class Raise:
    """More for one day. by: what raised it, such as a message's id: one of these counts once."""

    by: str
    runs: int = 0
    tokens: int = 0
    microusd: int = 0


@dataclass(frozen=True, slots=True)
class DayBudget:
    """See above. group: its UUID, or ALL. day: UTC."""

    group: str
    day: str
    tokens: int = 0
    microusd: int = 0
    raised: tuple[Raise, ...] = ()

    def raised_by(self, more: Raise) -> DayBudget:
        """The day after a raise; one that is in it already changes nothing. Raises Malformed
        when there were too many."""
        if any(one.by == more.by for one in self.raised):
            return self
        if len(self.raised) >= MAX_RAISES:
            raise Malformed(f"a day's budget is raised at most {MAX_RAISES} times")
        raised = (*self.raised, more)
        return DayBudget(self.group, self.day, self.tokens, self.microusd, raised)

    def limit(self, own: Budget) -> Budget:
        """The day's limit of a group that has `own` of every day."""
        found = {
            name: None
            if (limit := getattr(own, name)) is None
            else limit + sum(getattr(one, name) for one in self.raised)
            for name in _AMOUNTS
        }
        return Budget(**found)


def template(one: DayBudget, router: str, created_at: int) -> Template:
    """The unsigned event of the router (hex)."""
    value = {
        "day": one.day,
        "tokens": one.tokens,
        "microusd": one.microusd,
        "raised": [
            {"by": more.by, **{name: getattr(more, name) for name in _AMOUNTS}}
            for more in one.raised
        ],
    }
    return Template(
        router,
        created_at,
        Kind.APP_DATA,
        (("d", D_PREFIX + one.group), ("alt", f"What was used of the budget of {one.day}")),
        json.dumps(value, separators=(",", ":"), ensure_ascii=False),
    )


def is_one(event: Event) -> bool:
    """Say whether the event is shelved as one."""
    return event.kind == Kind.APP_DATA and (event.tag("d") or "").startswith(D_PREFIX)


def parse(event: Event, router: str) -> DayBudget:
    """Read one whose author is `router`; the caller has verified the signature. Raises
    Malformed."""
    what = "budget"
    of_kind(what, event, Kind.APP_DATA)
    if event.pubkey != router:
        raise Malformed(f"{what}: not by the router")
    d = only_tag(what, event, "d")
    group = d.removeprefix(D_PREFIX)
    if d != D_PREFIX + group or not (group == ALL or GROUP_ID.fullmatch(group)):
        raise Malformed(f"{what}: d must be {D_PREFIX} and a group, or {ALL}")
    value = json_object(what, event.content)
    known_only(what, value, {"day", "tokens", "microusd", "raised"})
    raised = value.get("raised")
    if not isinstance(raised, list) or len(raised) > MAX_RAISES:
        raise Malformed(f"{what}: raised must be an array of at most {MAX_RAISES}")
    return DayBudget(
        group,
        spent.day(f"{what}: day", value.get("day")),
        integer(f"{what}: tokens", value.get("tokens")),
        integer(f"{what}: microusd", value.get("microusd")),
        tuple(_raise(f"{what}: a raise", one) for one in raised),
    )


def _raise(what: str, value: object) -> Raise:
    if not isinstance(value, Mapping):
        raise Malformed(f"{what} must be an object")
    given: Mapping[str, Any] = value
    known_only(what, given, {"by", *_AMOUNTS})
    by = text(f"{what}: by", given.get("by"))
    if not 0 < len(by) <= MAX_BY_CHARS:
        raise Malformed(f"{what}: by has 1 to {MAX_BY_CHARS} characters")
    return Raise(by, *(integer(f"{what}: {name}", given.get(name)) for name in _AMOUNTS))
