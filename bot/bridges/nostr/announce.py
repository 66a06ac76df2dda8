"""Shell: the bot's own profile and relay lists (0, 10002, 10050): signed once, sent to the
configured relays whenever the bridge starts."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace

import structlog

from bot.bridges.nostr.courier import Courier, Parcel
from bot.bridges.nostr.waiting import Patience
from nips.event import Event, Template
from nips.filter import Filter
from nips.kinds import Kind
from nips.nip17 import inbox_list_template
from nips.own.delivery import Delivery
from nips.refusal import Malformed, Prefix, Refused
from relay_local.client import Caller, Link, Unanswered

log = structlog.get_logger()


def own_lists(
    bot: str, relays: Sequence[str], profile: Mapping[str, str | bool], created_at: int
) -> list[Template]:
    """What the bot says of itself. The signer's ceiling names the same relays and profile."""
    return [
        inbox_list_template(bot, relays, created_at),
        # NIP-65: r tags without a marker are for reading and writing.
        Template(bot, created_at, Kind.RELAY_LIST, tuple(("r", url) for url in relays), ""),
        Template(
            bot, created_at, Kind.PROFILE, (), json.dumps(dict(profile), ensure_ascii=False)
        ),
    ]  # fmt: skip


def says_the_same(template: Template, stored: Event | None) -> bool:
    """Say whether a stored event makes a new one needless."""
    return stored is not None and (stored.tags, stored.content) == (template.tags, template.content)


class Announce:
    """profile: the object of the kind 0. caller: to the signer."""

    def __init__(
        self,
        link: Link,
        caller: Caller,
        bot: str,
        relays: Sequence[str],
        profile: Mapping[str, str | bool],
        courier: Courier,
    ) -> None:
        self._link, self._caller, self._bot = link, caller, bot
        self._relays, self._profile, self._courier = relays, profile, courier

    async def run(self) -> None:
        """Make what is missing or has changed, and have all of it carried."""
        for wanted in own_lists(self._bot, self._relays, self._profile, int(time.time())):
            stored = await self._stored(wanted.kind)
            event = stored if says_the_same(wanted, stored) else await self._sign(wanted, stored)
            if event is not None:
                # Sent again at each start, the same bytes: a relay may have lost them.
                await self._courier.carry(
                    Delivery(event.id), [Parcel(event, None)], int(time.time())
                )  # fmt: skip

    async def _stored(self, kind: int) -> Event | None:
        wanted = Filter(authors=frozenset({self._bot}), kinds=frozenset({int(kind)}))
        return next(iter(await self._link.fetch([wanted])), None)

    async def _sign(self, wanted: Template, stored: Event | None) -> Event | None:
        patience = Patience()
        while True:
            least = stored.created_at + 1 if stored else 0
            template = replace(wanted, created_at=max(int(time.time()), least))
            try:
                answer = await self._caller.call("sign_event", json.dumps(template.to_json()))
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
            await patience.pause()
