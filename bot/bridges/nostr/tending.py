"""Shell: one public relay kept listening, so that nothing it has for us is missed.

    connect ─► live REQ ─► EOSE ─► everything stored since `since` ─► listening
       ▲                                                                │
       │     every 30 s    the live REQ under a new name ─► EOSE within 10 s
       │     every 2 min   an event of our own ─► heard from this relay within 15 s  (`echo`)
       │     every 20 min  what is stored, once more
       └── a pause ◄── a fault: down, deaf, refused, rate-limited, forging

A gift wrap's created_at lies up to two days in the past (NIP-17), so `since` is the wall clock of
the last healthy moment minus two days and a margin, never the newest event's time. A relay that
answers pings but serves nothing is found by the repeated REQ, one that answers but passes nothing
on by the echo. What it left out in between, whatever the reason, is found in what it stores.
"""

from __future__ import annotations

import asyncio
import random
import time
from dataclasses import dataclass, field, replace
from itertools import count
from typing import Any

import structlog

from bot.bridges.nostr.catching_up import CatchingUp, Held
from bot.bridges.nostr.echo import Echo, Echoed
from bot.bridges.nostr.notes import Dropped, Ended, Heard, Note, NotLoggedIn
from bot.bridges.nostr.pool import Pool
from bot.bridges.nostr.relay_state import Fault, Health, Pauses, State, closed
from bot.bridges.waiting import first_of
from nips.event import Event
from nips.kinds import Kind
from nips.refusal import Malformed, Prefix, Refusal

BACKDATED_S = 2 * 86_400  # NIP-17: "randomize created_at in up to two days in the past"
MARGIN_S = 3_600
LEAST_PAUSE_S = 1.0  # between two rounds, whatever a relay says in between
MAX_FORGERIES = 1_000  # that are remembered of one relay

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Pace:
    """How often a relay is looked at, and how long it has, in seconds. A `reread_s` above
    `MARGIN_S` would leave a gap."""

    probe_s: float = 30.0
    probe_deadline_s: float = 10.0
    echo_s: float = 120.0
    echo_deadline_s: float = 15.0
    reread_s: float = 1_200.0
    page_deadline_s: float = 60.0


@dataclass(slots=True)
class Progress:
    """How many wraps were taken in, how many of them are stored, and whether there is room.

    back: set, and replaced, when a relay is there again; change: when any relay's health differs.
    """

    offered: int = 0
    stored: int = 0
    room: asyncio.Event = field(default_factory=asyncio.Event)
    back: asyncio.Event = field(default_factory=asyncio.Event)
    change: asyncio.Event = field(default_factory=asyncio.Event)

    def came_back(self) -> None:
        """Tell whoever waits for a relay."""
        self.back.set()
        self.back = asyncio.Event()

    def changed(self) -> None:
        """Tell whoever shows how the relays are."""
        self.change.set()
        self.change = asyncio.Event()


class Tending:
    """One relay's care. `run` works until cancelled; `hear` takes what the relay says.

    healthy_s: unix second up to which nothing of this relay was missed in an earlier run. held:
    what was taken in so far, of any relay.
    """

    def __init__(
        self,
        pool: Pool,
        url: str,
        public_key: str,
        healthy_s: int | None,
        progress: Progress,
        held: Held,
        pace: Pace,
        *,
        own: bool = False,
    ) -> None:
        self._pool, self._url, self._public_key, self._pace = pool, url, public_key, pace
        self._progress = progress
        known_s = min(healthy_s or int(time.time()), int(time.time()))
        self._asked_since_s = known_s
        self._health = Health(
            since_s=int(time.time()), healthy_s=None if healthy_s is None else known_s, own=own
        )
        self._names = count(1)
        self._live = ""
        self._standing: dict[str, dict[str, Any]] = {}  # topics, and what is asked about each
        self._asked: dict[str, str] = {}  # topics, and the subscription under which
        self._catching_up = CatchingUp(pool, url, held, progress.room, pace.page_deadline_s)
        self._echo = Echo(pool, url, pace.echo_deadline_s)
        self._forged: dict[str, None] = {}
        self._mark: tuple[int, int] | None = None
        self._caught, self._wake = asyncio.Event(), asyncio.Event()
        self._is_behind = False
        self._is_doubted = False
        self._well_since_s: float | None = None
        self._closed: str | None = None
        self._fault: asyncio.Future[Fault] | None = None

    async def run(self) -> None:
        """Keep the relay listening."""
        pauses = Pauses()
        while True:
            self._well_since_s = None
            fault = await self._one_connection()
            log.info("relay lost", relay=self._url, state=str(fault.state), reason=fault.reason)
            self._to(fault.state, fault.reason)
            await self._pool.disconnect(self._url)
            since_s = self._well_since_s
            well_for_s = 0.0 if since_s is None else time.monotonic() - since_s
            await asyncio.sleep(pauses.next_s(well_for_s, random.random()))  # noqa: S311 - jitter

    def hear(self, note: Note) -> None:
        """Take what this relay said."""
        match note:
            case Heard(subscription=name, event=event):
                self._set(last_event_s=int(time.time()))
                if name == self._live and self._caught.is_set():
                    self._believe()  # what is new comes through
                self._echo.hear(name, event)
                self._catching_up.hear(name, event)
            case Ended(subscription=name, reason=reason):
                # NIP-42's auth-required is answered by the pool, which then asks again.
                if reason and Refusal.parse(reason).prefix is Prefix.AUTH_REQUIRED:
                    self._closed = reason
                elif (topic := self.topic_of(name)) is not None:
                    if reason is not None:
                        del self._asked[topic]  # asked again after the next probe
                elif name != self._live:
                    self._catching_up.end(name, reason)
                elif reason is None:
                    self._closed = None
                    self._caught.set()
                elif self._caught.is_set():
                    self._is_behind = True  # what came since the EOSE
                    self._caught.clear()
                    self._wake.set()
                else:
                    self._fail(closed(reason))
            case NotLoggedIn(reason=reason):
                self._fail(Fault(State.REFUSED, reason))
            case Dropped(reason=reason):
                self._fail(Fault(State.DOWN, reason))

    def believes(self, event: Event) -> bool:
        """Check an event of this relay's; a wrong signature is a fault, once for each event."""
        try:
            event.verify()
        except Malformed:
            if event.id not in self._forged:
                self._forged[event.id] = None
                for old in list(self._forged)[:-MAX_FORGERIES]:
                    del self._forged[old]
                self._fail(Fault(State.FORGING, "it sent an event with a wrong signature"))
            return False
        return True

    def missed(self) -> None:
        """Note that an event could not be taken in: what is stored will be read again."""
        self._is_behind = True

    def topic_of(self, subscription: str) -> str | None:
        """The topic that a subscription of `follow` is about."""
        return next((t for t, name in self._asked.items() if name == subscription), None)

    async def follow(self, topic: str, wanted: dict[str, Any] | None) -> None:
        """Have the relay tell of a topic, in the place of what was asked about it before; None: of
        nothing any more. It is asked again on each connection."""
        if wanted is None:
            self._standing.pop(topic, None)
        else:
            self._standing[topic] = wanted
        await self._ask_about(topic)

    @property
    def is_own(self) -> bool:
        """Say whether the relay is not configured, but stands in the bot's inbox list."""
        return self._health.own

    @property
    def health(self) -> Health:
        """How this relay is doing."""
        accepted, refused = self._pool.answers(self._url)
        return replace(self._health, accepted=accepted, refused=refused)

    async def _one_connection(self) -> Fault:
        """Connect and serve until something is wrong."""
        reason = await self._pool.connect(self._url)
        if reason is not None:
            return Fault(State.DOWN, reason)
        self._fault = asyncio.get_running_loop().create_future()
        times = self._health.connections + 1
        self._set(connections=times, reconnects=times - 1)
        self._is_behind, self._closed = True, None
        works = [asyncio.create_task(self._serve()), asyncio.create_task(self._listen_to_echo())]
        try:
            ends: set[asyncio.Future[Fault]] = {*works, self._fault}
            done, _ = await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
            return next(iter(done)).result()
        finally:
            for work in works:
                work.cancel()
            await asyncio.gather(*works, return_exceptions=True)
            self._fault = None

    async def _serve(self) -> Fault:
        loop, pace = asyncio.get_running_loop(), self._pace
        self._asked.clear()
        reread_due = loop.time() + pace.reread_s
        while True:
            for topic in [topic for topic in self._standing if topic not in self._asked]:
                await self._ask_about(topic)
            if (fault := await self._probe()) is not None:
                return fault
            if self._is_behind or loop.time() >= reread_due:
                self._is_behind = False
                if (fault := await self._catching_up.run(self._wanted())) is not None:
                    return fault
                reread_due = loop.time() + pace.reread_s
            if self._well_since_s is None:
                self._well_since_s = time.monotonic()
                self._progress.came_back()
            self._note_healthy()
            if not self._is_doubted:
                self._to(State.LISTENING, "")
            await self._sleep(pace.probe_s)

    def _note_healthy(self) -> None:
        """Move `healthy_s` to a moment at which all was taken in, once all of that is stored."""
        if self._mark is None and not self._is_behind and not self._is_doubted:
            self._mark = (int(time.time()), self._progress.offered)
        if self._mark is not None and self._progress.stored >= self._mark[1]:
            self._asked_since_s = self._mark[0]
            self._set(healthy_s=self._mark[0])
            self._mark = None

    async def _probe(self) -> Fault | None:
        """Have the live REQ answered anew, as what shows that the relay serves."""
        former, self._live = self._live, f"live-{next(self._names)}"
        self._caught.clear()
        began = time.monotonic()
        # One stored event is enough to make the relay answer; the pages bring the rest.
        await self._pool.subscribe(self._url, self._live, self._wanted() | {"limit": 1})
        if former:
            await self._pool.unsubscribe(self._url, former)
        while True:
            try:
                async with asyncio.timeout(self._pace.probe_deadline_s):
                    await self._caught.wait()
            except TimeoutError:
                if self._pool.is_logging_in(self._url):
                    self._to(State.CONNECTING, "the signer is asked for a login")
                    continue
                if self._closed is not None:
                    return Fault(State.REFUSED, self._closed)
                late_s = self._pace.probe_deadline_s
                return Fault(State.DEAF, f"no answer to a REQ within {late_s:g} s")
            took_ms = round((time.monotonic() - began) * 1000)
            self._set(last_probe_s=int(time.time()), probe_ms=took_ms)
            return None

    async def _listen_to_echo(self) -> Fault:
        await self._echo.listen()
        await asyncio.sleep(0 if self._is_doubted else self._pace.probe_s)
        while True:
            match await self._echo.ask():
                case Echoed.HEARD:
                    self._believe()
                case Echoed.SILENT if self._is_doubted:
                    # A connection made for that reason is no better. It may be one that passes on
                    # no ephemeral events, so it is read like a letter box from now on.
                    self._is_behind = True
                    self._wake.set()
                case Echoed.SILENT:
                    self._is_doubted = True
                    return Fault(State.DEAF, "what it takes does not come back as it was")
                case Echoed.NOT_TAKEN:
                    pass  # it takes no such event from us: that shows nothing
            await asyncio.sleep(self._pace.echo_s)

    def _believe(self) -> None:
        if self._is_doubted:
            self._is_doubted = False
            self._is_behind = True
            self._to(State.LISTENING, "")
            self._wake.set()

    async def _ask_about(self, topic: str) -> None:
        former = self._asked.pop(topic, "")
        if (wanted := self._standing.get(topic)) is not None:
            name = self._asked[topic] = f"{topic}-{next(self._names)}"
            await self._pool.subscribe(self._url, name, wanted)
        if former:
            await self._pool.unsubscribe(self._url, former)

    async def _sleep(self, seconds: float) -> None:
        # Attack: a relay that closes what it has just ended has us ask without a pause.
        await asyncio.sleep(min(LEAST_PAUSE_S, seconds))
        await first_of(self._wake, timeout_s=seconds)
        self._wake.clear()

    def _wanted(self) -> dict[str, Any]:
        since = self._asked_since_s - BACKDATED_S - MARGIN_S
        return {"kinds": [int(Kind.GIFT_WRAP)], "#p": [self._public_key], "since": max(since, 0)}

    def _fail(self, fault: Fault) -> None:
        if self._fault is not None and not self._fault.done():
            self._fault.set_result(fault)

    def _to(self, state: State, reason: str) -> None:
        self._put(self._health.to(state, reason, int(time.time())))

    def _set(self, **known: Any) -> None:
        self._health = replace(self._health, **known)

    def _put(self, health: Health) -> None:
        if health != self._health:
            self._health = health
            self._progress.changed()
