"""Shell: who wrote and is bound to nothing: shown to the owner once, then allowed, denied or left.

A bridge tells who, never what they wrote. A stranger is told to the owner under a once-key, then
kept as a record; so a crash in between shows them once. Floods are bounded: of each network so many
are kept, so many are shown in a day, and the rest is one line.
"""

from __future__ import annotations

import asyncio
from dataclasses import replace
from itertools import count

import structlog

from bot import address
from bot.author import Author, of_kinds
from bot.codes import code_of
from bot.notice import notice
from bot.registration import RegistryError, clean_name, shown
from bot.registry import Registry
from nips.event import Event
from nips.filter import Filter
from nips.kinds import Kind
from nips.own import signal_id
from nips.own import stranger as records
from nips.own.binding import MAX_COUNTERPARTS, Binding
from nips.own.roles import Roles
from nips.own.stranger import KEPT_S, MAX_NAME_CHARS, TOPIC, Stranger
from nips.refusal import Malformed, Prefix, refused

MAX_KEPT = 500
MAX_SHOWN_A_DAY = 20
DAY_S = 86_400
NETWORKS = {"nostr": "Nostr", "signal": "Signal"}  # as people call them

log = structlog.get_logger()


class Strangers:
    """owner: in hex. `load` before anything else."""

    def __init__(self, author: Author, roles: Roles, owner: str, registry: Registry) -> None:
        self._author, self._roles, self._owner = author, roles, owner
        self._registry = registry
        self._by_code: dict[str, Stranger] = {}
        self._written_at: dict[str, int] = {}
        self._full_told_on: dict[str, int] = {}  # the day, by network
        self._lock = asyncio.Lock()

    async def load(self) -> None:
        """Know those who have been shown."""
        kept = Filter(
            authors=frozenset({self._author.pubkey}),
            kinds=of_kinds(Kind.APP_DATA),
            tags={"t": frozenset({TOPIC})},
        )
        for event in await self._author.stored([kept]):
            try:
                self._know(records.parse(event, self._author.pubkey), event)
            except Malformed as error:
                log.warning("stranger not understood", id=event.id[:12], reason=str(error))

    def all(self) -> tuple[Stranger, ...]:
        """Those who wait for the owner's word, the latest last."""
        self._forget_old()
        waiting = [each for each in self._by_code.values() if each.status == "shown"]
        return tuple(sorted(waiting, key=lambda each: each.at))

    def open(self) -> tuple[tuple[str, str], ...]:
        """The same as code and words."""
        return tuple((each.code, self._words(each)) for each in self.all())

    async def report(self, network: str, id_: str, name: str) -> str:
        """Take a bridge's word that somebody wrote who is bound to nothing.

        Returns `shown`, `known` where they were shown before, `full` where no more are shown now.
        Raises Refused for an id that is none.
        """
        async with self._lock:
            self._forget_old()
            now_s = self._author.now_s()
            code, known = self._coded(network, id_)
            if known is not None:
                return "known"
            found = Stranger(code, network, id_, _shown_name(name), "shown", now_s)
            made = records.template(found, self._author.pubkey, now_s)
            try:
                records.parse(made, self._author.pubkey)
                if len(set(found.people)) > MAX_COUNTERPARTS or self._is_of_the_house(found):
                    raise Malformed("stranger: nobody to talk with")
            except Malformed as error:
                raise refused(Prefix.INVALID, str(error)) from error
            if self._is_full(network, now_s):
                await self._say_full(network, now_s)
                return "full"
            once = ("stranger", network, id_, str(now_s // KEPT_S))
            await self._author.require(notice(self._roles, once, self._told(found), now_s=now_s))
            await self._keep(found)
            return "shown"

    async def allow(
        self, code: str, name: str | None = None, *, once: str | None = None
    ) -> Binding:
        """Register a conversation with a stranger, called `name` or like them.

        once: what asks for it, such as a message's id. Raises RegistryError.
        """
        found = self._find(code)
        is_room = len(found.people) > 1
        binding = await self._registry.register(
            name or self._called(found),
            found.counterparts,
            # To one person everything said is said to the assistant; among several it is called.
            trigger="" if is_room or found.is_group else None,
            room=is_room,
            once=once,
        )
        await self._keep(replace(found, status="allowed"))
        return binding

    def _called(self, found: Stranger) -> str:
        """What a conversation with a stranger is called, where the owner does not say."""
        own = _plain_name(found)
        groups = self._registry.all()
        taken = {word.casefold() for each in groups for word in (each.name, shown(each))}
        # Attack: a group of Signal's called Main, beside the owner's own in their client. What is
        # meant for the one is written into the other.
        return f"{own} {found.code}" if own.casefold() in taken else own or found.code

    async def deny(self, code: str) -> Stranger:
        """Never show a stranger again. Raises RegistryError."""
        found = self._find(code)
        await self._keep(replace(found, status="denied"))
        return found

    def _find(self, code: str) -> Stranger:
        self._forget_old()
        found = self._by_code.get(code.strip().casefold())
        if found is None:
            raise RegistryError(
                f"Nobody waits under the code {code[:20]}. It may be older than 30 days; when "
                "they write again they are shown again."
            )
        return found

    def _coded(self, network: str, id_: str) -> tuple[str, Stranger | None]:
        # Attack: a key ground until it has the code of somebody whom the owner is about to allow.
        for attempt in count():
            code = code_of("stranger", network, id_, attempt=attempt)
            known = self._by_code.get(code)
            if known is None or (known.network, known.id) == (network, id_):
                return code, known
        raise AssertionError("count ends never")

    def _is_of_the_house(self, found: Stranger) -> bool:
        roles = {self._roles.role_of(one) for one in found.people}
        return not roles <= {None, "owner"} or found.people == (self._owner,)

    def _is_full(self, network: str, now_s: int) -> bool:
        # Attack: keys of Nostr cost nothing; a flood of them would hide who writes from elsewhere.
        there = [each for each in self._by_code.values() if each.network == network]
        waiting = [each for each in there if each.status == "shown"]
        today = [each for each in there if each.at // DAY_S == now_s // DAY_S]
        return len(waiting) >= MAX_KEPT or len(today) >= MAX_SHOWN_A_DAY

    async def _say_full(self, network: str, now_s: int) -> None:
        day = now_s // DAY_S
        if self._full_told_on.get(network) == day:
            return
        self._full_told_on[network] = day
        words = (
            f"More strangers write from {NETWORKS.get(network, network)} than I show: "
            f"{MAX_SHOWN_A_DAY} a day, {MAX_KEPT} at a time. "
            "I pass over the others; who writes again tomorrow is shown then."
        )
        once = ("strangers", network, str(day))
        await self._author.publish(notice(self._roles, once, words, now_s=now_s))

    def _told(self, found: Stranger) -> str:
        return (
            f"👋 {self._words(found)} wrote to me. I have not answered, and kept nothing of it.\n"
            f"To talk with them: /allow {found.code} [NAME]\n"
            f"Never to hear of them again: /deny {found.code}"
        )

    def _words(self, found: Stranger) -> str:
        if len(found.people) > 1:
            with_you = " and you" if self._owner in found.people else ""
            return f"A room of {_plain_name(found)}{with_you} ({len(found.people)} people)"
        if found.network != signal_id.NETWORK:
            return f"{found.name} ({address.whole(*found.counterparts)})"
        # A phone number is in no event of ours: who is meant is told apart by the id's beginning.
        told_apart = address.short(*found.counterparts)
        if found.is_group:
            return f"A group called {_plain_name(found) or 'nothing'} ({told_apart})"
        return f"{_plain_name(found) or 'Somebody'} ({told_apart})"

    async def _keep(self, found: Stranger) -> None:
        # Two versions in one second tie and the lower id wins: each steps forward.
        created_at = max(self._author.now_s(), self._written_at.get(found.code, 0) + 1)
        made = records.template(found, self._author.pubkey, created_at)
        self._know(found, await self._author.require(made))

    def _know(self, found: Stranger, event: Event) -> None:
        self._by_code[found.code] = found
        self._written_at[found.code] = event.created_at

    def _forget_old(self) -> None:
        since = self._author.now_s() - KEPT_S
        old = [
            c for c, each in self._by_code.items() if each.status != "denied" and each.at < since
        ]
        for code in old:
            del self._by_code[code], self._written_at[code]


def _shown_name(name: str) -> str:
    try:
        return clean_name(name)[:MAX_NAME_CHARS]
    except RegistryError:
        return ""


def _plain_name(found: Stranger) -> str:
    return found.name.replace(f" ({NETWORKS.get(found.network, found.network)})", "")
