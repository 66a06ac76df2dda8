"""Shell: public events that set tasks off: what the router waits for, heard on the public relays.

    `watch`, filters ─► REQ on each relay ─► its events, judged ─► `heard`, each once

Which task they are for, and whether it runs, the router decides. It is told of one event after
another: what comes in a flood waits, and the rest of it is dropped.
"""

from __future__ import annotations

import json
from collections import OrderedDict
from collections.abc import Iterable

import structlog

from bot.bridges.nostr.arrivals import Arrivals
from bot.bridges.waiting import Patience
from bot.requests.methods import Asked
from nips.event import Event
from nips.filter import Filter
from nips.nip02 import CONTACTS
from nips.own.public_query import MAX_EVENT_BYTES
from nips.own.watch import can_be_told, is_unwatched, size_of
from nips.refusal import Malformed, Prefix, Refused, refused
from relay_local.client import Caller, Unanswered

MAX_FILTERS = 12
MAX_SEEN = 20_000
DEADLINE_S = 30.0
MAX_TELLS = 5  # of one event, to a router that does not answer

log = structlog.get_logger()


class Watching:
    """router: from the bridge's key to the router's."""

    def __init__(self, arrivals: Arrivals, router: Caller) -> None:
        self._arrivals, self._router = arrivals, router
        self._filters: tuple[Filter, ...] = ()
        self._seen: OrderedDict[str, None] = OrderedDict()

    async def watch(self, asked: Asked) -> str:
        """`[filters]`, a JSON array, in the place of those before. Raises Refused."""
        (text,) = asked.take(1, 1, "an array of filters")
        try:
            filters = checked(json.loads(text))
        except (Malformed, ValueError, RecursionError) as error:
            raise refused(Prefix.INVALID, str(error)) from error
        self._filters = filters
        await self._arrivals.watch([one.to_json() for one in filters])
        log.info("public events are watched for", filters=len(filters))
        return "watching"

    async def run(self) -> None:
        """Tell the router of what comes, until cancelled."""
        async for event in self._arrivals.watched():
            if event.id not in self._seen and is_wanted(self._filters, event):
                self._seen[event.id] = None
                while len(self._seen) > MAX_SEEN:
                    self._seen.popitem(last=False)
                await self._tell(event)

    async def _tell(self, event: Event) -> None:
        text = json.dumps(event.to_json(), separators=(",", ":"), ensure_ascii=False)
        patience = Patience()
        for _ in range(MAX_TELLS):
            served = self._router.served
            try:
                await self._router.call("heard", text, deadline_s=DEADLINE_S)
            except Unanswered:
                log.warning("the router does not answer; again", event_id=event.id)
            except Refused as error:
                if error.refusal.prefix is not Prefix.RATE_LIMITED:
                    log.warning("not taken", event_id=event.id, reason=str(error))
                    return
            else:
                return
            await patience.pause(served)
        # It is asked for again at the next start, as far back as the router then says.
        self._seen.pop(event.id, None)


def is_wanted(filters: Iterable[Filter], event: Event) -> bool:
    """Say whether an event is one that was asked for. Attack: a relay answers with what it likes:
    with what nobody waits for, with words that their author has not said, with a megabyte."""
    if not any(wanted.matches(event) for wanted in filters):
        return False
    # Whom somebody follows is a longer list than anything that sets a task off.
    if event.kind != CONTACTS and size_of(event) > MAX_EVENT_BYTES:
        return False
    if not can_be_told(event):
        return False
    try:
        event.verify()
    except Malformed:
        return False
    return True


def checked(given: object) -> tuple[Filter, ...]:
    if not isinstance(given, list) or len(given) > MAX_FILTERS:
        raise Malformed(f"at most {MAX_FILTERS} filters are watched for")
    filters = tuple(map(Filter.from_json, given))
    for one in filters:
        kinds = one.kinds or frozenset()
        if not kinds or any(is_unwatched(kind) for kind in kinds - {CONTACTS}):
            raise Malformed("a filter names kinds, and no private one")
        if one.after_seq is not None or one.search is not None or one.ids is not None:
            raise Malformed("a filter has kinds, authors, tags and a time")
    return filters
