"""Shell: the public relays asked for what they hold, once, for somebody who may know it.

    REQ to each relay that is there ─► its events, judged one by one ─► EOSE, CLOSED or too many
                                        └── all have ended, or 8 s are over ──► what there is

Only relays that are listened to are asked, over the connections that are there anyway. What one
sends counts when it was asked for and its signature holds.
"""

from __future__ import annotations

import asyncio
import json
import time
from dataclasses import dataclass, field
from itertools import count

from bot.bridges.nostr.notes import Ended, Heard
from bot.bridges.nostr.pool import Pool
from bot.requests.methods import Asked
from nips.event import Event
from nips.filter import Filter
from nips.own import public_query
from nips.refusal import Malformed, Prefix, Refusal, refused

DEADLINE_S = 8.0
MAX_OPEN = 4
CONNECTING_S, LOOK_S = 5.0, 0.1  # for relays that are just being connected again
MAX_FLOOD = 3  # times the limit, of one relay, before it is not listened to any more
_NAME = "query-"


@dataclass(frozen=True, slots=True)
class Found:
    """What so many relays had, of which some did not come to an end."""

    events: list[Event]
    n_relays: int
    n_silent: int


@dataclass(slots=True)
class _Question:
    """What was asked, of which relays that have not ended, and what they said so far."""

    wanted: Filter
    left: set[str]
    done: asyncio.Event = field(default_factory=asyncio.Event)
    found: dict[str, Event] = field(default_factory=dict)
    heard: dict[str, int] = field(default_factory=dict)

    def take(self, url: str, event: Event) -> None:
        """Judge one event of a relay's."""
        if url not in self.left:
            return
        assert self.wanted.limit is not None
        self.heard[url] = self.heard.get(url, 0) + 1
        # Attack: a relay sends without end; each event costs a signature's check.
        if self.heard[url] > MAX_FLOOD * self.wanted.limit:
            self.end(url)
            return
        if event.id in self.found or not public_query.answers(self.wanted, event):
            return
        try:
            event.verify()
        except Malformed:
            return
        self.found[event.id] = event

    def end(self, url: str) -> None:
        """Note that a relay has no more."""
        self.left.discard(url)
        if not self.left:
            self.done.set()


class Lookup:
    """`hear` is given what the pool's reader reads."""

    def __init__(self, pool: Pool) -> None:
        self._pool, self._names = pool, count(1)
        self._open: dict[str, _Question] = {}

    def hear(self, note: Heard | Ended) -> bool:
        """Take what a relay said, and say whether it belongs to a question of ours."""
        if not note.subscription.startswith(_NAME):
            return False
        if (question := self._open.get(note.subscription)) is not None:
            match note:
                case Heard(url, _, event):
                    question.take(url, event)
                case Ended(url, _, str(reason)):
                    # NIP-42's auth-required is answered by the pool, which then asks again.
                    if Refusal.parse(reason).prefix is not Prefix.AUTH_REQUIRED:
                        question.end(url)
                case Ended(url):
                    question.end(url)
        return True

    async def query(self, asked: Asked) -> str:
        """`[filter]`: `{"events":[…],"left_out":n,"relays":n,"silent":n}`. Raises Refused."""
        (text,) = asked.take(1, 1, "a filter")
        try:
            wanted = public_query.checked(Filter.from_json(json.loads(text)))
        except (Malformed, ValueError) as error:
            raise refused(Prefix.INVALID, str(error)) from error
        found = await self.ask(wanted)
        events, n_left_out = public_query.shown(found.events)
        return json.dumps(
            {
                "events": events,
                "left_out": n_left_out,
                "relays": found.n_relays,
                "silent": found.n_silent,
            },
            ensure_ascii=False,
        )

    async def _connected(self) -> set[str]:
        """The relays that are there. Where none is, one that returns in a moment is waited for:
        who asks is told of an outage, and not of a connection that is being made anew."""
        until_s = time.monotonic() + CONNECTING_S
        while True:
            up = {url for url in self._pool.relays if await self._pool.is_up(url)}
            if up or not self._pool.relays or time.monotonic() >= until_s:
                return up
            await asyncio.sleep(LOOK_S)

    async def ask(self, wanted: Filter, deadline_s: float = DEADLINE_S) -> Found:
        """The newest of what the relays have, as many as the filter's limit, their signatures
        checked. Raises Refused."""
        relays = await self._connected()
        if not relays:
            raise refused(Prefix.ERROR, "no public relay is connected")
        if len(self._open) >= MAX_OPEN:
            raise refused(Prefix.RATE_LIMITED, "that is too much at once; ask again in a while")
        question = _Question(wanted, set(relays))
        name = f"{_NAME}{next(self._names)}"
        self._open[name] = question
        try:
            for url in relays:
                await self._pool.subscribe(url, name, wanted.to_json())
            async with asyncio.timeout(deadline_s):
                await question.done.wait()
        except TimeoutError:
            pass
        finally:
            del self._open[name]
            for url in relays:
                await self._pool.unsubscribe(url, name)
        newest = sorted(question.found.values(), key=lambda e: (-e.created_at, e.id))
        return Found(newest[: wanted.limit], len(relays), len(question.left))
