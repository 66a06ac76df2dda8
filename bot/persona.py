"""Shell: the personas: kept on the relay, known here, changed one field at a time."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from typing import Any

import structlog

from bot.author import Author, of_kinds
from nips.filter import Filter
from nips.kinds import Kind
from nips.own import persona as personas
from nips.own.persona import Persona
from nips.refusal import Malformed

NAMES_A_FILTER = 500

log = structlog.get_logger()


class Personas:
    """author: the router's pen. name: what the assistant is called as long as nobody says
    otherwise."""

    def __init__(self, author: Author, name: str) -> None:
        self._author, self._default = author, Persona(name=name)
        self._kept: dict[str | None, Persona] = {}
        self._written_at: dict[str | None, int] = {}
        self._lock = asyncio.Lock()

    async def load(self, groups: Iterable[str]) -> None:
        """Read what is kept for everywhere and for these groups (UUIDs). The router alone
        writes it, so it is read once."""
        names = [personas.D, *(personas.D_PREFIX + group for group in groups)]
        for start in range(0, len(names), NAMES_A_FILTER):
            kept = Filter(
                authors=frozenset({self._author.pubkey}),
                kinds=of_kinds(Kind.APP_DATA),
                tags={"d": frozenset(names[start : start + NAMES_A_FILTER])},
                limit=NAMES_A_FILTER,
            )
            for event in await self._author.link.fetch([kept]):
                try:
                    group, persona = personas.parse(event, self._author.pubkey)
                except Malformed as error:
                    log.warning("persona not understood", reason=str(error))
                    continue
                self._kept[group], self._written_at[group] = persona, event.created_at

    def own(self, group: str | None) -> Persona:
        """What is set for a group (its UUID), or, with None, everywhere."""
        return self._kept.get(group, Persona())

    def of(self, group: str | None) -> Persona:
        """The persona in force: the group's, over everybody's, over the name of the settings."""
        everywhere = self.own(None).over(self._default)
        return everywhere if group is None else self.own(group).over(everywhere)

    def trigger(self, group: str) -> str:
        """`@` and the name in force: what wakes it in a group without a word of its own."""
        return self.of(group).trigger

    def after(self, group: str | None, changes: Mapping[str, Any]) -> Persona:
        """The persona that would be in force after `change`. Raises Malformed."""
        wanted = self.own(group).changed(changes)
        return wanted.over(self._default if group is None else self.of(None))

    async def change(self, group: str | None, **fields: str | None) -> Persona:
        """Set fields, or take them away with None; returns the persona then in force.

        Raises Malformed where one is not what it may be, Refused when the relay takes it not.
        """
        async with self._lock:
            await self._write(group, self.own(group).changed(fields))
        return self.of(group)

    async def _write(self, group: str | None, wanted: Persona) -> None:
        # Written even where it says the same: set anew, its owner is asked anew for the profile.
        # Of two versions in one second the lower id would win: each steps forward.
        created_at = max(self._author.now_s(), self._written_at.get(group, 0) + 1)
        await self._author.require(
            personas.template(wanted, group, self._author.pubkey, created_at)
        )
        self._kept[group], self._written_at[group] = wanted, created_at
