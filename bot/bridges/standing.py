"""Shell: who is bound to which group, as of the place of who reads what is said there.

What was said before a binding is not for those whom it names. A bridge that starts again finds the
newest bindings only; so who was bound is written down whenever it changes for the reader.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import replace
from secrets import token_bytes

import structlog

from bot.bridges.bindings import Bound
from bot.bridges.waiting import Patience
from bot.place import Place
from nips.filter import Filter
from nips.key import SecretKey
from nips.kinds import Kind
from nips.own import bound as records
from nips.refusal import Malformed
from relay_local.client import Link

log = structlog.get_logger()


class Standing:
    """key: the bridge's, which signs. place: the reader's; reader: its name."""

    def __init__(self, link: Link, key: SecretKey, network: str, place: Place, reader: str) -> None:
        self._link, self._key, self._network = link, key, network
        self._place, self._reader = place, reader
        self._bound: dict[str, Bound] = {}
        self._known: dict[str, tuple[str, ...]] = {}
        self._created_at = 0

    async def load(self, now: Mapping[str, Bound]) -> None:
        """Begin as of the place. now: the bindings of every group as they are."""
        wanted = Filter(
            authors=frozenset({self._key.public}),
            kinds=frozenset({int(Kind.APP_DATA)}),
            tags={"d": frozenset({records.D_PREFIX + self._reader})},
        )
        for event in await self._link.fetch([wanted]):
            self._created_at = max(self._created_at, event.created_at)
            try:
                self._known = records.parse(event)
            except Malformed as error:
                log.error("who was bound is not understood", reason=str(error))
        # Of a binding that has changed since, the rest counts as it is; whoever it names anew has
        # to wait until the reader comes to it.
        for group, bound in now.items():
            known = self._known.get(group, ())
            still = tuple(one for one in bound.binding.counterparts if one in known)
            self._bound[group] = replace(bound, binding=replace(bound.binding, counterparts=still))

    def of(self, group: str) -> Bound | None:
        """What a group is bound to, for whoever reads at the place."""
        return self._bound.get(group)

    async def learn(self, found: Bound) -> None:
        """Take a binding that the reader has come to."""
        group = found.binding.group
        people = tuple(f"{self._network}:{person}" for person in found.people)
        if people != self._known.get(group, ()):
            # Before it counts: a bridge that is killed now does not judge anew what was said
            # before, and comes to this binding again.
            await self._place.save()
            self._known = {**self._known, group: people}
            await self._write()
        self._bound[group] = found

    async def _write(self) -> None:
        kept = {group: people for group, people in self._known.items() if people}
        patience = Patience()
        while True:
            # Two versions in one second tie and the lower id wins: each steps forward.
            self._created_at = max(int(time.time()), self._created_at + 1)
            template = records.template(self._reader, kept, self._key.public, self._created_at)
            ok = await self._link.publish(template.sign(self._key, token_bytes(32)))
            if ok.refusal is None:
                return
            log.error("who was bound is not written", reason=ok.message)
            await patience.pause()
