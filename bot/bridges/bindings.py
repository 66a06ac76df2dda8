"""Shell: which people of one network are bound to which group, and who the owner is, as the relay
says now.

What came from somebody who was not bound leaves nothing behind that says so. So the place of the
inbox, which reads by the bindings, is written before one changes: a bridge that is killed then does
not judge it anew. What comes after a binding waits until it is known: `steady`.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

import structlog

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
    """A binding and the id of the event that says so. network: of the bridge that asks."""

    binding: Binding
    event_id: str
    network: str

    @property
    def people(self) -> tuple[str, ...]:
        """The ids of its counterparts on the network, the one answered by default first."""
        parts = (each.partition(":") for each in self.binding.counterparts)
        return tuple(id_ for network, _, id_ in parts if network == self.network)


def bound_by(event: Event, router: str, network: str) -> Bound | None:
    """What a binding of the router's says; None for any other event. Raises Malformed."""
    if event.pubkey != router or not (event.tag("d") or "").startswith(binding.D_PREFIX):
        return None
    return Bound(binding.parse(event, router), event.id, network)


class Bindings:
    """A live view of the router's bindings. `caught` is set once all of them are known.

    inbox: the place of who reads by it.
    """

    def __init__(self, link: Link, roles: Roles, network: str, inbox: Place | None = None) -> None:
        self._link = link
        self._roles = roles
        self._network = network
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

    def groups(self) -> dict[str, Bound]:
        """Every bound group of which messages are taken, by its UUID, as of now."""
        return {group: b for group, b in self._bound.items() if not b.binding.archived}

    def every_group(self) -> dict[str, Bound]:
        """The same, and the archived ones."""
        return dict(self._bound)

    @property
    def change(self) -> asyncio.Event:
        """Set at the next change of bindings or owner. Take it before looking, then wait."""
        return self._change

    def _learn(self, event: Event) -> None:
        try:
            if event.pubkey == self._roles.signer:
                self._paired = pairing.parse(event, self._roles.signer)
            elif found := bound_by(event, self._roles.router, self._network):
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
