"""Shell: people of Signal see that the assistant is at work, for as long as it is.

The router says so every three seconds (20002); Signal forgets it after about fifteen. What goes
wrong here is only logged, and nothing waits for it.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

import structlog

from bot.bridges.bindings import Bindings
from bot.bridges.signal.addresses import recipient_of
from bot.bridges.signal.service.rest import Service
from bot.bridges.signal.service.shapes import ServiceError
from bot.bridges.waiting import first_of
from nips.event import Event
from nips.filter import Filter
from nips.kinds import Kind
from nips.own.roles import Roles
from relay_local.client import Caught, Delivery, Link

REFRESH_S = 10.0
SILENT_S = 8.0
AT_ONCE = 2  # the service's program takes its time, and what is said is to come through
ENDS = frozenset({int(Kind.JOB_RESULT), int(Kind.JOB_CANCEL), int(Kind.JOB_ERROR)})

log = structlog.get_logger()


class _Sign:
    """That of one group, while it is shown. seen_s: by the loop's clock, when work was last heard
    of."""

    def __init__(self, seen_s: float) -> None:
        self.seen_s = seen_s
        self.ended = asyncio.Event()


class TypingSigns:
    """`caught` is set once work is heard of. account: our number. is_there: whether the service is,
    as far as is known. refresh_s: how often a sign is put again. silent_s: without a word of the
    router's the work has ended."""

    def __init__(
        self,
        link: Link,
        service: Service,
        account: str,
        roles: Roles,
        bindings: Bindings,
        is_there: Callable[[], bool],
        *,
        refresh_s: float = REFRESH_S,
        silent_s: float = SILENT_S,
    ) -> None:
        self._link, self._service, self._account = link, service, account
        self._roles, self._bindings, self._is_there = roles, bindings, is_there
        self._refresh_s, self._silent_s = refresh_s, silent_s
        self._shown: dict[str, _Sign] = {}
        self.caught = asyncio.Event()
        self._room = asyncio.Semaphore(AT_ONCE)

    def end(self, group: str) -> None:
        """Take the sign away from a group (its UUID): what was being written is there."""
        if sign := self._shown.get(group):
            sign.ended.set()

    async def run(self) -> None:
        """Follow the work until cancelled."""
        by_router = frozenset({self._roles.router})
        since_s = int(time.time())
        works = Filter(kinds=frozenset({int(Kind.TYPING)}), authors=by_router, since=since_s)
        ends = Filter(kinds=ENDS, authors=by_router, since=since_s)
        async with asyncio.TaskGroup() as tasks, self._link.subscribe([works, ends]) as stream:
            async for item in stream:
                match item:
                    case Delivery(event) if group := event.tag("h"):
                        self._heard(event, group, tasks)
                    case Caught():
                        self.caught.set()

    def _heard(self, event: Event, group: str, tasks: asyncio.TaskGroup) -> None:
        if event.kind in ENDS:
            self.end(group)
            return
        now_s = asyncio.get_running_loop().time()
        bound = self._bindings.groups().get(group)
        if bound is None or not bound.people or not self._is_there():
            return
        sign = self._shown.get(group)
        if sign is None or sign.ended.is_set():
            sign = self._shown[group] = _Sign(now_s)
            tasks.create_task(self._show(group, bound.people[0], sign))
        sign.seen_s = now_s

    async def _show(self, group: str, conversation: str, sign: _Sign) -> None:
        clock = asyncio.get_running_loop().time
        try:
            while not sign.ended.is_set() and clock() < sign.seen_s + self._silent_s:
                again_s = clock() + self._refresh_s
                await self._put(conversation, on=True)
                while (
                    not sign.ended.is_set()
                    and (left_s := min(again_s, sign.seen_s + self._silent_s) - clock()) > 0
                ):
                    await first_of(sign.ended, timeout_s=left_s)
            await self._put(conversation, on=False)
        finally:
            if self._shown.get(group) is sign:
                del self._shown[group]

    async def _put(self, conversation: str, *, on: bool) -> None:
        async with self._room:
            try:
                await self._service.typing(self._account, recipient_of(conversation), on=on)
            except (ServiceError, ValueError) as error:
                log.info("typing not shown", on=on, reason=str(error))
