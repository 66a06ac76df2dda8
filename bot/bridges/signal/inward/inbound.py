"""Shell: the inward half of the Signal bridge put together."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterable, Callable, Mapping, Sequence
from typing import Any

from bot.bridges.bindings import Bindings
from bot.bridges.doorbell import Doorbell
from bot.bridges.incoming import Incoming
from bot.bridges.lanes import Lanes
from bot.bridges.pen import Counts, Pen
from bot.bridges.presence import Presence
from bot.bridges.signal.account import Account
from bot.bridges.signal.addresses import is_group_id
from bot.bridges.signal.inward.files import Files
from bot.bridges.signal.inward.forwarding import Forwarding
from bot.bridges.signal.inward.inbox import Inbox, Intake
from bot.bridges.signal.inward.known import Known
from bot.bridges.signal.inward.messages import Messages
from bot.bridges.signal.inward.receipts import Receipts
from bot.bridges.signal.inward.references import References
from bot.bridges.signal.inward.visitors import Visitors
from bot.bridges.signal.people import NETWORK, pseudonyms
from bot.bridges.signal.service.rest import Service
from bot.place import Place
from nips.key import SecretKey
from nips.own.roles import Roles
from relay_local.client import Caller, Link


class Inbound:
    """Carries what the Signal service gives out into our groups.

    link: to the local relay, authenticated with `key`, the bridge's own. number: ours. batches: of
    items, in the order in which the service gave them out; no other is asked for before one is
    written down. bindings: of the network `signal`, run by whoever made them; place: the one that
    they save, called `signal-inbox`. incoming: where files are laid that people send. assistant:
    what we are called in a group (its UUID). receipts: whether people are shown that they are read.
    """

    def __init__(
        self,
        link: Link,
        key: SecretKey,
        roles: Roles,
        service: Service,
        number: str,
        batches: AsyncIterable[Sequence[Mapping[str, Any]]],
        bindings: Bindings,
        place: Place,
        incoming: Incoming,
        *,
        assistant: Callable[[str], str],
        receipts: bool,
    ) -> None:
        self._link, self._key, self._roles = link, key, roles
        self._service, self._batches = service, batches
        self._bindings, self._place, self._assistant = bindings, place, assistant
        self._account = Account(number)
        self._known = Known(link, key, lambda aci: self.presence.key_of(aci).public)
        self.presence = Presence(link, key, NETWORK, self._known.name_of)
        self._pen = Pen(link, bindings, self.presence)
        self._visitors = Visitors()
        self._doorbell = Doorbell(
            Caller(link, key, roles.router), NETWORK, self._visitors.names, lambda: None
        )
        self._references = References(
            link,
            key.public,
            self._account,
            self._known,
            lambda aci: self.presence.key_of(aci).public,
        )
        self._files = Files(service, incoming)
        self._receipts = Receipts(service, number, enabled=receipts)
        self.intake = Intake()

    @property
    def own_aci(self) -> str | None:
        """Our ACI; None until it is known."""
        return self._account.aci

    @property
    def counts(self) -> Counts:
        """What became of what was given out."""
        return self._pen.counts

    def aci_of(self, puppet: str) -> str | None:
        """Whose puppet it is (its key in hex); None for any other key, and before `load`."""
        return self._known.aci_of(puppet)

    async def load(self) -> None:
        """Know whom we knew before: to be awaited before `run`, and before `aci_of` is asked."""
        await self._known.load()
        await self.presence.remember()

    async def run(self) -> None:
        """Work until cancelled. The bindings are to be caught. Raises Refused when the local relay
        denies what is needed."""
        async with asyncio.TaskGroup() as tasks:
            lanes = Lanes(tasks, self._place)
            messages = Messages(
                self._roles.bot,
                self._account,
                self._pen,
                self._known,
                self._references,
                self._files,
                lanes,
                self._assistant,
            )
            forwarding = Forwarding(
                self._roles.main,
                self._bindings,
                self.presence,
                self._pen,
                self._known,
                self._references,
                messages,
                self._receipts,
                pseudonyms(self._key),
            )
            inbox = Inbox(
                self._link,
                self._key,
                self._account,
                self._bindings,
                forwarding,
                self._pen,
                lanes,
                self._place,
                self._doorbell,
                self._visitors,
                self.intake,
            )
            for work in (
                inbox.process(),
                inbox.store(self._batches),
                self._keep_present(),
                self._account.ask(self._service),
                self._doorbell.run(),
                self._receipts.run(),
            ):
                tasks.create_task(work)

    async def _keep_present(self) -> None:
        """Keep the puppets of those who are bound, and of those who spoke in a bound group of
        Signal's, and of nobody else, until cancelled."""
        while True:
            change = self._bindings.change
            for bound in self._bindings.groups().values():
                for one in bound.people:
                    if not is_group_id(one):
                        await self.presence.ready(bound, one)
            await self.presence.remove_all_but({
                group: None if any(map(is_group_id, bound.people)) else bound.people
                for group, bound in self._bindings.every_group().items()
            })  # fmt: skip
            await change.wait()
