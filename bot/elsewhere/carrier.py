"""Shell: the main conversation on another relay too, as a group (NIP-29) there.

    their 9, 40002 ─► verified ─► private relay, unchanged          what the assistant reads
    bot's and router's 9, 7 on the private relay ─► there, unchanged   what it answers

Jobs, grants, signing and containers stay on the private relay: another one has no once-keys, no
arrival order, no sockets for sessions, and its keeper reads what is there. It has no `after_seq`
either, so what is there is fetched for some days back, and what has been handled is subtracted: by
the private relay, which knows every id for good. So a crash on either side repeats nothing.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import replace
from hashlib import sha256
from secrets import token_bytes

import httpx
import orjson
import structlog

from bot.elsewhere.offer import keeper, lacks, unfit
from bot.place import Place, follow
from nips import nip11, nip29
from nips.event import Event
from nips.filter import Filter
from nips.key import SecretKey
from nips.kinds import Kind
from nips.nip29 import GroupRole, Metadata
from nips.own.roles import Roles
from nips.refusal import Malformed, Prefix, Refusal, Refused
from relay_local.client import Caught, Delivery, Link, Unanswered

SPOKEN = frozenset({int(Kind.CHAT), int(Kind.BUZZ_CHAT)})
ANSWERED = frozenset({int(Kind.CHAT), int(Kind.REACTION)})
DAYS_BACK_S = 3 * 86_400
PAGE_EVENTS = 500
MAX_HANDLED = 50_000
MAX_DOCUMENT_BYTES = 65_536
OFFER_DEADLINE_S, ANSWER_DEADLINE_S = 15.0, 30.0
AGAIN_S = 30.0
SILENT = "it says nothing of itself (NIP-11)"
FIRST_PAUSE_S, LONGEST_PAUSE_S = 2.0, 15.0
_PASSING = frozenset({Prefix.ERROR, Prefix.RATE_LIMITED, Prefix.AUTH_REQUIRED})

log = structlog.get_logger()


class Unfit(Exception):
    """The relay, or the group on it, cannot hold the conversation; the sentence says why."""


class Carrier:
    """inside: to the private relay, with `key`, the router's. outside: to the other one at `url`,
    with the same key and the bot's login.
    say: shows a sentence at the terminal."""

    def __init__(
        self,
        inside: Link,
        outside: Link,
        key: SecretKey,
        roles: Roles,
        url: str,
        say: Callable[[str], None],
    ) -> None:
        self._inside, self._outside, self._key, self._roles = inside, outside, key, roles
        self._url, self._say = url, say
        self._said = ""
        self._handled: set[str] = set()
        self._read = Place(inside, key, "elsewhere-in")
        self._written = Place(inside, key, "elsewhere-out")

    async def serve(self, owner: str) -> None:
        """Carry both ways until cancelled. A relay that does not fit is tried again later.

        Attack: a relay that refuses what it took before ends this, and nothing else of the bot.
        """
        while True:
            await self._until_fit(owner)
            self._tell(f"The conversation is on {self._url} too, as the group {self._roles.main}.")
            try:
                async with asyncio.TaskGroup() as tasks:
                    tasks.create_task(self._inward())
                    tasks.create_task(self._outward())
            except* Refused as refusals:
                self._tell(f"The conversation is not on {self._url} now: {refusals.exceptions[0]}.")
            await asyncio.sleep(AGAIN_S)

    async def _until_fit(self, owner: str) -> None:
        pause_s = FIRST_PAUSE_S
        while True:
            try:
                await self._check(owner)
            except (Unfit, Refused, Unanswered) as error:
                self._tell(f"The conversation cannot be on {self._url}: {error}.")
            except (httpx.HTTPError, TimeoutError) as error:
                log.info("the other relay is away", relay=self._url, reason=str(error))
            else:
                return
            await asyncio.sleep(pause_s)
            pause_s = min(2 * pause_s, LONGEST_PAUSE_S)

    async def _check(self, owner: str) -> None:
        document = await _information(self._url)
        if missing := lacks(document):
            raise Unfit(missing)
        async with asyncio.timeout(ANSWER_DEADLINE_S):
            await self._outside.connected()
            reason = unfit(await self._state(), self._roles, keeper(document))
            if reason is not None:
                await self._make_group(owner)
                reason = unfit(await self._state(), self._roles, keeper(document))
        if reason is not None:
            raise Unfit(reason)

    async def _state(self) -> list[Event]:
        kinds = (Kind.GROUP_METADATA, Kind.GROUP_MEMBERS)
        wanted = [
            Filter(kinds=frozenset({int(kind)}), tags={"d": frozenset({self._roles.main})})
            for kind in kinds
        ]
        try:
            found = await self._outside.fetch(wanted)
        except Refused as error:  # to who is no member, a relay may say that there is nothing
            log.info("not shown elsewhere", reason=str(error))
            return []
        return [event for event in found if _is_verified(event)]

    async def _make_group(self, owner: str) -> None:
        """Try to make what is missing; where the relay has its own ideas its state says so."""
        router, main, now_s = self._key.public, self._roles.main, int(time.time())
        shut = Metadata("main", None, frozenset({"private", "closed"}))
        for template in (
            nip29.create_group(router, main, now_s),
            nip29.edit_metadata(router, main, shut, now_s),
            nip29.put_user(router, main, owner, [GroupRole.OWNER], now_s),
            nip29.put_user(router, main, self._roles.bot, [GroupRole.MEMBER], now_s),
            nip29.put_user(router, main, router, [GroupRole.ADMIN], now_s),
        ):
            ok = await self._outside.publish(template.sign(self._key, token_bytes(32)))
            if ok.refusal:
                log.info("not done elsewhere", kind=template.kind, reason=str(ok.refusal))

    # What is said there

    async def _inward(self) -> None:
        epoch = sha256(self._url.encode()).hexdigest()[:32]  # a place there is unix seconds
        known = await self._read.load()
        mark_s = known[1] if known and known[0] == epoch else int(time.time())
        spoken = Filter(kinds=SPOKEN, tags={"h": frozenset({self._roles.main})})
        live = replace(spoken, limit=1)
        async with self._outside.subscribe([live]) as stream:
            async for item in stream:
                match item:
                    case Delivery(event, _):
                        await self._take(event)
                    case Caught():
                        caught_s = int(time.time())
                        for event in await self._since(spoken, max(0, mark_s - DAYS_BACK_S)):
                            await self._take(event)
                        mark_s = caught_s
                        self._read.advance(epoch, mark_s)

    async def _since(self, spoken: Filter, since: int) -> list[Event]:
        """All that was said since then, the oldest first, page by page."""
        found: dict[str, Event] = {}
        until: int | None = None
        while True:
            page = await self._outside.fetch(
                [replace(spoken, since=since, until=until, limit=PAGE_EVENTS)]
            )
            news = [event for event in page if event.id not in found]
            found |= {event.id: event for event in news}
            if not page:
                break
            oldest = min(event.created_at for event in page)
            # NIP-01: until is inclusive; a page without news has shown its whole second.
            until = oldest if news else oldest - 1
            if until < since:
                break
        return sorted(found.values(), key=lambda event: (event.created_at, event.id))

    async def _take(self, event: Event) -> None:
        ours = event.pubkey in (self._roles.bot, self._key.public)
        if event.id in self._handled or ours or event.values("h") != [self._roles.main]:
            return
        # Attack: a relay that invents what its people say.
        if not _is_verified(event):
            log.warning("what the other relay sent is nobody's", relay=self._url, event_id=event.id)
            return
        refusal = await self._publish(self._inside, event)
        if len(self._handled) >= MAX_HANDLED:
            self._handled.clear()  # the private relay knows them
        self._handled.add(event.id)
        if refusal is not None:
            log.info("not taken from elsewhere", event_id=event.id, reason=str(refusal))

    # What is answered

    async def _outward(self) -> None:
        # What was said before the other relay was named is not shown there.
        first = await self._written.load() is None
        began_s = int(time.time()) if first else 0
        answered = Filter(
            kinds=ANSWERED,
            authors=frozenset({self._roles.bot, self._key.public}),
            tags={"h": frozenset({self._roles.main})},
        )
        async for item in follow(self._inside, [answered], self._written):
            if not isinstance(item, Delivery) or item.event.created_at < began_s:
                continue
            refusal = await self._publish(self._outside, item.event)
            if refusal is not None:
                self._tell(f"An answer could not be put on {self._url}: {refusal}")

    async def _publish(self, link: Link, event: Event) -> Refusal | None:
        """Publish until it is decided; the last refusal, or None when it is there."""
        pause_s = FIRST_PAUSE_S
        while True:
            refusal = (await link.publish(event)).refusal
            if refusal is None or refusal.prefix not in _PASSING:
                return refusal
            await asyncio.sleep(pause_s)
            pause_s = min(2 * pause_s, LONGEST_PAUSE_S)

    def _tell(self, words: str) -> None:
        if words != self._said:
            self._said = words
            log.info("elsewhere", words=words)
            self._say(words)


async def _information(url: str) -> dict[str, object]:
    """The relay's NIP-11 document. Raises httpx.HTTPError when it is away, Unfit for nonsense."""
    address = "http" + url.removeprefix("ws")
    try:
        async with (
            httpx.AsyncClient(timeout=OFFER_DEADLINE_S, trust_env=False) as client,
            client.stream("GET", address, headers={"Accept": nip11.MEDIA_TYPE}) as response,
        ):
            text = b""
            async for part in response.aiter_bytes():
                text += part
                if len(text) > MAX_DOCUMENT_BYTES:
                    raise Unfit("what it says of itself (NIP-11) is too long")
    except httpx.RemoteProtocolError as error:  # somebody is there, and does not answer HTTP
        raise Unfit(SILENT) from error
    try:
        document = orjson.loads(text)
    except orjson.JSONDecodeError:
        document = None
    if not isinstance(document, dict):
        raise Unfit(SILENT)
    return document


def _is_verified(event: Event) -> bool:
    try:
        event.verify()
    except Malformed:
        return False
    return True
