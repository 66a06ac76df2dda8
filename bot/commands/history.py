"""Shell: what the relay's own events tell: runs, public relays, who people are."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from bot import address
from bot.author import Author, of_kinds
from bot.commands.facts import RelayFacts, RelaysFacts, SetAsideFacts, SignalFacts
from bot.commands.run_index import RunIndex
from bot.commands.runs import Run, fold
from bot.commands.signal_facts import facts_of
from bot.jobs import JOB_KINDS
from nips.event import Event
from nips.filter import Filter
from nips.kinds import Kind
from nips.own.roles import Roles

MAX_NAME_CHARS = 40
EVENTS_A_RUN = 64
SAME_SECOND = 500  # runs that began in one
HEALTH_D = "health"


class History:
    """author: the router's pen, which reads everything. owner: in hex. index: of its runs."""

    def __init__(self, author: Author, roles: Roles, owner: str) -> None:
        self.index = RunIndex(author)
        self._author, self._roles, self._owner = author, roles, owner

    # Runs

    async def last_runs(
        self, count: int, group: str | None = None, task: str | None = None
    ) -> list[Run]:
        """The newest runs, of one group (id), one task (address) or of all, the newest first."""
        requests = await self._requests(count, group=group, task=task)
        if len(requests) == count:
            # Of one second the relay gives the lowest ids; those that came last are wanted.
            at_s = requests[-1].created_at
            requests += await self._requests(SAME_SECOND, group=group, task=task, at_s=at_s)
        await self.index.fill()
        found = {event.id: event for event in requests}.values()
        newest = sorted(found, key=lambda one: (-one.created_at, -self.index.number(one.id)))
        return await self._runs_of(newest[:count])

    async def run(self, beginning: str) -> Run | None:
        """The run whose id begins like this (4 to 64 hex digits): the newest of them."""
        found = beginning if len(beginning) == 64 else await self.index.find(beginning)
        if found is None:
            return None
        runs = await self._runs_of(await self._requests(1, ids=frozenset({found})))
        return runs[0] if runs else None

    async def _requests(
        self,
        count: int,
        *,
        group: str | None = None,
        task: str | None = None,
        ids: frozenset[str] | None = None,
        at_s: int | None = None,
    ) -> list[Event]:
        named = {"h": group, "a": task}
        wanted = Filter(
            ids=ids,
            authors=frozenset({self._roles.router}),
            kinds=of_kinds(Kind.JOB_REQUEST),
            tags={tag: frozenset({value}) for tag, value in named.items() if value is not None},
            since=at_s,
            until=at_s,
            limit=count,
        )
        return await self._author.link.fetch([wanted])

    async def _runs_of(self, requests: Sequence[Event]) -> list[Run]:
        if not requests:
            return []
        about = Filter(
            # Attack: a run of which its agent, or whoever may cancel it, says so much that the
            # answer holds nothing else. Only the router's word counts.
            authors=frozenset({self._roles.router}),
            kinds=of_kinds(*JOB_KINDS),
            tags={"e": frozenset(event.id for event in requests)},
            limit=EVENTS_A_RUN * len(requests),
        )
        known = fold([*requests, *await self._author.link.fetch([about])], self._roles.router)
        return [known[event.id] for event in requests if event.id in known]

    # What they are about

    async def events(self, ids: Iterable[str]) -> Mapping[str, Event]:
        """Stored events by id."""
        wanted = frozenset(ids)
        if not wanted:
            return {}
        found = await self._author.link.fetch([Filter(ids=wanted, limit=len(wanted))])
        return {event.id: event for event in found}

    async def names(self, keys: Iterable[str]) -> Mapping[str, str]:
        """What people (keys in hex) are called: `you`, a profile's name, else the npub's ends."""
        wanted = frozenset(keys)
        if not wanted:
            return {}
        profiles = Filter(authors=wanted, kinds=of_kinds(Kind.PROFILE), limit=len(wanted))
        called = {event.pubkey: _name(event) for event in await self._author.link.fetch([profiles])}
        return {
            key: "you" if key == self._owner else called.get(key) or address.short(f"nostr:{key}")
            for key in wanted
        }

    # How the bridges are

    async def signal(self) -> SignalFacts | None:
        """The Signal bridge, as it last wrote itself down; None where it never did."""
        newest = await self._health("signal")
        return None if newest is None else facts_of(newest)

    async def relays(self) -> RelaysFacts:
        """The public relays, as the bridge last wrote them down."""
        newest = await self._health("nostr")
        if newest is None:
            return RelaysFacts((), None, {})
        content = json.loads(newest.content)
        wraps = dict(content["wraps"])
        aside = wraps.pop("last_set_aside", [])
        outgoing = content.get("outgoing", {})
        return RelaysFacts(
            tuple(_relay(url, known) for url, known in content["relays"].items()),
            newest.created_at,
            wraps,
            tuple(SetAsideFacts(one["id"], _line(one["reason"]), one["at"]) for one in aside),
            outgoing.get("pending", 0),
            outgoing.get("no_list", 0),
        )

    async def _health(self, network: str) -> Event | None:
        # Both bridges keep a record of this name, each its own.
        wanted = Filter(
            authors=self._roles.bridge_keys(network),
            kinds=of_kinds(Kind.APP_DATA),
            tags={"d": frozenset({HEALTH_D})},
        )
        found = await self._author.link.fetch([wanted])
        return max(found, key=lambda event: event.created_at, default=None)


def _relay(url: str, known: Mapping[str, Any]) -> RelayFacts:
    return RelayFacts(
        url,
        known.get("state", "not known"),
        _line(known.get("reason", "")),
        known.get("since_s"),
        known.get("healthy_s"),
        known.get("last_event_s"),
        known.get("last_probe_s"),
        known.get("probe_ms"),
        known.get("reconnects", 0),
        known.get("accepted", 0),
        known.get("refused", 0),
        known.get("own", False),
    )


def _name(profile: Event) -> str:
    try:
        given = json.loads(profile.content).get("name")
    except (ValueError, AttributeError):
        return ""
    # Attack: a name that brings line ends, and with them a sentence of its own into our answer.
    shown = "".join(c for c in given if c.isprintable()) if isinstance(given, str) else ""
    return " ".join(shown.split())[:MAX_NAME_CHARS]


def _line(text: str) -> str:
    shown = "".join(c if c.isprintable() else " " for c in text)
    return " ".join(shown.split())[:200]
