"""Pure: the subscriptions of one connection, each from what is stored to what comes live.

    REQ ──► STORED ──────────────► LIVE ──► CLOSE, or replaced by a REQ of the same id
            │ events up to `last`  │ events after `last`
            │ are searched         │ are passed on as they are stored
            └ later ones are held ─┘ new versions, then EOSE, then the rest of what was held

`last` is the arrival number of the newest event that live subscriptions have been told of when
the REQ came. What is stored has a number up to it, what comes live a greater one: so nothing is
missing in between and nothing comes twice, without any lock.

What is replaced during the search is found no longer, and the version in its place is held: it
goes out before EOSE, or whoever asks for an address would hear that there is nothing at it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import orjson

from nips.event import Event
from nips.filter import Filter
from nips.frames import Closed, Eose
from nips.kinds import Kind
from nips.refusal import Prefix, Refusal
from relay_local.access import Scope, count_values, listens_for
from relay_local.door import too_many_values
from relay_local.effects import Cut, Effect, Listen, Search, Send, Unlisten, send
from relay_local.retention import address

MAX_SUBSCRIPTIONS = 200
MAX_HELD_BYTES = 8 << 20


@dataclass(frozen=True, slots=True)
class _Held:
    """A frame that waits for the search's end. seq: None for an event that is not stored."""

    frame: bytes
    seq: int | None
    is_version: bool  # of a replaceable or addressable event


@dataclass(slots=True)
class _Feed:
    generation: int
    head: bytes
    ordered: bool
    listening: frozenset[str]
    last: int
    held: list[_Held] | None = field(default_factory=list)  # None once live
    n_values: int = 0
    held_bytes: int = 0

    def frame(self, body: bytes, seq: int | None) -> bytes:
        if self.ordered and seq is not None:
            return self.head + body + b",%d]" % seq
        return self.head + body + b"]"


class Feeds:
    """The state. A `generation` is one REQ: what is found for an older one is nobody's."""

    def __init__(self) -> None:
        self._open: dict[str, _Feed] = {}
        self._generation = 0

    def names(self) -> list[str]:
        """The subscription ids that live."""
        return list(self._open)

    def open(
        self,
        name: str,
        filters: tuple[Filter, ...],
        refusal: Refusal | None,
        scope: Scope,
        last: int,
    ) -> list[Effect]:
        """A REQ. refusal: why it is not served, as far as access goes; `last`: see above."""
        if refusal is None and name not in self._open and len(self._open) >= MAX_SUBSCRIPTIONS:
            refusal = Refusal(
                Prefix.RATE_LIMITED, f"at most {MAX_SUBSCRIPTIONS} subscriptions at a time"
            )
        kept = sum(other.n_values for key, other in self._open.items() if key != name)
        n_values = sum(1 + count_values(one) for one in filters)
        refusal = refusal or too_many_values(n_values + kept, scope)
        if refusal is not None:
            return self.refuse(name, refusal)
        self._generation += 1
        ordered = any(one.after_seq is not None for one in filters)
        # NIP-01: "Clients can … overwrite" a subscription: a REQ with a live id replaces it.
        self._open[name] = _Feed(
            self._generation,
            b'["EVENT",' + orjson.dumps(name) + b",",
            ordered,
            listens_for(filters),
            last,
            n_values=n_values,
        )
        search = Search(name, self._generation, filters, scope, last, ordered)
        return [Listen(name, filters), search]

    def close(self, name: str) -> list[Effect]:
        """A CLOSE; nothing happens when there is none of the name."""
        return [] if self._open.pop(name, None) is None else [Unlisten(name)]

    def refuse(self, name: str, refusal: Refusal) -> list[Effect]:
        """End a subscription, or do not begin it, and say why."""
        return [send(Closed(name, str(refusal))), *self.close(name)]

    def live(
        self, name: str, event: Event, body: bytes, seq: int | None, scope: Scope
    ) -> list[Effect]:
        """An event that a subscription's filters match. `seq`: None when it is not stored."""
        own = self._open.get(name)
        if own is None or (seq is not None and seq <= own.last):
            return []
        heard = event.kind == Kind.REQUEST and not own.listening.isdisjoint(event.values("p"))
        if not heard and not scope.admits(event):
            return []
        frame = own.frame(body, seq)
        if own.held is None:
            return [Send(frame)]
        own.held.append(_Held(frame, seq, seq is not None and address(event) is not None))
        own.held_bytes += len(frame)
        if own.held_bytes > MAX_HELD_BYTES:
            return [Cut("too much arrived while stored events were being read")]
        return []

    def found(self, search: Search, bodies: Sequence[tuple[int, bytes]]) -> list[bytes]:
        """The frames of some of the stored events of a search, in the order they go out."""
        own = self._of(search)
        return [] if own is None else [own.frame(body, seq) for seq, body in bodies]

    def caught_up(self, search: Search, epoch: str) -> list[Effect]:
        """All stored events have been found: EOSE, and around it what has come meanwhile.

        Call it when live subscriptions know of all that was stored while the search read.
        """
        own = self._of(search)
        if own is None or own.held is None:
            return []
        held, own.held = own.held, None
        asks = any(one.limit != 0 for one in search.filters)
        before, after = [], []
        last = search.last
        for one in held:
            # A stream in order of arrival leaves out nothing that is stored.
            if asks and (one.is_version or (search.ordered and one.seq is not None)):
                before.append(Send(one.frame))
                last = one.seq or last
            else:
                after.append(Send(one.frame))
        eose = Eose(search.subscription, *((epoch, last) if search.ordered else ()))
        return [*before, send(eose), *after]

    def failed(self, search: Search, sentence: str) -> list[Effect]:
        """The search could not be done."""
        if self._of(search) is None:
            return []
        return self.refuse(search.subscription, Refusal(Prefix.ERROR, sentence))

    def is_current(self, search: Search) -> bool:
        """Say whether anybody still waits for the search."""
        return self._of(search) is not None

    def _of(self, search: Search) -> _Feed | None:
        own = self._open.get(search.subscription)
        return own if own is not None and own.generation == search.generation else None
