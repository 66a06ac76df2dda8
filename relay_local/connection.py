"""Pure: the relay's side of one connection: frames in, effects out, no socket."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace
from typing import Any

import orjson

from nips import nip42, nip62
from nips.event import Event
from nips.filter import Filter
from nips.frame_parser import parse_client
from nips.frames import (
    MAX_SUBSCRIPTION_CHARS,
    Authenticate,
    Challenge,
    Close,
    Closed,
    Count,
    Counted,
    NegClose,
    NegErr,
    NegMsg,
    NegOpen,
    Notice,
    Ok,
    Publish,
    Req,
)
from nips.key import is_hex
from nips.refusal import Malformed, Prefix, Refusal
from relay_local.access import Scope, may_ask, may_count, scope_of
from relay_local.door import Door
from relay_local.effects import Cut, Effect, Submit, Tally, TurnAway, of_step, send
from relay_local.feeds import Feeds
from relay_local.limits import Limits
from relay_local.negentropy import Negotiations, Step
from relay_local.pacing import Meter
from relay_local.viewer import Viewer
from relay_local.world import World

MAX_FRAME_BYTES = 1 << 20
MAX_COUNTS = 20  # that are being counted at a time
MAX_KEYS = 32
MAX_BRIDGE_KEYS = 100_000  # a bridge authenticates a puppet for each person it carries


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
        self._door = Door(shared)
        self._scope: tuple[World, Viewer, Scope] | None = None
        self._counting = 0
        self.feeds = Feeds()
        self.negotiations = Negotiations()

    def opened(self) -> list[Effect]:
        """Greet the client. NIP-42: the challenge is valid for the connection's duration."""
        return [send(Challenge(self._challenge))]

    def received(self, data: str | bytes, world: World, now_s: int, last: int) -> list[Effect]:
        """Take one message in. `last`: the newest arrival number that live subscriptions have
        been told of. Never raises, whatever comes."""
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
                refusal = may_ask(world, self.viewer, filters)
                return self.feeds.open(subscription, filters, refusal, self.scope(world), last)
            case Close(subscription):
                return self.feeds.close(subscription)
            case Authenticate(event):
                return self._authenticate(event, world, now_s)
            case Count(query, filters):
                return [self._count(query, filters, world, last)]
            case NegOpen(_, one):
                refusal = may_count(world, self.viewer, (one,))
                return [of_step(self.negotiations.open(frame, refusal, self.scope(world), last))]
            case NegMsg():
                return [of_step(self.negotiations.message(frame, self.scope(world)))]
            case NegClose(subscription):
                self.negotiations.close(subscription)
                return []

    def live(
        self, subscription: str, event: Event, body: bytes, seq: int | None, world: World
    ) -> list[Effect]:
        """An event that the subscription's filters match. `seq`: None when it is not stored."""
        return self.feeds.live(subscription, event, body, seq, self.scope(world))

    def counted(self, tally: Tally, count: int) -> list[Effect]:
        """So much is stored of what was to be counted."""
        self._counting -= 1
        return [send(Counted(tally.query, count))]

    def uncounted(self, tally: Tally, sentence: str) -> list[Effect]:
        """It could not be counted."""
        self._counting -= 1
        return [send(Closed(tally.query, str(Refusal(Prefix.ERROR, sentence))))]

    def stepped(self, steps: Sequence[Step]) -> list[Effect]:
        """What follows from a step of a reconciliation."""
        return [of_step(step) for step in steps]

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
            return [TurnAway(event.id, refusal)]
        return [Submit(event, self.viewer)]

    def _count(self, query: str, filters: tuple[Filter, ...], world: World, last: int) -> Effect:
        refusal = may_count(world, self.viewer, filters)
        if refusal is None and self._counting >= MAX_COUNTS:
            refusal = Refusal(Prefix.RATE_LIMITED, f"at most {MAX_COUNTS} counts at a time")
        if refusal is not None:
            # NIP-45: "Whenever the relay decides to refuse … it MUST return a CLOSED message"
            return send(Closed(query, str(refusal)))
        self._counting += 1
        return Tally(query, filters, self.scope(world), last)

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
            return [send(Ok(event.id, False, str(refusal)))]
        self.viewer = replace(self.viewer, keys=keys | {event.pubkey})
        return [send(Ok(event.id, True))]

    def _malformed(self, data: str, why: str) -> list[Effect]:
        """Answer so that the client can tell which of its frames was meant."""
        refusal = Refusal(Prefix.INVALID, why)
        try:
            array: Any = orjson.loads(data)
        except orjson.JSONDecodeError:
            return [_notice(why)]
        match array:
            case ["EVENT" | "AUTH", {"id": event_id}, *_] if is_hex(event_id, 32):
                return [send(Ok(event_id, False, str(refusal)))]
            case ["REQ", str(name), *_] if 1 <= len(name) <= MAX_SUBSCRIPTION_CHARS:
                return self.feeds.refuse(name, refusal)
            case ["COUNT", str(name), *_] if 1 <= len(name) <= MAX_SUBSCRIPTION_CHARS:
                return [send(Closed(name, str(refusal)))]
            case ["NEG-OPEN" | "NEG-MSG", str(name), *_] if len(name) <= MAX_SUBSCRIPTION_CHARS:
                self.negotiations.close(name)
                return [send(NegErr(name, str(refusal)))]
        return [_notice(why)]


def _notice(sentence: str) -> Effect:
    return send(Notice(str(Refusal(Prefix.INVALID, sentence))))
