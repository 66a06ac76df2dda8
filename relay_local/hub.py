"""Shell: what all connections of one relay share, and how an event gets to those who listen."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from nips.event import Event
from relay_local.ingest import Ingest
from relay_local.inquiries import Inquiries
from relay_local.limits import Limits
from relay_local.management import Management
from relay_local.regulations import Regulations
from relay_local.store import Store
from relay_local.subscriptions import Subscriptions
from relay_local.word_index import WordIndex
from relay_local.world import World


class Listener(Protocol):
    """One connection, as others reach it."""

    def hear(self, name: str, event: Event, body: bytes, seq: int | None, world: World) -> None:
        """Take an event that the filters of its subscription `name` match; never raises."""

    def regulated(self, regulations: Regulations) -> None:
        """Take note of what the owner has ruled; never raises."""

    async def sent(self) -> None:
        """Wait until what has been said to its client is on its way."""


@dataclass(slots=True)
class Counts:
    """What has happened since the start. turned_away: events and connections that were refused
    at the door, before they cost anybody else something, by why."""

    received: int = 0
    delivered: int = 0
    cuts: int = 0
    turned_away: Counter[str] = field(default_factory=Counter)


class Hub:
    """The store, those who know of it, and those who are connected."""

    def __init__(
        self, store: Store, words: WordIndex, now_s: Callable[[], int], limits: Limits
    ) -> None:
        self.store = store
        self.words = words
        self.now_s = now_s
        self.limits = limits
        self.inquiries = Inquiries(store, words, now_s)
        self.management = Management(store, now_s, self._regulated)
        self.subscriptions: Subscriptions[tuple[Listener, str]] = Subscriptions()
        self.listeners: set[Listener] = set()
        self.counts = Counts()
        self.is_stopping = False
        self._ingest: Ingest | None = None

    @property
    def ingest(self) -> Ingest:
        """The way in; set once, before the first socket listens."""
        assert self._ingest is not None
        return self._ingest

    @ingest.setter
    def ingest(self, ingest: Ingest) -> None:
        self._ingest = ingest

    @property
    def world(self) -> World:
        """The world after everything that has been answered."""
        return self.ingest.world

    def deliver(self, event: Event, body: bytes, seq: int | None) -> None:
        """Queue an event to everybody who listens for it and may see it."""
        world = self.world
        if seq is not None:
            self.words.stored(seq)
        for listener, name in self.subscriptions.recipients(event):
            self.counts.delivered += 1
            listener.hear(name, event, body, seq, world)

    def _regulated(self, regulations: Regulations) -> None:
        """A ruling counts at once, for those who are here too."""
        for listener in list(self.listeners):
            listener.regulated(regulations)
