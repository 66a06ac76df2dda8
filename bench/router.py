"""Shell: how fast a message becomes a job, and how fairly many conversations are served.

Relay, signer, router are real processes; messages come from the owner's own client. Three parts:

    decision   `bot.routing.route` alone, in this process
    to a job   from the message's OK (it is stored), and from its sending, until its job event is
               stored and has come back to the client over a live subscription: its 43001, or, where
               a job of its group is open, the 43003 that hands it over; without containers beside
               it, then with as many at work as there are places
    at once    groups × messages, all sent together, real containers: each is answered exactly once,
               and how far apart the groups are

Fairness: a run answers up to 21 messages before the next group has its turn. Counted are the runs:
how many more one group ever had begun than another whose messages waited (1 is the least there can
be; then nobody ever has more than twice the runs of another, after the first). And groups are
compared by when each had half and all of its answers: the slowest's time over the fastest's.
"""

from __future__ import annotations

import asyncio
import json
import os
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from rich.table import Table

from bench import routing
from bench.figures import Figures, summarise
from bench.router_place import Place, place
from bench.tables import a_row_each
from bot.engine.host import engine as found_engine
from bot.operate.assembly import SOURCE_TREE
from bot.operate.image import ensure_image
from nips.event import Event
from nips.filter import Filter
from nips.kinds import Kind
from relay_local.client import Delivery

ENGINE_ROOT = SOURCE_TREE / ".engine"
PLACES = 4
GROUPS = 50
WARM_UP = 20
IN_FLIGHT = 50
SILENCE_S = 120.0  # without any answer: something is wrong
DONE = "✅"
WATCHED = (
    Kind.JOB_REQUEST,
    Kind.JOB_ACCEPTED,
    Kind.JOB_PROGRESS,
    Kind.JOB_RESULT,
    Kind.CHAT,
    Kind.REACTION,
)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What `at once` came to. each_once: every message has one answer and a job event. ahead: runs
    that one group had begun more than another that waited, at most."""

    groups: int
    messages: int
    each_once: bool
    took_s: float
    runs: int
    ahead: int
    half: float
    whole: float

    def to_json(self) -> dict[str, object]:
        """For the results file."""
        return {
            "groups": self.groups,
            "messages_each": self.messages,
            "each_exactly_once": self.each_once,
            "took_s": round(self.took_s, 1),
            "runs": self.runs,
            "runs_ahead_at_most": self.ahead,
            "slowest_over_fastest_half": round(self.half, 2),
            "slowest_over_fastest_whole": round(self.whole, 2),
        }


def run(
    messages: int, groups: int, each: int, announce: Callable[[str], None]
) -> tuple[list[Figures], Outcome | None]:
    """Measure all. messages: of `to a job`; groups, each: of `at once`, which is left out where
    groups is 0. Raises EngineUnavailable, RuntimeError."""
    decided, _ = routing.measure()
    with found_engine(ENGINE_ROOT, install=True, announce=announce) as engine:
        image = ensure_image(engine, announce)
        os.environ["DOCKER_HOST"] = engine.url
        return asyncio.run(_measure(image, decided, messages, groups, each, announce))


async def _measure(
    image: str,
    decided: Figures,
    messages: int,
    groups: int,
    each: int,
    announce: Callable[[str], None],
) -> tuple[list[Figures], Outcome | None]:
    figures = [decided]
    for places, words in ((0, "no container beside it"), (PLACES, f"{PLACES} containers at work")):
        announce(f"{messages} messages, one after the other, {words}")
        async with place(image, places) as there:
            stored, sent = await to_a_job(there, messages)
        figures.append(summarise(f"message stored to job event, {words}", "ms", stored))
        figures.append(summarise(f"message sent to job event, {words}", "ms", sent))
    if groups == 0:
        return figures, None
    announce(f"{groups} groups, {each} messages each, all at once, {PLACES} containers")
    async with place(image, PLACES) as there:
        return figures, await at_once(there, groups, each)


async def to_a_job(there: Place, messages: int) -> tuple[list[float], list[float]]:
    """Milliseconds from each message's OK, and from its sending, to its job event at the client;
    one message after the other, in `GROUPS` groups by turns."""
    made = [await there.group(number) for number in range(GROUPS)]
    events = Filter(
        kinds=frozenset({int(Kind.JOB_REQUEST), int(Kind.JOB_PROGRESS)}),
        authors=frozenset({there.roles.router}),
        since=int(time.time()) - 1,
    )
    from_ok, from_sending = [], []
    async with there.client.subscribe([events]) as stream:
        for number in range(messages + WARM_UP):
            message = there.message(made[number % GROUPS], "/say on time")
            sent = time.perf_counter()
            await there.publish(message)
            stored = time.perf_counter()
            async with asyncio.timeout(SILENCE_S):
                async for item in stream:
                    if isinstance(item, Delivery) and message.id in _named(item.event):
                        break
            now = time.perf_counter()
            from_ok.append((now - stored) * 1000)
            from_sending.append((now - sent) * 1000)
    return from_ok[WARM_UP:], from_sending[WARM_UP:]


def _named(event: Event) -> list[str]:
    return event.values("e" if event.kind == Kind.JOB_REQUEST else "q")


@dataclass(slots=True)
class Watch:
    """What is seen of the messages that were sent, by their ids."""

    group_of: dict[str, str]
    began: float
    answers: Counter[str] = field(default_factory=Counter)
    jobs: Counter[str] = field(default_factory=Counter)
    done: set[str] = field(default_factory=set)
    times: dict[str, list[float]] = field(default_factory=dict)
    waiting: Counter[str] = field(default_factory=Counter)  # of jobs without an end, by group
    runs: Counter[str] = field(default_factory=Counter)
    ahead: int = 0

    def see(self, event: Event, bot: str, router: str) -> None:
        """Take an event into account."""
        here = event.tag("h") or ""
        match event.kind:
            case Kind.JOB_REQUEST:
                self.waiting[here] += 1
                self.runs.setdefault(here, 0)
            case Kind.JOB_ACCEPTED:
                self.runs[here] += 1
                others = [self.runs[other] for other, jobs in self.waiting.items() if jobs > 0]
                self.ahead = max(self.ahead, self.runs[here] - min(others))
                return
            case Kind.JOB_RESULT:
                self.waiting[here] -= 1
                return
        name = "e" if event.kind in (Kind.JOB_REQUEST, Kind.REACTION) else "q"
        message = event.tag(name) or ""
        if (group := self.group_of.get(message)) is None:
            return
        if event.kind == Kind.CHAT and event.pubkey == bot:
            self.answers[message] += 1
            self.times.setdefault(group, []).append(time.perf_counter() - self.began)
        elif event.pubkey == router and event.kind == Kind.REACTION:
            if event.content == DONE:
                self.done.add(message)
        elif event.pubkey == router:
            self.jobs[message] += 1

    def each_once(self) -> bool:
        """Say whether every message has one answer, and one job at least that is its own or that it
        was handed to: one that a run left over has a second."""
        return set(self.answers) == set(self.group_of) == set(self.jobs) and set(
            self.answers.values()
        ) == {1}

    def spread(self, share: float) -> float:
        """When the slowest group had this share of its answers, over when the fastest had."""
        at = [times[max(0, round(len(times) * share) - 1)] for times in self.times.values()]
        return max(at) / min(at)


async def at_once(there: Place, groups: int, each: int) -> Outcome:
    """Send everything, and wait until each message has the router's ✅."""
    made = [await there.group(number) for number in range(groups)]
    messages = [there.message(group, f"/say {n}") for n in range(each) for group in made]
    watch = Watch({one.id: one.tag("h") or "" for one in messages}, time.perf_counter())
    wanted = Filter(kinds=frozenset(map(int, WATCHED)), since=int(time.time()) - 1)
    async with there.client.subscribe([wanted]) as stream:
        sending = asyncio.create_task(_send(there, messages))
        while len(watch.done) < len(messages):
            async with asyncio.timeout(SILENCE_S):
                item = await anext(aiter(stream))
            if isinstance(item, Delivery):
                watch.see(item.event, there.roles.bot, there.roles.router)
        await sending
    took_s = time.perf_counter() - watch.began
    once = watch.each_once()
    return Outcome(
        groups,
        each,
        once,
        took_s,
        watch.runs.total(),
        watch.ahead,
        watch.spread(0.5),
        watch.spread(1.0),
    )


async def _send(there: Place, messages: Sequence[Event]) -> None:
    for first in range(0, len(messages), IN_FLIGHT):
        await asyncio.gather(*map(there.publish, messages[first : first + IN_FLIGHT]))


def table(figures: list[Figures], outcome: Outcome | None) -> Table:
    """A row a figure."""
    shown = a_row_each("router", figures, 2)
    if outcome is not None:
        shown.caption = json.dumps(outcome.to_json())
    return shown
