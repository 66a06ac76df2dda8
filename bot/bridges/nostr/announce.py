"""Shell: the bot's own profile and relay lists (0, 10002, 10050): signed once, sent to the
configured relays whenever the bridge starts.

The profile says the persona that is in force everywhere. What the signer's ceiling does not name
the owner is asked for by the signer: a yes is published, after a no the old one stays.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import structlog

from bot.bridges.nostr.courier import Courier, Parcel
from bot.bridges.waiting import Patience
from nips import nip65
from nips.event import Event, Template
from nips.filter import Filter
from nips.kinds import Kind
from nips.nip17 import inbox_list_template
from nips.own import persona as personas
from nips.own.delivery import Delivery
from nips.own.persona import Persona
from nips.own.roles import Roles
from nips.refusal import Malformed, Prefix, Refused
from relay_local.client import Caller, Caught, Link, Unanswered
from relay_local.client import Delivery as Arrived

ASKED_FOR_S = 86_400  # as long as the signer remembers a no
FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.5, 300.0
SIGN_DEADLINE_S = 45.0  # after that the template is too old for the signer, and made anew

NOBODY = Persona()
LISTS = (int(Kind.PROFILE), int(Kind.RELAY_LIST), int(Kind.INBOX_RELAYS))

log = structlog.get_logger()


def own_lists(
    bot: str, relays: Sequence[str], profile: Mapping[str, str | bool], created_at: int
) -> list[Template]:
    """What the bot says of itself. The signer's ceiling names the same relays and profile."""
    return [
        inbox_list_template(bot, relays, created_at),
        nip65.template(bot, relays, created_at),
        Template(
            bot, created_at, Kind.PROFILE, (), json.dumps(dict(profile), ensure_ascii=False)
        ),
    ]  # fmt: skip


def says_the_same(template: Template, stored: Event | None) -> bool:
    """Say whether a stored event makes a new one needless."""
    return stored is not None and (stored.tags, stored.content) == (template.tags, template.content)


def was_approved(stored: Event | None) -> bool:
    """Say whether an agent has asked for the stored event, so that the owner has approved it: it
    stays until the owner approves another."""
    return stored is not None and stored.tag("job") is not None


def profile_of(profile: Mapping[str, str | bool], persona: Persona) -> dict[str, str | bool]:
    """The object of the kind 0 while this persona is in force everywhere."""
    shown = {"name": persona.name, "picture": persona.picture}
    return {**profile, **{field: value for field, value in shown.items() if value is not None}}


@dataclass(frozen=True, slots=True)
class _Set:
    """The persona for everywhere, and when it was set (unix seconds)."""

    persona: Persona = NOBODY
    at: int = 0


class Announce:
    """profile: the object of the kind 0 where no persona says otherwise. caller: to the signer."""

    def __init__(
        self,
        link: Link,
        caller: Caller,
        roles: Roles,
        relays: Sequence[str],
        profile: Mapping[str, str | bool],
        courier: Courier,
    ) -> None:
        self._link, self._caller, self._bot, self._roles = link, caller, roles.bot, roles
        self._relays, self._profile, self._courier = relays, profile, courier
        self._carried: set[str] = set()

    async def run(self) -> None:
        """Make what is missing or has changed, have all of it carried, and then, until cancelled,
        follow the persona, and carry what the owner approves."""
        *lists, _ = own_lists(self._bot, self._relays, self._profile, int(time.time()))
        for wanted in lists:
            stored = await self._stored(wanted.kind)
            keeps = says_the_same(wanted, stored) or was_approved(stored)
            event = stored if keeps else await self._sign(wanted, stored)
            if event is not None:
                # Sent again at each start, the same bytes: a relay may have lost them.
                await self._carry(event)
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._follow_persona())
            tasks.create_task(self._follow())

    async def _follow_persona(self) -> None:
        """Have the profile say what the persona says, from each change of it on."""
        record = Filter(
            authors=frozenset({self._roles.router}),
            kinds=frozenset({int(Kind.APP_DATA)}),
            tags={"d": frozenset({personas.D})},
        )
        now, caught = _Set(), False
        publishing: asyncio.Task[None] | None = None
        async with asyncio.TaskGroup() as tasks, self._link.subscribe([record]) as stream:
            async for item in stream:
                match item:
                    case Arrived(event):
                        found = self._persona(event)
                        if found is None or found.at < now.at:
                            continue
                        now = found
                    case Caught() if not caught:
                        caught = True
                    case _:
                        continue
                if caught:
                    if publishing is not None:
                        publishing.cancel()  # it would ask for what is wanted no more
                    publishing = tasks.create_task(self._publish_profile(now))

    async def _publish_profile(self, now: _Set) -> None:
        profile = profile_of(self._profile, now.persona)
        wanted = own_lists(self._bot, self._relays, profile, int(time.time()))[-1]
        stored = await self._stored(Kind.PROFILE)
        stays = was_approved(stored) and stored is not None and stored.created_at >= now.at
        if says_the_same(wanted, stored) or stays:
            event = stored
        elif profile == self._profile:
            event = await self._sign(wanted, stored)
        else:
            if stored is None:  # until the owner has said yes it is who it always was
                usual = own_lists(self._bot, self._relays, self._profile, int(time.time()))[-1]
                stored = await self._sign(usual, None)
            if stored is not None:
                await self._carry(stored)
            event = await self._ask(wanted, stored, now.at)
        if event is not None:
            await self._carry(event)

    async def _ask(self, wanted: Template, stored: Event | None, set_at: int) -> Event | None:
        """Have the signer ask the owner for a profile, and wait for what comes of it; None for a
        no. While it is open the old profile stays.

        The signer remembers its owner's no for a day, and what was set longer ago is not asked
        for: so a no is one, over every restart, until the persona is set anew.
        """
        pause_s, asked = FIRST_PAUSE_S, False
        while time.time() < set_at + ASKED_FOR_S:
            least = stored.created_at + 1 if stored else 0
            template = replace(wanted, created_at=max(int(time.time()), least))
            try:
                answer = await self._caller.call(
                    "sign_event", json.dumps(template.to_json()), deadline_s=SIGN_DEADLINE_S
                )
                return Event.from_json(json.loads(answer))
            except Unanswered:
                log.warning("signer does not answer; asking again", kind=wanted.kind)
            except Refused as error:
                match error.refusal.prefix:
                    case Prefix.PENDING:
                        asked = True
                    case Prefix.INVALID | Prefix.UNSUPPORTED:
                        log.error("profile not signed", reason=str(error))
                        return None
                    case Prefix.RESTRICTED if asked:
                        log.info("the profile stays as it is", reason=str(error))
                        return None
            except (Malformed, ValueError) as error:
                log.error("profile not understood", reason=str(error))
                return None
            await asyncio.sleep(pause_s)
            pause_s = min(2 * pause_s, LONGEST_PAUSE_S)
        return None

    def _persona(self, event: Event) -> _Set | None:
        try:
            group, persona = personas.parse(event, self._roles.router)
        except Malformed as error:
            log.warning("persona not understood", reason=str(error))
            return None
        return _Set(persona, event.created_at) if group is None else None

    async def _follow(self) -> None:
        """Carry what the owner approves, whoever asked for it, as soon as it is signed."""
        wanted = Filter(authors=frozenset({self._bot}), kinds=frozenset(LISTS))
        caught = False
        async with self._link.subscribe([wanted]) as stream:
            async for item in stream:
                match item:
                    case Caught():
                        caught = True
                    case Arrived(event) if event.id not in self._carried:
                        # One of before may be about to be replaced: that is for the others here.
                        if caught or was_approved(event):
                            await self._carry(event)

    async def _carry(self, event: Event) -> None:
        if event.id in self._carried:
            return
        self._carried.add(event.id)
        await self._courier.carry(Delivery(event.id), [Parcel(event, None)], int(time.time()))

    async def _stored(self, kind: int) -> Event | None:
        wanted = Filter(authors=frozenset({self._bot}), kinds=frozenset({int(kind)}))
        return next(iter(await self._link.fetch([wanted])), None)

    async def _sign(self, wanted: Template, stored: Event | None) -> Event | None:
        patience = Patience()
        while True:
            least = stored.created_at + 1 if stored else 0
            template = replace(wanted, created_at=max(int(time.time()), least))
            served = self._caller.served
            try:
                answer = await self._caller.call(
                    "sign_event", json.dumps(template.to_json()), deadline_s=SIGN_DEADLINE_S
                )
                return Event.from_json(json.loads(answer))
            except Unanswered:
                log.warning("signer does not answer; asking again", kind=wanted.kind)
            except Refused as error:
                if error.refusal.prefix in (Prefix.INVALID, Prefix.UNSUPPORTED):
                    log.error("own list not signed", kind=wanted.kind, reason=str(error))
                    return None
                log.info("signer not ready; asking again", kind=wanted.kind, reason=str(error))
            except (Malformed, ValueError) as error:
                log.error("own list not understood", kind=wanted.kind, reason=str(error))
                return None
            await patience.pause(served)
