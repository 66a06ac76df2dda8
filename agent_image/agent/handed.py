"""Shell: the messages that are handed to a job while a session works on it, in their order."""

from __future__ import annotations

import asyncio

from agent_image.agent.job import read_handed
from nips.event import Event
from nips.filter import Filter
from nips.kinds import Kind
from nips.own.job import Attempt
from nips.refusal import Malformed
from relay_local.client import Caught, Delivery, Link


class HandedMessages:
    """`follow` fills it until cancelled; `take` gives each message once.

    started: the attempt's event, whose author alone hands messages over.
    """

    def __init__(self, link: Link, started: Event, attempt: Attempt) -> None:
        self._link, self._started, self._attempt = link, started, attempt
        self._waiting: dict[str, int] = {}  # message to position
        self._known: set[str] = set()
        self._caught = asyncio.Event()

    async def follow(self) -> None:
        """Learn of what is stored, then of what comes. Raises Refused, and then there is no more:
        what was not taken gets another run."""
        wanted = Filter(
            kinds=frozenset({int(Kind.JOB_PROGRESS)}),
            authors=frozenset({self._started.pubkey}),
            tags={"e": frozenset({self._attempt.job})},
        )
        try:
            async with self._link.subscribe([wanted]) as stream:
                async for item in stream:
                    match item:
                        case Delivery(event):
                            self._learn(event)
                        case Caught():
                            self._caught.set()
        finally:
            self._caught.set()

    async def take(self) -> str | None:
        """The id of the next message, None when there is none by now."""
        await self._caught.wait()
        if not self._waiting:
            return None
        message = min(self._waiting, key=lambda one: self._waiting[one])
        del self._waiting[message]
        return message

    def _learn(self, event: Event) -> None:
        try:
            handed = read_handed(event, self._started, self._attempt)
        except Malformed:
            return
        if handed.withdrawn:
            self._known.add(handed.message)
            self._waiting.pop(handed.message, None)
        elif handed.message not in self._known:
            self._known.add(handed.message)
            self._waiting[handed.message] = handed.position
