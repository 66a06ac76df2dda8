"""Shell: who is bound is there, and nobody else; their profiles and lists are followed."""

from __future__ import annotations

from bot.bridges.nostr.arrivals import Arrivals
from bot.bridges.nostr.contacts import Contacts
from bot.bridges.nostr.counterparts import Counterparts
from bot.bridges.nostr.visitors import Visitors
from bot.bridges.presence import Presence
from bot.bridges.waiting import first_of


async def keep_present(
    presence: Presence,
    counterparts: Counterparts,
    contacts: Contacts,
    arrivals: Arrivals,
    visitors: Visitors,
) -> None:
    """Keep the puppet of every counterpart ready, and named as they are, and of nobody else,
    until cancelled."""
    await presence.remember()
    while True:
        changes = (counterparts.change, contacts.change, visitors.change)
        people, asked = counterparts.public_people, visitors.asked
        if contacts.expect(people, asked) and (people or asked):
            await arrivals.follow_lists(people | asked)
        for bound in counterparts.groups().values():
            for person in bound.people:
                await presence.ready(bound, person)
        await presence.remove_all_but(
            {group: bound.people for group, bound in counterparts.every_group().items()}
        )
        await first_of(*changes)
