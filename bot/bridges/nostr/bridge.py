"""Shell: the Nostr bridge put together: direct messages in, replies out."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Collection, Mapping, Sequence

import structlog

from bot.bridges.doorbell import Doorbell
from bot.bridges.incoming import Incoming
from bot.bridges.lanes import Lanes
from bot.bridges.nostr.announce import Announce
from bot.bridges.nostr.arrivals import Arrivals
from bot.bridges.nostr.contacts import Contacts
from bot.bridges.nostr.counterparts import Counterparts
from bot.bridges.nostr.courier import Courier
from bot.bridges.nostr.files import Files
from bot.bridges.nostr.forwarding import Forwarding
from bot.bridges.nostr.health import Health
from bot.bridges.nostr.inbox import Inbox
from bot.bridges.nostr.outbox import Outbox
from bot.bridges.nostr.own_inbox import OwnInbox
from bot.bridges.nostr.pool import Pool
from bot.bridges.nostr.presence import keep_present
from bot.bridges.nostr.publishing import Publishing
from bot.bridges.nostr.puppets import NETWORK
from bot.bridges.nostr.references import References
from bot.bridges.nostr.tending import Pace
from bot.bridges.nostr.visitors import Visitors
from bot.bridges.nostr.watching import Watching
from bot.bridges.pen import Pen
from bot.bridges.presence import Presence
from bot.bridges.waiting import Patience
from bot.place import Place
from bot.requests.callers import TheRouter
from bot.requests.methods import Method, table
from bot.requests.reception import Reception
from nips.key import SecretKey
from nips.nip42 import auth_template
from nips.own.roles import Roles
from nips.refusal import Refused
from relay_local.client import Caller, Link, Unanswered

AUTH_DEADLINE_S = 50.0

log = structlog.get_logger()


class Bridge:
    """Carries messages between the public relays and our groups.

    link: to the local relay, authenticated with `key`, the bridge's own. caller: from `key` to the
    signer. relays: the public relays; profile: the object of the bot's kind 0; both as in the
    signer's ceiling. local_urls: every address by which a recipient may name the local relay.
    incoming: where files are laid that people send. allowed: hosts that may be private, as in
    `destination`.
    pace: how often the public relays are looked at, where that is not as usual.
    """

    def __init__(
        self,
        link: Link,
        key: SecretKey,
        roles: Roles,
        caller: Caller,
        relays: Sequence[str],
        profile: Mapping[str, str | bool],
        local_urls: Sequence[str],
        incoming: Incoming,
        allowed: Collection[str] = (),
        pace: Pace | None = None,
    ) -> None:
        self._link, self._key, self._roles, self._caller = link, key, roles, caller
        self._relays, self._profile, self._local_urls = relays, profile, local_urls
        self._incoming, self._allowed, self._pace = incoming, allowed, pace

    async def serve(self, ready: asyncio.Event) -> None:
        """Work until cancelled. `ready` is set when the bindings are known and the public relays
        are being connected; it waits for neither signer nor grant.

        Raises Refused when the local relay denies what the bridge needs.
        """
        link, key, roles, caller = self._link, self._key, self._roles, self._caller
        health = Health(link, key)
        inbox_place, outbox_place = (
            Place(link, key, reader) for reader in ("nostr-inbox", "nostr-outbox")
        )
        counterparts = Counterparts(link, roles, inbox_place)
        own_copies: set[str] = set()
        async with (
            Pool(self._relays, self._sign_auth, self._allowed) as pool,
            Arrivals(pool, roles.bot, await health.load(), self._pace) as arrivals,
            asyncio.TaskGroup() as tasks,
        ):
            contacts = Contacts(link)
            visitors = Visitors(contacts)
            doorbell = Doorbell(
                Caller(link, key, roles.router),
                NETWORK,
                visitors.names,
                lambda: counterparts.owner,
            )
            presence = Presence(link, key, NETWORK, contacts.name_of)
            references = References(link, key.public, lambda who: presence.key_of(who).public)
            forwarding = Forwarding(
                roles.bot,
                counterparts,
                Pen(link, counterparts, presence),
                references,
                doorbell,
                Files(self._incoming, self._allowed),
                Lanes(tasks, inbox_place),
            )
            courier = Courier(link, key, pool, arrivals, contacts, self._local_urls, tasks)
            inbox = Inbox(
                link, caller, roles.bot, counterparts, forwarding, inbox_place, own_copies
            )
            outbox = Outbox(
                link,
                key,
                caller,
                roles,
                counterparts,
                presence,
                courier,
                outbox_place,
                own_copies,
            )
            watching = Watching(arrivals, Caller(link, key, roles.router))
            # What the router alone asks: its key decides, as everywhere.
            reception = Reception(
                link,
                key,
                lambda who: TheRouter(who) if who == roles.router else None,
                table(
                    [
                        Method("query", (TheRouter,), arrivals.lookup.query),
                        Method("watch", (TheRouter,), watching.watch),
                    ]
                ),
            )
            announce = Announce(link, caller, roles, self._relays, self._profile, courier)
            publishing = Publishing(link, key, roles.bot, courier, arrivals.lookup)
            own_inbox = OwnInbox(roles.bot, self._relays, contacts, arrivals, self._allowed)
            for work in (counterparts.run(), contacts.follow_local(), inbox.store(arrivals)):
                tasks.create_task(work)
            await counterparts.caught.wait()
            await contacts.caught.wait()
            ready.set()
            for work in (
                contacts.follow_public(arrivals),
                keep_present(presence, counterparts, contacts, arrivals, visitors),
                doorbell.run(),
                inbox.process(),
                outbox.run(),
                announce.run(),
                publishing.run(),
                own_inbox.run(),
                health.run(arrivals, forwarding.counts, courier),
                reception.serve(),
                watching.run(),
            ):
                tasks.create_task(work)

    async def _sign_auth(self, url: str, challenge: str) -> str | None:
        """A login to a public relay (NIP-42), by the signer; None when it may not or cannot."""
        patience = Patience()
        try:
            async with asyncio.timeout(AUTH_DEADLINE_S):
                while True:
                    template = auth_template(self._roles.bot, challenge, url, int(time.time()))
                    served = self._caller.served
                    try:
                        return await self._caller.call("sign_event", json.dumps(template.to_json()))
                    except Refused as error:
                        # At the start the grant may not be there yet.
                        log.info("login not signed; asking again", relay=url, reason=str(error))
                    await patience.pause(served)
        except (TimeoutError, Unanswered):
            log.warning("no login", relay=url, reason="the signer did not sign it in time")
            return None
