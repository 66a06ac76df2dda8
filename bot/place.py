"""Shell: a reader's place in the relay's order of arrival, kept as an event on the relay.

A place says up to which arrival number (`seq`) of which store (`epoch`) a reader has done its
work. It is 30078 `place/<reader>`, signed by the reader's role key, written at most once a
second and at the end; losing the last second is harmless, because what is read again meets its
once-keys. Source: PROTOCOL.md "Arrival order".
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Sequence
from secrets import token_bytes

import structlog

from nips.event import Template
from nips.filter import Filter
from nips.key import SecretKey
from nips.kinds import Kind
from nips.refusal import Refused
from relay_local.client import Caught, Delivery, Link, Lost, Unanswered

SAVE_PERIOD_S = 1.0
SAVE_DEADLINE_S = 10.0

log = structlog.get_logger()


class Place:
    """One reader's place. `reader` is its name, such as `nostr-inbox`; `key` signs."""

    def __init__(self, link: Link, key: SecretKey, reader: str) -> None:
        self._link = link
        self._key = key
        self._d = f"place/{reader}"
        self._reader = reader
        self._reached: tuple[str, int] | None = None
        self._saved: tuple[str, int] | None = None
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
                    tags={"d": frozenset([self._d])},
                )
            ]
        )
        if not found:
            return None
        newest = max(found, key=lambda event: event.created_at)
        self._created_at = newest.created_at
        match json.loads(newest.content):
            case {"epoch": str(epoch), "seq": int(seq)}:
                self._reached = self._saved = (epoch, seq)
        return self._saved

    def advance(self, epoch: str, seq: int) -> None:
        """Note that everything up to `seq` is done; it is written within a second."""
        self._reached = (epoch, seq)
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(SAVE_PERIOD_S, self._due)

    async def save(self) -> None:
        """Write the place now, where it moved; an unanswered write is only logged."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._reached is None or self._reached == self._saved:
            return
        epoch, seq = reached = self._reached
        # Two versions in one second tie and the lower id wins: each steps forward.
        self._created_at = max(int(time.time()), self._created_at + 1)
        template = Template(
            self._key.public,
            self._created_at,
            Kind.APP_DATA,
            (("d", self._d), ("alt", f"how far {self._reader} has read")),
            json.dumps({"epoch": epoch, "seq": seq}),
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
    """Deliver stored events after `place`, then live ones, in order of arrival, for ever.

    The place moves past an event when the caller comes back for the next one, so an event whose
    handling was cut off by a crash is delivered again. Another store (epoch) is read from its
    beginning. Raises Refused when the relay denies the subscription.
    """
    # A place that names an old epoch while the new store is read again is harmless: after a
    # crash the two still differ, and the reading begins anew.
    epoch, after_seq = await place.load() or (None, 0)
    async with link.subscribe(filters, after_seq=after_seq, epoch=epoch) as stream:
        async for item in stream:
            yield item
            match item:
                case Caught(str(found), _):
                    epoch = found
                case Delivery(_, int(seq)) if epoch is not None:
                    place.advance(epoch, seq)
