"""Shell: very many tasks that are due in one second: in which order their jobs come, and how many
are at work together."""

from __future__ import annotations

import asyncio
import secrets
import time
from dataclasses import dataclass

from bench.router_place import Place
from nips.event import Event
from nips.filter import Filter
from nips.kinds import Kind
from relay_local.client import Delivery

GROUPS = 50
LEAD_S = 8  # before the first is due, for the router's start, or theirs
IN_FLIGHT = 50
SILENCE_S = 120.0  # without any job: something is wrong


@dataclass(frozen=True, slots=True)
class Crowd:
    """What `at once` came to. took_s: until the last job event. together: jobs at work at once, at
    most."""

    tasks: int
    jobs: int
    in_order: bool
    took_s: float
    ended: int
    together: int

    def to_json(self) -> dict[str, object]:
        """For the results file."""
        return {
            "tasks": self.tasks,
            "jobs": self.jobs,
            "in_order": self.in_order,
            "last_job_after_s": round(self.took_s, 2),
            "ended_of_them": self.ended,
            "at_work_together_at_most": self.together,
        }


async def at_once(there: Place, count: int, ended: int) -> Crowd:
    """Tasks of fifty groups, due in one second, as the owner's calendar client plans them; until
    so many of their jobs have ended."""
    groups = [await there.group(number) for number in range(GROUPS)]
    due_s = int(time.time()) + LEAD_S + count // 20
    wishes = [_wish(there, groups[number % GROUPS], due_s) for number in range(count)]
    for first in range(0, count, IN_FLIGHT):
        await asyncio.gather(*map(there.publish, wishes[first : first + IN_FLIGHT]))
    kinds = (Kind.CALENDAR_EVENT, Kind.JOB_REQUEST, Kind.JOB_ACCEPTED, Kind.JOB_RESULT)
    planned: set[str] = set()
    jobs: list[tuple[int, str]] = []
    at_work, together, n_ended, took_s = set[str](), 0, 0, 0.0
    async with there.client.subscribe([of_router(there, *kinds)]) as stream:
        while len(jobs) < count or n_ended < ended:
            async with asyncio.timeout(SILENCE_S):
                item = await anext(aiter(stream))
            if not isinstance(item, Delivery):
                continue
            event, about = item.event, item.event.tag("e") or ""
            match event.kind:
                case Kind.CALENDAR_EVENT:
                    planned.add(event.tag("d") or "")
                    if not jobs and len(planned) < count and time.time() > due_s:
                        raise RuntimeError("the tasks were not planned in time")
                case Kind.JOB_REQUEST if slot := event.tag("slot"):
                    jobs.append((int(slot), (event.tag("a") or "").split(":", 2)[2]))
                    took_s = time.time() - due_s
                case Kind.JOB_ACCEPTED:
                    at_work.add(about)
                    together = max(together, len(at_work))
                case Kind.JOB_RESULT:
                    at_work.discard(about)
                    n_ended += 1
    return Crowd(len(planned), len(set(jobs)), jobs == sorted(jobs), took_s, n_ended, together)


def _wish(there: Place, group: str, at_s: int) -> Event:
    return there.event(
        Kind.CALENDAR_EVENT,
        (
            ("d", secrets.token_hex(8)), ("h", group), ("start", str(at_s)), ("schedule", "once"),
            ("title", "Water the plants"),
        ),
        "/say done",
    )  # fmt: skip


def of_router(there: Place, *kinds: Kind) -> Filter:
    """What the router says of these kinds."""
    return Filter(kinds=frozenset(map(int, kinds)), authors=frozenset({there.roles.router}))
