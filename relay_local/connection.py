"""Pure: the relay's side of one connection: frames in, effects out, no socket.

A subscription passes through two phases:

    REQ ──► STORED ──────────────► LIVE ──► CLOSE, or replaced by a REQ of the same id
            │ events up to `last`  │ events after `last`
            │ are searched         │ are passed on as they are stored
            └ later ones are held ─┘ then EOSE, then what was held

`last` is the arrival number of the newest event that live subscriptions have been told of when
the REQ came. What is stored has a number up to it, what comes live a greater one: so nothing is
missing in between and nothing comes twice, without any lock.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import orjson

from nips import nip42, nip62
from nips.event import Event
from nips.filter import Filter
from nips.frames import (
    MAX_SUBSCRIPTION_CHARS,
    Authenticate,
    Challenge,
    Close,
    Closed,
    Count,
    Counted,
    Eose,
    NegClose,
    NegErr,
    NegMsg,
    NegOpen,
    Notice,
    Ok,
    Publish,
    RelayFrame,
    Req,
    encode,
    parse_client,
)
from nips.key import is_hex
from nips.kinds import Kind
from nips.refusal import Malformed, Prefix, Refusal
from relay_local.access import (
    Scope,
    count_values,
    listens_for,
    may_ask,
    may_count,
    scope_of,
)
from relay_local.door import Door, too_many_values
from relay_local.limits import Limits
from relay_local.negentropy import Gather, Negotiations, Reconcile, Step
from relay_local.pacing import Meter
from relay_local.viewer import Viewer
from relay_local.world import World

MAX_FRAME_BYTES = 1 << 20
MAX_SUBSCRIPTIONS = 200
MAX_COUNTS = 20  # that are being counted at a time
MAX_KEYS = 32
MAX_BRIDGE_KEYS = 100_000  # a bridge authenticates a puppet for each person it carries
MAX_HELD_BYTES = 8 << 20


@dataclass(frozen=True, slots=True)
class Send:
    """Queue a frame for the client."""

    frame: bytes


@dataclass(frozen=True, slots=True)
class Submit:
    """Take in an event that `viewer` brings."""

    event: Event
    viewer: Viewer


@dataclass(frozen=True, slots=True)
class Search:
    """Look up what is stored, up to the arrival number `last`, for `found` and `caught_up`."""

    subscription: str
    generation: int
    filters: tuple[Filter, ...]
    scope: Scope
    last: int
    ordered: bool  # by arrival, with numbers: the extension for our own parts


@dataclass(frozen=True, slots=True)
class Tally:
    """Count what is stored, up to the arrival number `last`, for `counted`. NIP-45."""

    query: str
    filters: tuple[Filter, ...]
    scope: Scope
    last: int


@dataclass(frozen=True, slots=True)
class Listen:
    """From now on pass on live events that match."""

    subscription: str
    filters: tuple[Filter, ...]


@dataclass(frozen=True, slots=True)
class Unlisten:
    """Pass on no more events to the subscription."""

    subscription: str


@dataclass(frozen=True, slots=True)
class Cut:
    """End the connection: it does not keep up, or it wears the relay out."""

    reason: str


Effect = Send | Submit | Search | Tally | Gather | Reconcile | Listen | Unlisten | Cut


@dataclass(slots=True)
class _Subscription:
    generation: int
    head: bytes
    ordered: bool
    listening: frozenset[str]
    last: int
    held: list[bytes] | None = field(default_factory=list)  # None once live
    n_values: int = 0
    held_bytes: int = 0


class Connection:
    """The state of one connection. `session`: the key whose own socket it came by. `shared`: the
    meter of all strangers, or of all connections of that session."""

    def __init__(
        self,
        challenge: str,
        accepted_relays: Collection[str],
        session: str | None = None,
        limits: Limits = Limits(),  # noqa: B008 - frozen
        *,
        shared: Meter,
    ) -> None:
        self._limits = limits
        self._failed_auths = 0
        self.viewer = Viewer(session=session)
        self._challenge = challenge
        self._accepted_relays = accepted_relays
        self._subscriptions: dict[str, _Subscription] = {}
        self._generation = 0
        self._door = Door(shared)
        self._scope: tuple[World, Viewer, Scope] | None = None
        self._counting = 0
        self.negotiations = Negotiations()

    def opened(self) -> list[Effect]:
        """Greet the client. NIP-42: the challenge is valid for the connection's duration."""
        return [_send(Challenge(self._challenge))]

    def received(self, data: str | bytes, world: World, now_s: int, last: int) -> list[Effect]:
        """Take one message in. `last`: see above. Never raises, whatever comes."""
        if not isinstance(data, str):
            return [_notice("a frame is a text message")]
        if 4 * len(data) > MAX_FRAME_BYTES and len(data.encode()) > MAX_FRAME_BYTES:
            return [_notice(f"a frame holds at most {MAX_FRAME_BYTES} bytes")]
        try:
            frame = parse_client(data)
        except Malformed as error:
            return self._malformed(data, str(error))
        match frame:
            case Publish(event):
                return self._publish(event, len(data), world, now_s)
            case Req(subscription, filters):
                return self._req(subscription, filters, world, last)
            case Close(subscription):
                if self._subscriptions.pop(subscription, None) is None:
                    return []
                return [Unlisten(subscription)]
            case Authenticate(event):
                return self._authenticate(event, world, now_s)
            case Count(query, filters):
                return [self._count(query, filters, world, last)]
            case NegOpen(_, one):
                refusal = may_count(world, self.viewer, (one,))
                return [_effect(self.negotiations.open(frame, refusal, self.scope(world), last))]
            case NegMsg():
                return [_effect(self.negotiations.message(frame, self.scope(world)))]
            case NegClose(subscription):
                self.negotiations.close(subscription)
                return []

    def live(
        self, subscription: str, event: Event, body: bytes, seq: int | None, world: World
    ) -> list[Effect]:
        """An event that the subscription's filters match. `seq`: None when it is not stored."""
        own = self._subscriptions.get(subscription)
        if own is None or (seq is not None and seq <= own.last):
            return []
        heard = event.kind == Kind.REQUEST and not own.listening.isdisjoint(event.values("p"))
        if not heard and not self.scope(world).admits(event):
            return []
        frame = _event_frame(own, body, seq)
        if own.held is None:
            return [Send(frame)]
        own.held.append(frame)
        own.held_bytes += len(frame)
        if own.held_bytes > MAX_HELD_BYTES:
            return [Cut("too much arrived while stored events were being read")]
        return []

    def found(self, search: Search, bodies: Sequence[tuple[int, bytes]]) -> list[Effect]:
        """Some of the stored events of a search, in the order they go out."""
        own = self._of(search)
        return [] if own is None else [Send(_event_frame(own, body, seq)) for seq, body in bodies]

    def caught_up(self, search: Search, epoch: str) -> list[Effect]:
        """All stored events have been found: EOSE, then what has come meanwhile."""
        own = self._of(search)
        if own is None or own.held is None:
            return []
        held, own.held = own.held, None
        if search.ordered:
            eose = Eose(search.subscription, epoch, search.last)
        else:
            eose = Eose(search.subscription)
        return [_send(eose), *(Send(frame) for frame in held)]

    def failed(self, search: Search, sentence: str) -> list[Effect]:
        """The search could not be done."""
        if self._of(search) is None:
            return []
        return self._close(search.subscription, Refusal(Prefix.ERROR, sentence))

    def counted(self, tally: Tally, count: int) -> list[Effect]:
        """So much is stored of what was to be counted."""
        self._counting -= 1
        return [_send(Counted(tally.query, count))]

    def uncounted(self, tally: Tally, sentence: str) -> list[Effect]:
        """It could not be counted."""
        self._counting -= 1
        return [_send(Closed(tally.query, str(Refusal(Prefix.ERROR, sentence))))]

    def stepped(self, steps: Sequence[Step]) -> list[Effect]:
        """What follows from a step of a reconciliation."""
        return [_effect(step) for step in steps]

    def is_current(self, search: Search) -> bool:
        """Say whether anybody still waits for the search."""
        return self._of(search) is not None

    def subscriptions(self) -> list[str]:
        """The names of the live subscriptions."""
        return list(self._subscriptions)

    def scope(self, world: World) -> Scope:
        """What this connection may see in `world`."""
        if self._scope is None or self._scope[0] is not world or self._scope[1] is not self.viewer:
            self._scope = (world, self.viewer, scope_of(world, self.viewer))
        return self._scope[2]

    def _publish(self, event: Event, n_chars: int, world: World, now_s: int) -> list[Effect]:
        refusal = self._door.objection(event, n_chars, world, self.viewer, self.scope(world), now_s)
        if refusal is None and len(event.tags) > self._limits.max_event_tags:
            # Each costs an entry in the index.
            sentence = f"an event has at most {self._limits.max_event_tags} tags here"
            refusal = Refusal(Prefix.INVALID, sentence)
        if event.kind == nip62.VANISH and not nip62.names(event, self._accepted_relays):
            refusal = refusal or Refusal(
                Prefix.INVALID, "this request to vanish does not name this relay"
            )
        if refusal is not None:
            return [_send(Ok(event.id, False, str(refusal)))]
        return [Submit(event, self.viewer)]

    def _req(
        self, subscription: str, filters: tuple[Filter, ...], world: World, last: int
    ) -> list[Effect]:
        refusal = may_ask(world, self.viewer, filters)
        is_new = subscription not in self._subscriptions
        if refusal is None and is_new and len(self._subscriptions) >= MAX_SUBSCRIPTIONS:
            refusal = Refusal(
                Prefix.RATE_LIMITED, f"at most {MAX_SUBSCRIPTIONS} subscriptions at a time"
            )
        scope = self.scope(world)
        kept = [other for name, other in self._subscriptions.items() if name != subscription]
        n_values = sum(1 + count_values(one) for one in filters)
        refusal = refusal or too_many_values(n_values + sum(o.n_values for o in kept), scope)
        if refusal is not None:
            return self._close(subscription, refusal)
        self._generation += 1
        ordered = any(one.after_seq is not None for one in filters)
        # NIP-01: "Clients can … overwrite" a subscription: a REQ with a live id replaces it.
        self._subscriptions[subscription] = _Subscription(
            self._generation,
            b'["EVENT",' + orjson.dumps(subscription) + b",",
            ordered,
            listens_for(filters),
            last,
            n_values=n_values,
        )
        search = Search(subscription, self._generation, filters, scope, last, ordered)
        return [Listen(subscription, filters), search]

    def _count(self, query: str, filters: tuple[Filter, ...], world: World, last: int) -> Effect:
        refusal = may_count(world, self.viewer, filters)
        if refusal is None and self._counting >= MAX_COUNTS:
            refusal = Refusal(Prefix.RATE_LIMITED, f"at most {MAX_COUNTS} counts at a time")
        if refusal is not None:
            # NIP-45: "Whenever the relay decides to refuse … it MUST return a CLOSED message"
            return _send(Closed(query, str(refusal)))
        self._counting += 1
        return Tally(query, filters, self.scope(world), last)

    def _close(self, subscription: str, refusal: Refusal) -> list[Effect]:
        effects: list[Effect] = [_send(Closed(subscription, str(refusal)))]
        if self._subscriptions.pop(subscription, None) is not None:
            effects.append(Unlisten(subscription))
        return effects

    def _authenticate(self, event: Event, world: World, now_s: int) -> list[Effect]:
        refusal = nip42.check(event, self._challenge, self._accepted_relays, now_s)
        keys = self.viewer.keys
        if refusal is None and self.viewer.session not in (None, event.pubkey):
            # A container that got hold of another key must not use it from inside.
            refusal = Refusal(Prefix.RESTRICTED, "this socket is one session's own")
        most = MAX_BRIDGE_KEYS if keys & world.bridges else MAX_KEYS
        if refusal is None and len(keys) >= most and event.pubkey not in keys:
            refusal = Refusal(Prefix.RESTRICTED, f"at most {most} keys on one connection")
        if refusal is not None:
            self._failed_auths += 1
            if self._failed_auths > self._limits.max_failed_auths:
                return [Cut("too many wrong answers to the AUTH challenge")]
            return [_send(Ok(event.id, False, str(refusal)))]
        self.viewer = replace(self.viewer, keys=keys | {event.pubkey})
        return [_send(Ok(event.id, True))]

    def _malformed(self, data: str, why: str) -> list[Effect]:
        """Answer so that the client can tell which of its frames was meant."""
        refusal = Refusal(Prefix.INVALID, why)
        try:
            array: Any = orjson.loads(data)
        except orjson.JSONDecodeError:
            return [_notice(why)]
        match array:
            case ["EVENT" | "AUTH", {"id": event_id}, *_] if is_hex(event_id, 32):
                return [_send(Ok(event_id, False, str(refusal)))]
            case ["REQ", str(name), *_] if 1 <= len(name) <= MAX_SUBSCRIPTION_CHARS:
                return self._close(name, refusal)
            case ["COUNT", str(name), *_] if 1 <= len(name) <= MAX_SUBSCRIPTION_CHARS:
                return [_send(Closed(name, str(refusal)))]
            case ["NEG-OPEN" | "NEG-MSG", str(name), *_] if len(name) <= MAX_SUBSCRIPTION_CHARS:
                self.negotiations.close(name)
                return [_send(NegErr(name, str(refusal)))]
        return [_notice(why)]

    def _of(self, search: Search) -> _Subscription | None:
        own = self._subscriptions.get(search.subscription)
        return own if own is not None and own.generation == search.generation else None


def _event_frame(own: _Subscription, body: bytes, seq: int | None) -> bytes:
    if own.ordered and seq is not None:
        return own.head + body + b",%d]" % seq
    return own.head + body + b"]"


def _effect(step: Step) -> Effect:
    return _send(step) if isinstance(step, NegMsg | NegErr) else step


def _notice(sentence: str) -> Effect:
    return _send(Notice(str(Refusal(Prefix.INVALID, sentence))))


def _send(frame: RelayFrame) -> Send:
    return Send(encode(frame).encode())
