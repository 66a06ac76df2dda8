"""Shell: who is bound to which group, and who the owner is, as the relay says now.

What came from somebody who was not bound leaves nothing behind that says so. So the place of the
inbox, which reads by the bindings, is written before one changes: a bridge that is killed then does
not judge it anew. What comes after a binding waits until it is known: `steady`.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

import structlog

from bot.bridges.nostr.puppets import public_key_of
from bot.place import Place
from nips.event import Event
from nips.filter import Filter
from nips.kinds import Kind
from nips.own import binding, pairing
from nips.own.binding import Binding
from nips.own.roles import Roles
from nips.refusal import Malformed
from relay_local.client import Caught, Delivery, Link, Lost

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Bound:
    """A binding and the id of the event that says so."""

    binding: Binding
    event_id: str

    @property
    def people(self) -> tuple[str, ...]:
        """The keys in hex of its Nostr counterparts, the one answered by default first."""
        keys = (public_key_of(each) for each in self.binding.counterparts)
        return tuple(key for key in keys if key is not None)


def bound_by(event: Event, router: str) -> Bound | None:
    """What a binding of the router's says; None for any other event. Raises Malformed."""
    if event.pubkey != router or not (event.tag("d") or "").startswith(binding.D_PREFIX):
        return None
    return Bound(binding.parse(event, router), event.id)


class Counterparts:
    """A live view of the router's bindings. `caught` is set once all of them are known.

    inbox: the place of who reads by it.
    """

    def __init__(self, link: Link, roles: Roles, inbox: Place | None = None) -> None:
        self._link = link
        self._roles = roles
        self._inbox = inbox
        self._bound: dict[str, Bound] = {}
        self._paired: str | None = None
        self._change = asyncio.Event()
        self._steady = asyncio.Event()
        self.caught = asyncio.Event()

    async def run(self) -> None:
        """Follow the bindings until cancelled."""
        app_data = frozenset({int(Kind.APP_DATA)})
        wanted = [
            Filter(kinds=app_data, authors=frozenset({self._roles.router})),
            Filter(
                kinds=app_data,
                authors=frozenset({self._roles.signer}),
                tags={"d": frozenset({pairing.D})},
            ),
        ]
        # By arrival: without it the relay would cap the stored events.
        is_caught = False
        async with self._link.subscribe(wanted, after_seq=0) as stream:
            async for item in stream:
                self._steady.clear()
                match item:
                    case Delivery(event, _):
                        if self._inbox and (event.tag("d") or "").startswith(binding.D_PREFIX):
                            await self._inbox.save()
                        self._learn(event)
                    case Caught():
                        is_caught = True
                        self.caught.set()
                    case Lost():
                        is_caught = False
                if is_caught:
                    self._steady.set()

    async def steady(self) -> None:
        """Wait until every binding that has come is known. To be awaited before anything is judged
        by them; until the next await they stay as they are."""
        while not self._steady.is_set():
            await self._steady.wait()

    @property
    def owner(self) -> str | None:
        """The owner's key in hex; None until one is named."""
        return pairing.owner_of(self._roles, self._paired)

    def name_owner(self, public_key: str) -> None:
        """Take the signer's word for a pairing, whose event may still be on its way."""
        self._paired = public_key
        self._notify()

    @property
    def people(self) -> frozenset[str]:
        """Everybody bound to any group of which messages are taken, in hex."""
        return frozenset(key for bound in self.groups().values() for key in bound.people)

    @property
    def public_people(self) -> frozenset[str]:
        """Those of them who live on public relays: all but this machine's own terminal."""
        return self.people - {self._roles.chat or ""}

    def groups(self) -> dict[str, Bound]:
        """Every bound group of which messages are taken, by its UUID, as of now."""
        return {group: b for group, b in self._bound.items() if not b.binding.archived}

    def every_group(self) -> dict[str, Bound]:
        """The same, and the archived ones."""
        return dict(self._bound)

    def of_conversation(self, people: frozenset[str]) -> Bound | None:
        """The group in which messages among these people and the assistant belong, archived
        or not.

        NIP-17: "The set of `pubkey` + `p` tags defines a chat room": of exactly these people,
        or, where it is one, their direct conversation; main first where there are several.
        """
        is_room = len(people) > 1
        found = sorted(
            (bound.binding.archived, group != self._roles.main, group)
            for group, bound in self._bound.items()
            if bound.binding.room == is_room
            and (people == set(bound.people) if is_room else people <= set(bound.people))
        )
        return self._bound[found[0][-1]] if found else None

    def will_be_bound(self, people: frozenset[str]) -> bool:
        """Say whether this is the owner, named a moment ago, whose main group is being made."""
        return people == {self.owner} and self._roles.main not in self._bound

    @property
    def change(self) -> asyncio.Event:
        """Set at the next change of bindings or owner. Take it before looking, then wait."""
        return self._change

    def _learn(self, event: Event) -> None:
        try:
            if event.pubkey == self._roles.signer:
                self._paired = pairing.parse(event, self._roles.signer)
            elif (found := bound_by(event, self._roles.router)) is not None:
                self._bound[found.binding.group] = found
            else:
                return
        except Malformed as error:
            log.error("binding not understood", event_id=event.id, reason=str(error))
            return
        self._notify()

    def _notify(self) -> None:
        self._change.set()
        self._change = asyncio.Event()
