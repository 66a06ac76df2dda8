"""Pure: an index of live filters: which subscriptions may want an event, without asking all.

Every filter is filed under its most telling condition; an event looks only where a filter that
matches it can be. What is found is then matched in full.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator
from typing import Generic, TypeVar

from nips import nip50
from nips.event import Event
from nips.filter import Filter
from relay_local.words import is_searchable

S = TypeVar("S", bound=Hashable)
_Place = tuple[str, str | int]
_ANYWHERE: _Place = ("", "")


class Subscriptions(Generic[S]):
    """Live subscriptions, each a hashable of the caller's, by their filters."""

    def __init__(self) -> None:
        self._filters: dict[S, tuple[Filter, ...]] = {}
        self._at: dict[_Place, set[S]] = {}

    def __len__(self) -> int:
        return len(self._filters)

    def add(self, subscription: S, filters: tuple[Filter, ...]) -> None:
        """File a subscription; one of the same name is replaced."""
        self.remove(subscription)
        self._filters[subscription] = filters
        for place in _places(filters):
            self._at.setdefault(place, set()).add(subscription)

    def remove(self, subscription: S) -> None:
        """Take a subscription out; nothing happens when it is not there."""
        for place in _places(self._filters.pop(subscription, ())):
            if found := self._at.get(place):
                found.discard(subscription)
                if not found:
                    del self._at[place]

    def recipients(self, event: Event) -> list[S]:
        """The subscriptions of which a filter matches the event, each once, in no order."""
        if not self._filters:
            return []
        candidates: set[S] = set()
        for place in _where(event):
            candidates |= self._at.get(place, set())
        return [
            candidate
            for candidate in candidates
            if any(_matches(one, event) for one in self._filters[candidate])
        ]


def _matches(one: Filter, event: Event) -> bool:
    if not one.matches(event):
        return False
    if one.search is None or (wanted := nip50.parse(one.search)).is_blank:
        return True
    return is_searchable(event) and wanted.matches(event.content)


def _places(filters: tuple[Filter, ...]) -> Iterator[_Place]:
    for one in filters:
        if one.ids is not None:
            yield from (("id", value) for value in one.ids)
        elif one.tags:
            letter = min(one.tags, key=lambda name: (len(one.tags[name]), name))
            yield from (("#" + letter, value) for value in one.tags[letter])
        elif one.authors is not None:
            yield from (("author", value) for value in one.authors)
        elif one.kinds is not None:
            yield from (("kind", value) for value in one.kinds)
        else:
            yield _ANYWHERE


def _where(event: Event) -> Iterator[_Place]:
    yield _ANYWHERE
    yield ("id", event.id)
    yield ("author", event.pubkey)
    yield ("kind", event.kind)
    yield from {("#" + tag[0], tag[1]) for tag in event.tags if len(tag) > 1 and len(tag[0]) == 1}
