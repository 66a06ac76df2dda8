"""Shell: the relays of the bot's own inbox list (10050), listened to besides the configured ones.

The bridge publishes that list as configured. Where the owner has approved another one, people send
to the relays that stand in it.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

import structlog

from bot.bridges.nostr.arrivals import Arrivals
from bot.bridges.nostr.contacts import Contacts
from bot.bridges.nostr.destination import why_not_public
from bot.bridges.waiting import first_of
from nips.nip42 import normalise

AGAIN_S = 600.0  # a name may have led elsewhere for a while

log = structlog.get_logger()


class OwnInbox:
    """bot: its public key in hex. relays: the configured ones. allowed: as in `destination`."""

    def __init__(
        self,
        bot: str,
        relays: Sequence[str],
        contacts: Contacts,
        arrivals: Arrivals,
        allowed: Collection[str] = (),
    ) -> None:
        self._allowed = allowed
        self._bot, self._configured = bot, {normalise(url) for url in relays}
        self._contacts, self._arrivals = contacts, arrivals

    async def run(self) -> None:
        """Keep to the list until cancelled."""
        while True:
            change = self._contacts.change
            named = [
                url
                for url in self._contacts.relays_of(self._bot)
                if normalise(url) not in self._configured
            ]
            wanted = []
            for url in named:
                # Attack: a list that an agent proposed names an address inside our network.
                if reason := await why_not_public(url, self._allowed):
                    log.warning("not listened to", relay=url, reason=reason)
                else:
                    wanted.append(url)
            await self._arrivals.listen_also(wanted)
            await first_of(change, timeout_s=AGAIN_S)
