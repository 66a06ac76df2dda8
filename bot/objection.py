"""Shell: somebody wants a job to end: by a 43005, or by a ❌ on its message or on the job."""

from __future__ import annotations

from collections.abc import Callable

import structlog

from bot.author import Author
from bot.dispatch import Dispatch
from bot.ending import CALLED_OFF, job_on
from bot.groups import Group
from bot.retraction import withdraw
from nips.event import Event
from nips.filter import Filter
from nips.nip29 import GroupRole
from nips.own import job as job_events
from nips.refusal import Malformed

NO = "❌"

log = structlog.get_logger()


class Objection:
    """owners: the keys by which the owner speaks. groups: gives a group by its id."""

    def __init__(
        self,
        author: Author,
        owners: Callable[[], frozenset[str]],
        groups: Callable[[str], Group | None],
        dispatch: Dispatch,
    ) -> None:
        self._author, self._owners, self._groups = author, owners, groups
        self._dispatch = dispatch

    def cancelled(self, event: Event) -> None:
        """A 43005 has come; that its author may write it, the relay has seen to."""
        try:
            self._dispatch.called_off(job_events.parse_cancel(event))
        except Malformed as error:
            log.warning("not understood", id=event.id[:12], reason=str(error))

    async def reacted(self, event: Event) -> None:
        """A kind 7 has come: a ❌ by who may call off the job that it is about, does so."""
        # NIP-25: "the target event id should be last of the e tags".
        named = event.values("e")
        group = self._groups(event.tag("h") or "")
        if event.content.strip() != NO or not named or group is None:
            return
        job = self._dispatch.answering(group.id, named[-1])
        if job is None:
            return
        message = job.message if named[-1] == job.id else named[-1]
        if not await self._may_call_off(event.pubkey, group, message):
            return
        log.info("called off by a reaction", job=job.id[:12])
        known = await job_on(self._author, job.id)
        if known is not None and message is not None and message in known.left_over:
            await withdraw(self._author, self._dispatch, known, message)
            self._dispatch.show(known.group, (message,), CALLED_OFF)
        # Attack: somebody whose message was answered stops the run, which is at another's by now.
        elif named[-1] == job.id or (known is not None and known.at == message):
            await self._dispatch.call_off(job.id)

    async def _may_call_off(self, pubkey: str, group: Group, message: str | None) -> bool:
        if pubkey in self._owners() or group.has(pubkey, GroupRole.ADMIN):
            return True
        if message is None:  # a task's run: nobody has asked for it by a message
            return False
        # Attack: a member who stops other people's work.
        asked = await self._author.link.fetch([Filter(ids=frozenset({message}))])
        return any(event.pubkey == pubkey for event in asked)
