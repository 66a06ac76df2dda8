"""Shell: who of Nostr is bound to which group, and where the mail of several belongs."""

from __future__ import annotations

from bot.bridges.bindings import Bindings, Bound
from bot.bridges.nostr.puppets import NETWORK
from bot.place import Place
from nips.own.roles import Roles
from relay_local.client import Link


class Counterparts(Bindings):
    """The bindings of people of Nostr."""

    def __init__(self, link: Link, roles: Roles, inbox: Place | None = None) -> None:
        super().__init__(link, roles, NETWORK, inbox)

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
