"""Shell: what the relay knows of a job, and its end: what is left over, the signs, the words.

The order in time makes a crash harmless: messages left over get their next job, people are told,
and only then comes the end event, after which nobody looks at the job again.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Iterable
from dataclasses import replace

import structlog

from bot.author import Author, of_kinds
from bot.groups import Group
from bot.jobs import (
    JOB_KINDS,
    SAID_IN_GROUPS,
    SAID_IN_PUBLIC,
    Again,
    CallOff,
    Complete,
    GiveUp,
    Job,
    Nothing,
    Step,
    fold,
    spoken,
)
from bot.notice import notice
from nips.event import Event, Tag, Template
from nips.filter import Filter
from nips.kinds import Kind
from nips.own import job as job_events
from nips.own.once import once_key
from nips.own.roles import Roles

SAID_BEFORE_S = 120  # how much earlier than its job an event of it may be dated
MAX_SAID = 5_000  # of one filter
SEEN, DONE, FAILED, CALLED_OFF = "👀", "✅", "❌", "🚫"

log = structlog.get_logger()


class Ending:
    """groups: gives a group by its id. begin_again: makes a message (its id) work anew that a job
    ended without; may be called for the same one repeatedly."""

    def __init__(
        self,
        author: Author,
        roles: Roles,
        groups: Callable[[str], Group | None],
        begin_again: Callable[[Job, str], Awaitable[None]],
    ) -> None:
        self._author, self._roles, self._groups = author, roles, groups
        self._begin_again = begin_again

    async def facts(self, job: Job) -> tuple[Job, bool]:
        """What the relay knows of a job by now, and whether it has spoken.

        One that is done or has ended is not asked whether it spoke: it makes no difference.
        """
        known = await job_on(self._author, job.id) or job
        if known.done or known.ended:
            return known, True
        since = max(0, job.created_at - SAID_BEFORE_S)
        bot, router = frozenset({self._roles.bot}), frozenset({self._roles.router})
        here = {"h": frozenset({job.group})}
        # Never so wide that what others are told meanwhile fills the limit: the router's signs are
        # not asked for, nor what the bot says in other groups.
        said = [
            Filter(authors=bot, kinds=of_kinds(*SAID_IN_GROUPS), tags=here, since=since),
            Filter(authors=bot, kinds=of_kinds(*SAID_IN_PUBLIC), since=since),
            Filter(authors=router, kinds=of_kinds(Kind.CHAT), since=since),
        ]
        events = await self._author.link.fetch([replace(one, limit=MAX_SAID) for one in said])
        return known, job.id in spoken(events, self._roles.bot, self._roles.router)

    async def end(self, job: Job, step: Step) -> None:
        """End a job as was decided. Repeated after a crash it has the same effect."""
        pubkey, now_s = self._author.pubkey, self._author.now_s()
        match step:
            case Complete():
                log.info("job done", job=job.id[:12])
                words = "" if job.gate is None else f"gate closed: {job.gate}"
                sign, end = (
                    DONE,
                    job_events.result(pubkey, job.group, job.id, now_s, words, task=job.task),
                )
            case CallOff():
                log.info("job called off", job=job.id[:12])
                sign, end = (
                    CALLED_OFF,
                    job_events.cancelled(pubkey, job.group, job.id, now_s, task=job.task),
                )
            case GiveUp(words):
                log.warning("job given up", job=job.id[:12], reason=words)
                sign, end = (
                    FAILED,
                    job_events.error(pubkey, job.group, job.id, words, now_s, task=job.task),
                )
            case Again() | Nothing():
                return
        for message in job.left_over:
            await self._begin_again(job, message)
        await self._sign_all(job, sign)
        if isinstance(step, GiveUp):
            await self._tell(job, step.words)
        ok = await self._author.insist(self._author.sign(end))
        if not ok.accepted:
            log.error("job's end refused", job=job.id[:12], reason=ok.message)

    async def sign(self, group: str, messages: Iterable[str], sign: str) -> None:
        """React to messages, once each, with a sign of how far they are."""
        for message in messages:
            ok = await self._author.publish(
                sign_template(self._author.pubkey, group, message, sign, self._author.now_s())
            )
            if not ok.accepted:
                log.warning("sign refused", message=message[:12], reason=ok.message)

    async def _sign_all(self, job: Job, sign: str) -> None:
        """Those that it had come to before it failed or was called off have their answers."""
        dealt = [m for m in job.all_messages if m not in job.left_over and m not in job.withdrawn]
        if sign == DONE:
            await self.sign(job.group, dealt, DONE)
            return
        answered = [] if job.at is None else dealt[: dealt.index(job.at)]
        await self.sign(job.group, answered, DONE)
        rest = dealt[len(answered) :]
        if sign == CALLED_OFF:  # perhaps because it is gone, and nothing is said of that
            there = await still_there(self._author, rest)
            rest = [message for message in rest if message in there]
        await self.sign(job.group, rest, sign)

    async def _tell(self, job: Job, words: str) -> None:
        """Tell the owner, in main; whoever asked there is told where they asked."""
        about: list[Tag] = []
        if job.at is None and job.task is not None:
            words = f"A scheduled task ({job.task.short_id}): {words}"
        if job.group == self._roles.main:
            if job.at is not None:
                asked = await self._author.link.fetch([Filter(ids=frozenset({job.at}))])
                about = [("q", job.at), *(("p", event.pubkey) for event in asked)]
        else:
            group = self._groups(job.group)
            name = group.binding.folder if group and group.binding else job.group
            words = f"In {name}: {words}"
        now_s = self._author.now_s()
        ok = await self._author.publish(
            notice(self._roles, ("notice", job.id), words, about, now_s=now_s)
        )
        if not ok.accepted:
            log.error("notice refused", job=job.id[:12], reason=ok.message)


async def still_there(author: Author, messages: Collection[str]) -> frozenset[str]:
    """Those of some messages (ids) that the relay has: not deleted, not expired."""
    if not messages:
        return frozenset()
    wanted = Filter(ids=frozenset(messages), limit=len(messages))
    return frozenset(event.id for event in await author.link.fetch([wanted]))


async def is_still_wanted(author: Author, job: Job) -> bool:
    """Say whether something is left of what a job was made for: one of its messages, its task."""
    if job.task is None:
        return bool(await still_there(author, job.messages))
    wanted = Filter(
        authors=frozenset({author.pubkey}),
        kinds=of_kinds(Kind.CALENDAR_EVENT),
        tags={"d": frozenset({job.task.name})},
    )
    return bool(await author.link.fetch([wanted]))


async def job_on(author: Author, job: str) -> Job | None:
    """The job of that id as the relay has it by now."""
    about = Filter(kinds=of_kinds(*JOB_KINDS), tags={"e": frozenset({job})})
    events = await author.stored([Filter(ids=frozenset({job})), about])
    return fold(events, author.pubkey).get(job)


def sign_template(router: str, group: str, message: str, sign: str, created_at: int) -> Template:
    """A kind 7 of the router's on a message."""
    # NIP-25: "MUST have an e tag set to the id of the event that is being reacted to".
    tags: tuple[Tag, ...] = (
        ("h", group),
        ("e", message),
        ("o", once_key("sign", message, sign)),
        ("L", "agent"),
        ("l", "notice", "agent"),
    )
    return Template(router, created_at, Kind.REACTION, tags, sign)


def open_jobs(events: Iterable[Event], router: str) -> list[Job]:
    """The jobs without an end event, in the order in which they came."""
    return [job for job in fold(events, router).values() if not job.ended]
