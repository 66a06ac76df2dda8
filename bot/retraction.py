"""Shell: what was to be answered and is gone: taken back by who said it, or removed from the group.

A job whose message is gone before it has begun has nothing to answer and is called off, with a
43005 of the router's; what was handed to it gets a job anew. So a message that is edited before it
is answered, which is its edited form and then its deletion, is answered as it is now. A message
that was handed to a job, and that no session has begun with, is withdrawn. What a session has
begun with stays its own.

Whose deletion it was makes no difference: the relay has judged it, and what is still there was not
deleted. Attack: a member's deletion that names somebody else's message ends that one's job.
"""

from __future__ import annotations

from dataclasses import replace

import structlog

from bot.author import Author
from bot.dispatch import Dispatch
from bot.ending import is_still_wanted, job_on, still_there
from bot.jobs import Job
from nips.event import Event
from nips.kinds import Kind
from nips.nip29 import DELETE_EVENT
from nips.own import handed as handed_events

DELETION_KINDS = frozenset({int(Kind.DELETION), DELETE_EVENT})

log = structlog.get_logger()


async def deleted(author: Author, dispatch: Dispatch, deletion: Event) -> None:
    """A deletion has come: a kind 5, or a 9005 of who is in charge of a group."""
    named = frozenset(deletion.values("e"))
    for work in dispatch.answering_any(named):
        messages = named.intersection(work.job.all_messages)
        for message in messages - await still_there(author, messages):
            await _forget(author, dispatch, work.job.id, message)


async def withdraw(author: Author, dispatch: Dispatch, job: Job, message: str) -> None:
    """Take back a message that was handed to a job and that no session has begun with."""
    made = handed_events.withdrawn(author.pubkey, job.group, job.id, message, author.now_s())
    await author.publish(made)
    if (work := dispatch.find(job.id)) is not None:
        work.job = replace(work.job, settled=work.job.settled | {message})


async def _forget(author: Author, dispatch: Dispatch, job_id: str, message: str) -> None:
    known = await job_on(author, job_id)
    if known is None:
        return
    if message in known.left_over:
        log.info("a handed message is gone", job=job_id[:12], message=message[:12])
        await withdraw(author, dispatch, known, message)
    elif not known.attempts and not await is_still_wanted(author, known):
        log.info("its message is gone", job=job_id[:12], message=message[:12])
        await dispatch.call_off(job_id)
