"""Shell: one session: wait for the attempt, read the job, work, say that it is done.

Round trips to the relay: the connection's AUTH, the attempt, the job with its group's messages.
"""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

from agent_image.agent.backends import Task, builtin
from agent_image.agent.job import MESSAGE_KINDS, Job, read_attempt, read_job, read_request
from agent_image.agent.narrate import Narrator
from agent_image.agent.runner import drive
from agent_image.agent.speech import Speaker
from agent_image.agent.tools import Toolbox
from nips.event import Event
from nips.filter import Filter
from nips.key import SecretKey
from nips.kinds import Kind
from nips.refusal import Malformed, Prefix, refused
from relay_local.client import Caller, Delivery, Link, Lost, Unanswered, connect

N_HISTORY = 30  # of the group's messages
RELAY_AWAY_S = 60.0  # how long we wait for a relay that is restarting


async def serve(address: str, key: SecretKey, signer: str, folder: Path) -> None:
    """Do the one job of this session, and return when its end is on the relay.

    address: `unix:/path`, as `relay_local.client.connect` takes it. signer: its role key in hex.
    folder: the group's. Raises Unanswered when relay or signer stay away, Refused when the key or
    the reply is refused, Malformed when the job's events are not what they should be.
    """
    async with connect(address, [key]) as link:
        await _connected(link)
        job = await _job(link, await _started(link, key.public), key.public)
        narrator = Narrator(link, key, job, time.time)
        toolbox = Toolbox(job, Speaker(Caller(link, key, signer), time.time), folder)
        ran = await drive(builtin.work, Task(job, toolbox.describe()), toolbox, narrator)
        if ran.refusal and not ran.n_said:
            # Nobody would hear of it: the router must tell the owner.
            raise refused(Prefix.RESTRICTED, f"nothing could be said. {ran.refusal}")
        await narrator.finish()


async def _connected(link: Link) -> None:
    try:
        async with asyncio.timeout(RELAY_AWAY_S):
            await link.connected()
    except TimeoutError:
        raise Unanswered(f"no connection to the relay within {RELAY_AWAY_S:g} s") from None


async def _started(link: Link, session: str) -> Event:
    """The 43002 for this session; a container that was started early waits for it."""
    wanted = Filter(kinds=frozenset({int(Kind.JOB_ACCEPTED)}), tags={"p": frozenset({session})})
    async with link.subscribe([wanted]) as stream:
        async for item in stream:
            match item:
                case Delivery(event):
                    return event
                case Lost():
                    await _connected(link)
    raise Unanswered("the subscription ended before an attempt came")


async def _job(link: Link, started: Event, session: str) -> Job:
    attempt = read_attempt(started, session)
    events = await _fetch(
        link,
        Filter(ids=frozenset({attempt.job})),
        Filter(kinds=MESSAGE_KINDS, tags={"h": frozenset({attempt.group})}, limit=N_HISTORY),
    )
    found = next((event for event in events if event.id == attempt.job), None)
    if found is None:
        raise Malformed("the job that the attempt names is not on the relay")
    request = read_request(found, started, attempt)
    if not any(event.id == request.message for event in events):
        # The conversation has gone on since.
        events += await _fetch(link, Filter(ids=frozenset({request.message})))
    return read_job(request, events)


async def _fetch(link: Link, *filters: Filter) -> list[Event]:
    try:
        async with asyncio.timeout(RELAY_AWAY_S):
            return await link.fetch(filters)
    except TimeoutError:
        raise Unanswered(f"the relay did not answer within {RELAY_AWAY_S:g} s") from None
