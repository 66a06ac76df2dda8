"""Shell: `trouble`: a bridge tells of what it cannot manage by itself, and the owner is told once.

What was told is looked for on the relay, so it is told once over restarts too. So many are told a
day for each network; that something has returned is told whenever it was told to be away.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from bot.author import Author, of_kinds
from bot.groups import Group
from bot.notice import notice
from bot.requests.asking import name_of
from bot.requests.callers import Bridge
from bot.requests.methods import Asked
from bot.trouble import ABOUT_A_MESSAGE, NETWORKS, Trouble, read, sentence
from nips.event import Event, Tag
from nips.filter import Filter
from nips.kinds import Kind
from nips.nip29 import GroupRole
from nips.nip40 import expiration, expiration_tag
from nips.own.once import once_key
from nips.own.roles import Roles
from nips.refusal import Malformed, Prefix, refused

MAX_TOLD_A_DAY = 20
DAY_S = 86_400
TOPIC = "trouble/"  # of the `t` tag by which they are found, before the network's name


class TroubleRequests:
    """groups: gives a group by its id."""

    def __init__(self, author: Author, roles: Roles, groups: Callable[[str], Group | None]) -> None:
        self._author, self._roles, self._groups = author, roles, groups
        self._lock = asyncio.Lock()

    async def trouble(self, asked: Asked) -> str:
        """`[network, topic, detail, why]`: as `bot.trouble` has them. Returns `told`, `known`
        where there is nothing new to tell, `full` where no more is told today. A bridge's."""
        network, topic, detail, why = asked.take(2, 4, "a network, a topic, a detail and why")
        # Attack: the bridge of one network makes up troubles of another.
        assert isinstance(asked.caller, Bridge)
        if network != asked.caller.name:
            raise refused(Prefix.RESTRICTED, "a bridge tells of its own network only")
        now_s = self._author.now_s()
        found = read(network, topic, detail, why, now_s)
        words, ends_s = await self._words(found)
        async with self._lock:
            return await self._tell(found, words, ends_s, now_s)

    async def _words(self, found: Trouble) -> tuple[str, int | None]:
        """What the owner is told, and until when (unix seconds): it repeats a message's words."""
        if found.topic not in ABOUT_A_MESSAGE:
            return sentence(found), None
        for event in await self._author.link.fetch([Filter(ids=frozenset({found.detail}))]):
            group = self._groups(event.tag("h") or "")
            if group is not None and _goes_out(event, group, found.network):
                words = sentence(found, name_of(group, self._roles.main), event.content)
                # Attack: words that disappear in their conversation stay for good in main.
                return words, expiration(event.tags)
        # Attack: what was said in another conversation is shown as what has got lost.
        raise Malformed("nothing of that id was to go there")

    async def _tell(self, found: Trouble, words: str, ends_s: int | None, now_s: int) -> str:
        if await self._was_told(found):
            return "known"
        if found.topic == "back":
            if not await self._was_told(Trouble(found.network, "away", found.detail)):
                return "known"  # nothing is back of which nobody knows that it was away
        elif await self._told_today(found.network, now_s) >= MAX_TOLD_A_DAY:
            await self._say_full(found.network, now_s)
            return "full"
        about: list[Tag] = [("t", TOPIC + found.network)]
        about += [expiration_tag(ends_s)] if ends_s is not None else []
        await self._author.require(notice(self._roles, found.once, words, about, now_s=now_s))
        return "told"

    async def _was_told(self, found: Trouble) -> bool:
        said = Filter(
            authors=frozenset({self._author.pubkey}),
            kinds=of_kinds(Kind.CHAT),
            tags={"o": frozenset({once_key(*found.once)})},
        )
        return bool(await self._author.link.fetch([said]))

    async def _told_today(self, network: str, now_s: int) -> int:
        said = Filter(
            authors=frozenset({self._author.pubkey}),
            kinds=of_kinds(Kind.CHAT),
            tags={"t": frozenset({TOPIC + network})},
            since=now_s - now_s % DAY_S,
        )
        return len(await self._author.link.fetch([said]))

    async def _say_full(self, network: str, now_s: int) -> None:
        words = (
            f"⚠️ There is more trouble with {NETWORKS[network]} than I tell of in a day "
            f"({MAX_TOLD_A_DAY}). On the machine, this shows how it is: nostrclaw signal status"
        )
        once = ("trouble-full", network, str(now_s // DAY_S))
        await self._author.publish(notice(self._roles, once, words, now_s=now_s))


def _goes_out(event: Event, group: Group, network: str) -> bool:
    people = group.binding.counterparts if group.binding else ()
    is_said = event.kind in (Kind.CHAT, Kind.BUZZ_CHAT, Kind.REACTION)
    # Attack: a bridge that was taken over has its own puppet's words repeated by us in main.
    is_brought = group.has(event.pubkey, GroupRole.PUPPET)
    is_bound = any(one.startswith(f"{network}:") for one in people)
    return is_said and is_bound and not is_brought
