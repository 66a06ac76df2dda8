"""Pure: the next runs of a rule, as a person looks at them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from typing import Any

from bot.schedule.cron import Cron
from bot.schedule.slots import Rule, next_slot
from bot.schedule.wall_clock import comes_twice, shown

HOW_MANY = 10


@dataclass(frozen=True, slots=True)
class Showing:
    """One run. local: on the clock of the zone. note: what the clock does at that time, "" where
    it does nothing."""

    at_s: int
    local: datetime
    note: str

    @property
    def utc(self) -> datetime:
        """The same in UTC."""
        return self.local.astimezone(UTC)

    def to_json(self, now_s: int) -> dict[str, Any]:
        """As a script reads it."""
        return {
            "at": self.at_s,
            "weekday": f"{self.local:%A}",
            "local": self.local.isoformat(),
            "utc": self.utc.strftime("%Y-%m-%dT%H:%M:%SZ"),
            "in_s": self.at_s - now_s,
            "note": self.note,
        }


def upcoming(rule: Rule, zone: tzinfo, after_s: int, count: int = HOW_MANY) -> list[Showing]:
    """The next runs after a second, at most `count` of them."""
    found: list[Showing] = []
    while len(found) < count:
        slot = next_slot(rule, zone, found[-1].at_s if found else after_s)
        if slot is None:
            break
        local = datetime.fromtimestamp(slot, UTC).astimezone(zone)
        found.append(Showing(slot, local, _note(rule, zone, slot)))
    return found


def _note(rule: Rule, zone: tzinfo, slot: int) -> str:
    if not isinstance(rule, Cron):
        return ""
    local, meant = shown(zone, slot), rule.following(shown(zone, slot - 1))
    if meant is not None and meant < local:
        return f"the clock passes over {meant:%H:%M}"
    return f"{local:%H:%M} comes twice: the first" if comes_twice(zone, local) else ""
