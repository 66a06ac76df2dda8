"""Shell: who of Nostr is bound to which group, and who the owner is, as the relay says now."""

from __future__ import annotations

from collections.abc import Sequence

import structlog

from bot.bridges.bindings import Bindings, Bound
from bot.bridges.nostr.puppets import NETWORK
from bot.place import Place
from nips.event import Event
from nips.filter import Filter
from nips.kinds import Kind
from nips.own import pairing
from nips.own.roles import Roles
from nips.refusal import Malformed
from relay_local.client import Link

log = structlog.get_logger()


class Counterparts(Bindings):
    """The bindings of people of Nostr, and the pairing that names the owner."""

    def __init__(self, link: Link, roles: Roles, inbox: Place | None = None) -> None:
        super().__init__(link, roles, NETWORK, inbox)
        self._paired: str | None = None

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

    def _wanted(self) -> Sequence[Filter]:
        return [
            *super()._wanted(),
            Filter(
                kinds=frozenset({int(Kind.APP_DATA)}),
                authors=frozenset({self._roles.signer}),
                tags={"d": frozenset({pairing.D})},
            ),
        ]

    def _learn(self, event: Event) -> None:
        if event.pubkey != self._roles.signer:
            super()._learn(event)
            return
        try:
            self._paired = pairing.parse(event, self._roles.signer)
        except Malformed as error:
            log.error("pairing not understood", event_id=event.id, reason=str(error))
            return
        self._notify()
