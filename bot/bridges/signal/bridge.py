"""Shell: the Signal bridge put together: what its service received in, what is said here out."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from bot.bridges.bindings import Bindings
from bot.bridges.incoming import Incoming
from bot.bridges.signal.health import Health
from bot.bridges.signal.inward.inbound import Inbound
from bot.bridges.signal.outward.outbound import Outbound
from bot.bridges.signal.people import NETWORK
from bot.bridges.signal.service.receiving import Receiving
from bot.bridges.signal.service.rest import Service
from bot.bridges.signal.troubles import Troubles
from bot.place import Place
from nips.key import SecretKey
from nips.own.roles import Roles
from relay_local.client import Caller, Link

INBOX = "signal-inbox"


@dataclass(frozen=True, slots=True)
class Access:
    """Our account on Signal, and how its service is asked.

    url: of the service. number: in E.164. poll_s: between two polls. max_messages: of a poll, and
    so what a crash may lose. read_receipts: whether people are shown that they are read.
    """

    url: str
    number: str
    poll_s: float
    max_messages: int
    read_receipts: bool


class Bridge:
    """Carries messages between Signal and our groups.

    link: to the local relay, authenticated with `key`, the bridge's own. name: what the assistant
    is called. incoming: where files are laid that people send. data: the data folder, below which
    are the files that agents hand over.
    """

    def __init__(
        self,
        link: Link,
        key: SecretKey,
        roles: Roles,
        access: Access,
        name: str,
        incoming: Incoming,
        data: Path,
    ) -> None:
        self._link, self._key, self._roles, self._access = link, key, roles, access
        self._name, self._incoming, self._data = name, incoming, data

    async def serve(self, ready: asyncio.Event) -> None:
        """Work until cancelled. `ready` is set when the bindings are known; it waits for no service
        of Signal's, which may be away.

        Raises Refused when the local relay denies what the bridge needs.
        """
        link, key, roles, access = self._link, self._key, self._roles, self._access
        place = Place(link, key, INBOX)
        bindings = Bindings(link, roles, NETWORK, place)
        async with Service(access.url) as service, asyncio.TaskGroup() as tasks:
            receiving = Receiving(
                service,
                access.number,
                poll_s=access.poll_s,
                max_messages=access.max_messages,
            )
            troubles = Troubles(Caller(link, key, roles.router))
            inbound = Inbound(
                link,
                key,
                roles,
                service,
                access.number,
                receiving,
                bindings,
                place,
                self._incoming,
                assistant=lambda _group: self._name,
                receipts=access.read_receipts,
            )
            outbound = Outbound(
                link,
                key,
                roles,
                service,
                access.number,
                bindings,
                receiving,
                troubles,
                lambda: bindings.owner,
                lambda aci: inbound.presence.key_of(aci).public,
                inbound.aci_of,
                lambda: inbound.own_aci,
                self._data,
            )

            def counts() -> Mapping[str, int]:
                received, wrote = receiving.counts, inbound.counts
                return {
                    "forwarded": wrote.forwarded,
                    "strangers": inbound.intake.unbound.total(),
                    "ignored": inbound.intake.ignored.total() + inbound.intake.repeated,
                    "gone": wrote.gone,
                    "set_aside": wrote.set_aside + inbound.intake.unread,
                    "salvaged": received.salvaged,
                    "lost": received.lost + received.broken,
                }

            health = Health(link, key, receiving, counts, outbound.outgoing, troubles)
            tasks.create_task(bindings.run())
            await bindings.caught.wait()
            await inbound.load()
            ready.set()
            for work in (inbound.run(), outbound.run(), health.run()):
                tasks.create_task(work)
