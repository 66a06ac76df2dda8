"""Shell: the tools that answer in public, and that take back what was published.

The docstrings and hints below are what a model is told (schema.py), so they speak to it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated

from agent_image.agent import utterance
from agent_image.agent.asking import NotDone
from agent_image.agent.job import Job
from agent_image.agent.public_events import PublicEvents
from agent_image.agent.speech import Speaker
from nips import nip09, nip10, nip22, nip25
from nips.event import Tags, Template
from nips.kinds import Kind
from nips.refusal import Malformed

MAX_TEXT_BYTES = 60_000


class PublicTools:
    """call_key: names the call that is being carried out."""

    def __init__(
        self, job: Job, speaker: Speaker, events: PublicEvents, call_key: Callable[[], str]
    ) -> None:
        self._job, self._speaker, self._events, self._call_key = job, speaker, events, call_key

    async def publish_reply(
        self,
        to: Annotated[str, "nevent, note or id"],
        text: Annotated[str, "the reply, plain text"],
    ) -> str:
        """Answer a public note (kind 1) in public."""
        return await self._say(nip10.reply, to, _said(text))

    async def comment(
        self,
        on: Annotated[str, "naddr, nevent or id"],
        text: Annotated[str, "the comment, plain text"],
    ) -> str:
        """Comment in public (kind 1111) on an article or whatever else is no note."""
        return await self._say(nip22.comment, on, _said(text))

    async def react_publicly(
        self,
        to: Annotated[str, "nevent, naddr, note or id"],
        sign: Annotated[str, "one emoji, or + or -"],
    ) -> str:
        """React in public to something public."""
        if not nip25.is_sign(sign):
            raise NotDone("a reaction is one emoji, or + or -")
        return await self._say(nip25.reaction, to, sign)

    async def retract(self, what: Annotated[str, "nevent, naddr, note or id"]) -> str:
        """Ask relays to delete something that you published. The owner is asked first."""
        event = (await self._events.find(what)).event
        if event.pubkey != self._job.bot:
            raise NotDone("it is somebody else's: everybody retracts their own only")
        try:
            return await self._publish(nip09.retraction(event, self._now_s(), self._marks()))
        except Malformed as error:
            raise NotDone(str(error)) from error

    async def _say(self, make: Callable[..., Template], named: str, said: str) -> str:
        found = await self._events.find(named)
        # Attack: a draft's name, which nobody else knows yet, in a tag that everybody reads.
        if found.event.kind == Kind.DRAFT:
            raise NotDone("a draft is for nobody else yet")
        try:
            template = make(
                found.event, said, self._job.bot, self._now_s(), found.relay, self._marks()
            )
        except Malformed as error:
            raise NotDone(str(error)) from error
        return await self._publish(template)

    async def _publish(self, template: Template) -> str:
        event = await self._speaker.publish(template)
        return f"signed and published, kind {event.kind}, id {event.id}"

    def _now_s(self) -> int:
        return self._speaker.created_at()

    def _marks(self) -> Tags:
        return utterance.marks(self._job, self._call_key())


def _said(text: str) -> str:
    if not text.strip() or len(text.encode()) > MAX_TEXT_BYTES:
        raise NotDone(f"a text has 1 to {MAX_TEXT_BYTES} bytes")
    return text
