"""Shell: what the bot and the router say in a bound group, to the people bound to it.

    kind 9 ─► rumors ─► seals by the signer ─► wraps, stored ─► delivery, stored ─► relays

From the stored delivery on only the same bytes are sent. A kind 9 that has a delivery is never
wrapped again; one whose making was cut off before has left nothing behind that was sent.
"""

from __future__ import annotations

import asyncio
import json
import time
from contextlib import suppress
from secrets import randbelow, token_bytes

import structlog

from bot.bridges.bindings import Bound, bound_by
from bot.bridges.nostr.counterparts import Counterparts
from bot.bridges.nostr.courier import Courier, Parcel
from bot.bridges.nostr.outgoing import rumors
from bot.bridges.nostr.puppets import NETWORK
from bot.bridges.presence import Presence
from bot.bridges.waiting import Patience
from bot.bridges.written import written
from bot.notice import HERE_ONLY
from bot.place import Place, follow
from nips import nip59
from nips.event import Event, Template
from nips.filter import Filter
from nips.key import SecretKey, is_hex
from nips.kinds import Kind
from nips.own import delivery as deliveries
from nips.own.delivery import Wrap
from nips.own.once import once_key
from nips.own.roles import Roles
from nips.refusal import Malformed, Prefix, Refused
from relay_local.client import Caller, Delivery, Link, Unanswered

BACKDATED_S = 2 * 86_400
SEAL_DEADLINE_S = 60.0

log = structlog.get_logger()


class Outbox:
    """key: the bridge's. caller: to the signer. own_copies: takes the ids of wraps to the bot
    itself before they are stored."""

    def __init__(
        self,
        link: Link,
        key: SecretKey,
        caller: Caller,
        roles: Roles,
        counterparts: Counterparts,
        presence: Presence,
        courier: Courier,
        place: Place,
        own_copies: set[str],
    ) -> None:
        self._link, self._key, self._caller, self._roles = link, key, caller, roles
        self._counterparts, self._presence = counterparts, presence
        self._courier, self._place, self._own_copies = courier, place, own_copies
        self._known: set[str] = set()
        self._bound: dict[str, Bound] = {}  # as of the place

    async def run(self) -> None:
        """Go on with what is pending, then follow the groups until cancelled."""
        await self._resume()
        words = Filter(
            kinds=frozenset({int(Kind.CHAT)}),
            authors=frozenset({self._roles.bot, self._roles.router}),
        )
        # With the words, since two subscriptions have no common order: what was said before a
        # binding is not for those whom it names, and what comes right behind it is.
        bindings = Filter(
            kinds=frozenset({int(Kind.APP_DATA)}), authors=frozenset({self._roles.router})
        )  # fmt: skip
        self._bound = self._counterparts.every_group()
        try:
            async for item in follow(self._link, [words, bindings], self._place):
                match item:
                    case Delivery(event) if event.kind == Kind.APP_DATA:
                        await self._learn(event)
                    case Delivery(event):
                        await self._handle(event)
        finally:
            await self._place.save()

    async def _learn(self, event: Event) -> None:
        with suppress(Malformed):  # `counterparts` tells of it
            if (found := bound_by(event, self._roles.router, NETWORK)) is not None:
                # A bridge that is killed now does not judge anew what was said before.
                await self._place.save()
                self._bound[found.binding.group] = found

    async def _handle(self, message: Event) -> None:
        bound = self._bound.get(message.tag("h") or "")
        if bound is None or bound.binding.archived or not bound.people:
            return
        if message.id in self._known:
            return
        if HERE_ONLY in message.tags and message.pubkey == self._roles.router:
            return
        reply_to = await self._answered(message)
        letters = self._letters(message, bound, reply_to)
        seals = await asyncio.gather(*(self._seal(rumor, to) for rumor, to in letters))
        if None in seals:
            return
        wraps = [
            (_wrap(seal, to), to)
            for seal, (_, to) in zip(seals, letters, strict=True)
            if seal is not None
        ]
        self._own_copies.update(wrap.id for wrap, to in wraps if to == self._roles.bot)
        for stored in await asyncio.gather(*(self._link.publish(wrap) for wrap, _ in wraps)):
            if stored.refusal:
                log.error("reply not stored", event_id=message.id, reason=str(stored.refusal))
                return
        said = dict.fromkeys(rumor.id for rumor, _ in letters)
        self._known.add(message.id)
        bot = self._roles.bot
        theirs = [(wrap, to) for wrap, to in wraps if to != bot]
        ours = [(wrap, to) for wrap, to in wraps if to == bot]
        # Apart: that our own relays have it does not mean that anybody else has got it.
        carrying = [self._carry(message.id, theirs, tuple(said), message.created_at)]
        carrying += [self._carry(ours[0][0].id, ours, (), message.created_at)] if ours else []
        await asyncio.gather(*carrying)

    async def _carry(
        self, event_id: str, wraps: list[tuple[Event, str]], rumors: tuple[str, ...], since_s: int
    ) -> None:
        delivery = deliveries.Delivery(
            event_id, tuple(Wrap(wrap.id, to) for wrap, to in wraps), known_as=rumors
        )
        await self._courier.carry(delivery, [Parcel(wrap, to) for wrap, to in wraps], since_s)

    def _letters(
        self, message: Event, bound: Bound, reply_to: str | None
    ) -> list[tuple[Template, str]]:
        """The rumors, each with whom it is sealed for. NIP-17: in a room one and the same is
        sealed for everybody."""
        bot, people = self._roles.bot, bound.people
        if bound.binding.room:
            made = rumors(message, bot, people, reply_to)
            letters = [(rumor, person) for person in people for rumor in made]
        else:
            letters = [
                (rumor, person)
                for person in self._recipients(message, bound)
                for rumor in rumors(message, bot, [person], reply_to)
            ]
        # NIP-17: "to each receiver and the sender individually", so that whoever has the bot's key
        # in a client reads the whole conversation there. What is said to this machine's terminal
        # stays on the machine.
        own = {rumor.id: rumor for rumor, person in letters if person != self._roles.chat}
        return [*letters, *((rumor, bot) for rumor in own.values())]

    def _recipients(self, message: Event, bound: Bound) -> list[str]:
        tagged = set(message.values("p"))
        found = [
            person for person in bound.people if self._presence.key_of(person).public in tagged
        ]
        return found or [bound.people[0]]

    async def _answered(self, message: Event) -> str | None:
        """The id of the direct message that a reply answers, where it came as one."""
        # Attack: a `q` that is no id: a filter that the relay refuses, and the bridge ends.
        if (quoted := message.tag("q")) is None or not is_hex(quoted, 32):
            return None
        for found in await self._link.fetch([Filter(ids=frozenset({quoted}))]):
            # Attack: a reply that quotes another group's message: that person's direct message
            # would be named to these people.
            if found.tag("h") != message.tag("h"):
                continue
            for tag in found.tags:
                if tag[0] == "proxy" and tag[2:] == ("nostr",):
                    return tag[1]
        return None

    async def _seal(self, rumor: Template, recipient: str) -> Event | None:
        """Ask the signer until it answers; None when it will never seal this."""
        patience = Patience()
        text = json.dumps(rumor.to_json(), separators=(",", ":"), ensure_ascii=False)
        # Made of the rumor: asked again, even by a bridge that died in between, it is one seal.
        request = once_key("seal", recipient, rumor.id)
        while True:
            served = self._caller.served
            try:
                answer = await self._caller.call(
                    "seal", recipient, text, deadline_s=SEAL_DEADLINE_S, request_id=request
                )
                return Event.from_json(json.loads(answer))
            except Unanswered:
                log.warning("signer does not answer; asking again", rumor=rumor.id)
            except Refused as error:
                if error.refusal.prefix in (Prefix.INVALID, Prefix.UNSUPPORTED):
                    log.error("reply not sealed", rumor=rumor.id, reason=str(error))
                    return None
                log.info("signer not ready; asking again", rumor=rumor.id, reason=str(error))
            except (Malformed, ValueError) as error:
                log.error("seal not understood", rumor=rumor.id, reason=str(error))
                return None
            await patience.pause(served)

    async def _resume(self) -> None:
        for found in await written(self._link, self._key.public):
            self._known.add(found.delivery.event_id)
            # One without wraps is of a public event: `publishing` sends it.
            if found.delivery.wraps and found.is_pending:
                await self._resume_one(found.delivery, found.at)

    async def _resume_one(self, delivery: deliveries.Delivery, written_s: int) -> None:
        ids = frozenset(wrap.id for wrap in delivery.wraps)
        stored = {event.id: event for event in await self._link.fetch([Filter(ids=ids)])}
        parcels = [
            Parcel(stored[wrap.id], wrap.recipient)
            for wrap in delivery.wraps
            if wrap.id in stored
        ]  # fmt: skip
        if len(parcels) < len(ids):
            log.error("a stored reply is gone", event_id=delivery.event_id)
        since_s = min((state.at for state in delivery.relays), default=written_s)
        self._courier.resume(delivery, parcels, since_s, written_s)


def _wrap(seal: Event, recipient: str) -> Event:
    # NIP-17: "randomize created_at in up to two days in the past in both the seal and the gift
    # wrap"; a key of its own, so that two wraps have nothing in common.
    created_at = int(time.time()) - randbelow(BACKDATED_S)
    ephemeral = SecretKey.generate(token_bytes)
    return nip59.wrap(
        seal, ephemeral, recipient, created_at, token_bytes(32), token_bytes(32), extended=True
    )
