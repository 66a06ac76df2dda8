"""Shell: a reader's place in the relay's order of arrival, kept as an event on the relay.

A place says up to which arrival number (`seq`) of which store (`epoch`) a reader has done its
work. It is 30078 `place/<reader>`, signed by the reader's role key, written at most once a
second and at the end; losing the last second is harmless, because what is read again meets its
once-keys. What takes long is held: the place moves on and names it, and a reader that starts again
has it before anything else. Source: PROTOCOL.md "Arrival order".
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from secrets import token_bytes

import structlog

from nips.event import Template
from nips.filter import Filter
from nips.key import SecretKey
from nips.kinds import Kind
from nips.own import place as places
from nips.refusal import Malformed, Refused
from relay_local.client import Caught, Delivery, Link, Lost, Unanswered

SAVE_PERIOD_S = 1.0
SAVE_DEADLINE_S = 10.0

log = structlog.get_logger()


class Place:
    """One reader's place. `reader` is its name, such as `nostr-inbox`; `key` signs."""

    def __init__(self, link: Link, key: SecretKey, reader: str) -> None:
        self._link = link
        self._key = key
        self._reader = reader
        self._reached: tuple[str, int] | None = None
        self._held: Counter[str] = Counter()
        self._saved: places.Place | None = None
        self._created_at = 0
        self._timer: asyncio.TimerHandle | None = None
        self._saving: asyncio.Task[None] | None = None

    async def load(self) -> tuple[str, int] | None:
        """Read (epoch, seq) from the relay; None when this reader never kept a place."""
        found = await self._link.fetch(
            [
                Filter(
                    authors=frozenset([self._key.public]),
                    kinds=frozenset([Kind.APP_DATA]),
                    tags={"d": frozenset([places.D_PREFIX + self._reader])},
                )
            ]
        )
        if not found:
            return None
        newest = max(found, key=lambda event: event.created_at)
        self._created_at = newest.created_at
        try:
            self._saved = places.parse(newest, self._key.public)
        except Malformed as error:
            log.error("place not understood", reader=self._reader, reason=str(error))
            return None
        self._reached = (self._saved.epoch, self._saved.seq)
        self._held = Counter(self._saved.pending)
        return self._reached

    @property
    def held(self) -> tuple[str, ...]:
        """The ids of the events that are not done, in the order in which they were held."""
        return tuple(self._held)

    def advance(self, epoch: str, seq: int) -> None:
        """Note that everything up to `seq` is done, but for what is held; it is written within a
        second."""
        self._reached = (epoch, seq)
        self._arm()

    def hold(self, event_id: str) -> None:
        """Let the place move past an event that is not done."""
        self._held[event_id] += 1

    def release(self, event_id: str) -> None:
        """Note that an event is done; once for each `hold`."""
        self._held[event_id] -= 1
        if self._held[event_id] <= 0:
            del self._held[event_id]
            self._arm()

    async def save(self) -> None:
        """Write the place now, where it moved; an unanswered write is only logged."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._reached is None:
            return
        epoch, seq = self._reached
        reached = places.Place(self._reader, epoch, seq, self.held)
        if reached == self._saved:
            return
        # Two versions in one second tie and the lower id wins: each steps forward.
        self._created_at = max(int(time.time()), self._created_at + 1)
        template = Template(
            self._key.public,
            self._created_at,
            Kind.APP_DATA,
            (("d", places.D_PREFIX + self._reader), ("alt", f"how far {self._reader} has read")),
            reached.content(),
        )
        try:
            ok = await self._link.publish(
                template.sign(self._key, token_bytes(32)), deadline_s=SAVE_DEADLINE_S
            )
        except (Unanswered, Refused) as error:
            log.warning("place not written", reader=self._reader, seq=seq, reason=str(error))
            return
        if ok.accepted:
            self._saved = reached
        else:
            log.warning("place refused", reader=self._reader, reason=ok.message)

    def _arm(self) -> None:
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(SAVE_PERIOD_S, self._due)

    def _due(self) -> None:
        self._timer = None
        if self._saving is not None and not self._saving.done():
            # One write at a time; the next advance arms the timer again.
            self._timer = asyncio.get_running_loop().call_later(SAVE_PERIOD_S, self._due)
            return
        self._saving = asyncio.create_task(self.save())


async def follow(
    link: Link, filters: Sequence[Filter], place: Place
) -> AsyncIterator[Delivery | Caught | Lost]:
    """Deliver what was held, the stored events after `place`, then live ones, in order of arrival,
    for ever.

    The place moves past an event when the caller comes back for the next one, so an event whose
    handling was cut off by a crash is delivered again. Another store (epoch) is read from its
    beginning. Raises Refused when the relay denies the subscription.
    """
    # A place that names an old epoch while the new store is read again is harmless: after a
    # crash the two still differ, and the reading begins anew.
    epoch, after_seq = await place.load() or (None, 0)
    if held := place.held:
        events = await link.fetch([Filter(ids=frozenset(held))])
        for event in sorted(events, key=lambda event: held.index(event.id)):
            yield Delivery(event, None)
        # Only now: a caller that is still at one of them has held it once more.
        for event_id in held:
            place.release(event_id)
    async with link.subscribe(filters, after_seq=after_seq, epoch=epoch) as stream:
        async for item in stream:
            yield item
            match item:
                case Caught(str(found), _):
                    epoch = found
                case Delivery(_, int(seq)) if epoch is not None:
                    place.advance(epoch, seq)
