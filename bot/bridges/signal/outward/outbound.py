"""Shell: the way out to Signal put together: what is said, what is being written, how it stands."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

from bot.bridges.bindings import Bindings
from bot.bridges.signal.health import Outgoing
from bot.bridges.signal.outward.book import Book
from bot.bridges.signal.outward.gate import Gate
from bot.bridges.signal.outward.origins import Origins
from bot.bridges.signal.outward.outbox import Outbox
from bot.bridges.signal.outward.queues import Queues
from bot.bridges.signal.outward.sender import Sender
from bot.bridges.signal.outward.steps import Steps
from bot.bridges.signal.outward.typing_signs import TypingSigns
from bot.bridges.signal.service.receiving import Receiving, State
from bot.bridges.signal.service.rest import Service
from bot.bridges.signal.troubles import Troubles
from nips.key import SecretKey
from nips.own.roles import Roles
from relay_local.client import Link


class Outbound:
    """Carries what is said in our groups to the people bound to them.

    link: to the local relay, authenticated with `key`, the bridge's own. account: our number.
    bindings: `caught` before `run`. receiving: tells when the service is there. owner: their key in
    hex, None while nobody is. puppet_of: gives the puppet's key in hex of an ACI; aci_of: the other
    way, None where it is not known. own_aci: ours, None while it is not known. data: the folder
    below which the router keeps files that agents hand over.
    """

    def __init__(
        self,
        link: Link,
        key: SecretKey,
        roles: Roles,
        service: Service,
        account: str,
        bindings: Bindings,
        receiving: Receiving,
        troubles: Troubles,
        owner: Callable[[], str | None],
        puppet_of: Callable[[str], str],
        aci_of: Callable[[str], str | None],
        own_aci: Callable[[], str | None],
        data: Path,
    ) -> None:
        def is_there() -> bool:
            return receiving.health.state is State.LISTENING

        def speaks(author: str) -> bool:
            return author in (roles.bot, roles.router, owner())

        book = Book(link, key)
        origins = Origins(link, book, account, speaks, own_aci, aci_of)
        steps = Steps(link, origins, service, account, roles, owner, data)
        self._gate = Gate()
        self._signs = TypingSigns(link, service, account, roles, bindings, is_there)
        self._sender = Sender(
            link,
            book,
            bindings,
            steps,
            self._gate,
            troubles,
            account,
            lambda: origins.ourselves,
            lambda: receiving.change,
            self._signs.end,
        )
        self._outbox = Outbox(link, key, roles, bindings, book, origins, owner, puppet_of)
        self._queues: Queues | None = None

    def outgoing(self) -> Outgoing:
        """What is on its way now, and what of all that was ever sent ended otherwise than well."""
        ended = self._sender.ended
        pending = len(self._queues) if self._queues else 0
        return Outgoing(pending, ended.uncertain, ended.failed)

    async def run(self) -> None:
        """Work until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            self._queues = Queues(tasks, self._sender.send)
            tasks.create_task(self._signs.run())
            tasks.create_task(self._outbox.run(self._queues, self._sender.ended))
