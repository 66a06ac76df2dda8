"""Shell: what the router remembers of lately, so that a message can be judged by what it answers.

Nothing here has to survive: what is not remembered is asked of the relay. So a decision costs no
question for most messages, and one for an answer to something old.
"""

from __future__ import annotations

from collections import OrderedDict
from datetime import UTC, tzinfo
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import structlog

from bot.groups import Group
from bot.routing import MESSAGE_KINDS, Around, is_by_agent, is_of_the_house
from nips.event import Event
from nips.filter import Filter
from nips.key import is_hex
from nips.own.binding import Quiet
from nips.own.roles import Roles
from relay_local.client import Link

MAX_REMEMBERED = 20_000  # messages; about 3 MB
MAX_NAMED = 10  # ids that one message may make us look up
LAST_MESSAGES = 100  # of a group, in which the last person to have spoken is looked for

log = structlog.get_logger()


class Recollection:
    """`around` before a message is judged, `note` after it; both in order of arrival.

    link: authenticated as the router.
    """

    def __init__(self, link: Link, roles: Roles) -> None:
        self._link, self._roles = link, roles
        self._ours: OrderedDict[str, bool] = OrderedDict()  # message to whether the house wrote it
        self._agents_in_a_row: dict[str, int] = {}  # by group; not there: not looked up yet

    async def around(
        self, event: Event, group: Group | None, *, name: str, owners: frozenset[str], now_s: int
    ) -> Around:
        """What `routing.route` needs besides the message and its group; the arguments are as
        `Around` has them."""
        binding = None if group is None else group.binding
        if group is None or binding is None or is_of_the_house(event.pubkey, self._roles):
            return Around(now_s, name, owners)
        answered = _ids(event, "e", "q") if binding.trigger is not None else []
        return Around(
            now_s,
            name,
            owners,
            zone=_zone(binding.quiet),
            answers_us=await self._any_of_ours(answered, group.id),
            echoes_us=await self._any_of_ours(_ids(event, "proxy"), group.id, ask=False),
            agents_before=(
                await self._agents_before(event, group)
                if binding.agents and is_by_agent(event, group)
                else 0
            ),
        )

    def note(self, event: Event, group: Group | None) -> None:
        """Remember a message that arrived."""
        ours = is_of_the_house(event.pubkey, self._roles)
        self._remember(event.id, ours)
        if ours or group is None:
            return
        if not is_by_agent(event, group):
            self._agents_in_a_row[group.id] = 0
        elif group.id in self._agents_in_a_row:
            self._agents_in_a_row[group.id] += 1

    async def _any_of_ours(self, ids: list[str], group: str, *, ask: bool = True) -> bool:
        if any(self._ours.get(one) for one in ids):
            return True
        unknown = frozenset(one for one in ids if one not in self._ours)
        if not unknown or not ask:
            return False
        wanted = Filter(
            ids=unknown,
            authors=frozenset({self._roles.bot, self._roles.router}),
            kinds=frozenset(map(int, MESSAGE_KINDS)),
            tags={"h": frozenset({group})},
        )
        found = {event.id for event in await self._link.fetch([wanted])}
        for one in unknown:
            self._remember(one, one in found)
        return bool(found)

    async def _agents_before(self, event: Event, group: Group) -> int:
        if group.id not in self._agents_in_a_row:
            wanted = Filter(
                kinds=frozenset(map(int, MESSAGE_KINDS)),
                tags={"h": frozenset({group.id})},
                limit=LAST_MESSAGES,
            )
            said = [one for one in await self._link.fetch([wanted]) if one.id != event.id]
            self._agents_in_a_row[group.id] = agents_in_a_row(said, group, self._roles)
        return self._agents_in_a_row[group.id]

    def _remember(self, message: str, ours: bool) -> None:
        self._ours[message] = ours
        self._ours.move_to_end(message)
        while len(self._ours) > MAX_REMEMBERED:
            self._ours.popitem(last=False)


def agents_in_a_row(said: list[Event], group: Group, roles: Roles) -> int:
    """How many messages of agents stand after the last one of a person; the house's own count
    for neither."""
    found = 0
    for event in sorted(said, key=lambda one: one.created_at, reverse=True):
        if is_of_the_house(event.pubkey, roles):
            continue
        if not is_by_agent(event, group):
            return found
        found += 1
    return found


def _ids(event: Event, *names: str) -> list[str]:
    """Ids that tags of these names hold; a few, whatever an event is full of."""
    found = (tag[1] for tag in event.tags if tag[0] in names and len(tag) > 1)
    return [one for one in dict.fromkeys(found) if is_hex(one, 32)][:MAX_NAMED]


def _zone(quiet: Quiet | None) -> tzinfo:
    if quiet is not None:
        try:
            return ZoneInfo(quiet.zone)  # read from the disk once
        except (ZoneInfoNotFoundError, ValueError, OSError):
            log.error("zone unknown, UTC taken", zone=quiet.zone, remedy="install tzdata")
    return UTC
