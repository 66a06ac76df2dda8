"""Shell: one subscription as its reader sees it, over any number of connections.

The reader gets what is stored, `Caught` where NIP-01's EOSE stands, then what is new. When the
connection breaks it gets `Lost`, and after the reconnection the stream goes on by itself: from
the last arrival number where it has one, else from the beginning, stored events again. Such
repetitions are the reader's to recognise; ids and once-keys exist for that.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, replace

from nips import frames
from nips.event import Event
from nips.filter import Filter
from nips.refusal import Refused


@dataclass(frozen=True, slots=True)
class Delivery:
    """An event, and its arrival number where the subscription asked for them."""

    event: Event
    seq: int | None


@dataclass(frozen=True, slots=True)
class Caught:
    """What was stored has been read. The place (`epoch`, `seq`) is there for role keys."""

    epoch: str | None
    seq: int | None


@dataclass(frozen=True, slots=True)
class Lost:
    """The connection is down; nothing arrives until the next `Caught`."""


Item = Delivery | Caught | Lost


class Stream:
    """An asynchronous iterator of items; raises Refused when the relay closed it for good."""

    def __init__(
        self,
        name: str,
        filters: Sequence[Filter],
        after_seq: int | None = None,
        epoch: str | None = None,
    ) -> None:
        self.name = name
        self._filters = tuple(filters)
        self._seq = after_seq
        self._epoch = epoch
        self._items: asyncio.Queue[Item | Refused] = asyncio.Queue()

    def request(self) -> frames.Req:
        """The REQ that continues where the reader is."""
        if self._seq is None:
            return frames.Req(self.name, self._filters)
        return frames.Req(self.name, tuple(replace(f, after_seq=self._seq) for f in self._filters))

    def receive(self, frame: frames.Delivered | frames.Eose | frames.Closed) -> bool:
        """Take a frame addressed to this subscription.

        Returns True when the REQ must be sent again: another epoch means that the store is
        not the one our place was in, so everything is read from its beginning.
        """
        match frame:
            case frames.Delivered(_, event, seq):
                if self._seq is not None and seq is not None:
                    self._seq = max(self._seq, seq)
                self._items.put_nowait(Delivery(event, seq))
            case frames.Eose(_, epoch, seq):
                moved = self._epoch is not None and epoch is not None and epoch != self._epoch
                self._epoch = epoch or self._epoch
                if moved and self._seq is not None:
                    self._seq = 0
                    return True
                self._items.put_nowait(Caught(epoch, seq))
            case frames.Closed():
                self._items.put_nowait(Refused(frame.refusal))
        return False

    def lose(self) -> None:
        """Tell the reader that the connection broke."""
        self._items.put_nowait(Lost())

    def fail(self, error: Refused) -> None:
        """End the stream with an error."""
        self._items.put_nowait(error)

    def __aiter__(self) -> AsyncIterator[Item]:
        return self

    async def __anext__(self) -> Item:
        item = await self._items.get()
        if isinstance(item, Refused):
            raise item
        return item
