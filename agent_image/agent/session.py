"""Shell: one session: wait for the attempt, read the job, work, say that it is done.

Round trips to the relay: the connection's AUTH, the attempt, the job with its group's messages.
What is handed to the job meanwhile is answered in turn, each message by itself. The session says
that it begins with one before it does anything about it: what nobody has begun with may be given
to another session, should this one end, and nothing else may.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from agent_image.agent import choice, gates, notes, persona
from agent_image.agent.allowance import Allowance
from agent_image.agent.asking import Asking
from agent_image.agent.backends import Character, Task
from agent_image.agent.handed import HandedMessages
from agent_image.agent.job import (
    MESSAGE_KINDS,
    Job,
    read_attempt,
    read_job,
    read_request,
    read_task,
)
from agent_image.agent.model import Models
from agent_image.agent.narrate import Narrator
from agent_image.agent.observer import Observer
from agent_image.agent.preference import Preference
from agent_image.agent.search import Search
from agent_image.agent.speech import Speaker
from agent_image.agent.surroundings import NAMING_KINDS, Context, read_people
from agent_image.agent.tools import Toolbox, described
from nips.event import Event
from nips.filter import Filter
from nips.key import SecretKey
from nips.kinds import Kind
from nips.own import cause as causes
from nips.own.cause import Cause
from nips.own.job import Attempt, JobRequest
from nips.own.task_run import TaskRun
from nips.refusal import Malformed, Prefix, refused
from relay_local.client import Caller, Caught, Delivery, Link, Lost, Unanswered, connect

N_HISTORY = 30  # of the group's messages
N_PROFILES = 300  # the newest; of a larger group some stay without a name
LONG_S = 86_400.0
RELAY_AWAY_S = 60.0  # how long we wait for a relay that is restarting
STOPPED = "it was stopped"
SHARE_FOR_MORE = 0.5  # of the run's time; what comes later gets a run with all of its time


def _quietly() -> None:
    """Nobody is told."""


async def serve(
    address: str,
    key: SecretKey,
    signer: str,
    folder: Path,
    patience_s: float,
    *,
    waits: Callable[[], None] = _quietly,
    seconds: float = LONG_S,
) -> None:
    """Do the one job of this session, and return when its end is on the relay.

    address: `unix:/path`, as `relay_local.client.connect` takes it. signer: its role key in hex.
    folder: the group's. patience_s: from the job's coming on, how long an absent signer is waited
    for. waits: is called when all is ready and only the job is awaited, for as long as it takes;
    whoever started us ends one that is not needed. seconds: how long the job may take, of which the
    agent is warned. Raises Unanswered
    when the relay stays away, SignerAway when the signer does, Refused when the key or the reply
    is refused, Malformed when the job's events are not what they should be.
    """
    given, models = folder.parent / "ipc" / "in", Models(key, time.time)
    observer = Observer()
    chosen = choice.read(given)
    tools = described(is_main=chosen.is_main)

    def character() -> Character:
        said, kept = notes.instructions(folder), notes.remembered(folder)
        return Character(persona.read(given), said, kept, tools)

    preferred = Preference(
        chosen.backends, lambda name: choice.make(name, models, observer.wrote), character
    )
    async with preferred, connect(address, [key]) as link:
        to_signer = Caller(link, key, signer)
        await _connected(link)
        to_signer.listen()

        async def idle() -> None:
            await preferred.rehearse()
            waits()

        started = await _started(link, key.public, idle)
        takes_more_until_s = time.monotonic() + patience_s * SHARE_FOR_MORE
        allowance = Allowance(seconds)
        speaker = Speaker(to_signer, time.time, patience_s)
        attempt = read_attempt(started, key.public)
        await preferred.reconsider(choice.read(given).backends)  # it may have waited for long
        asking = Asking(Caller(link, key, started.pubkey))
        handed = HandedMessages(link, started, attempt)
        async with _alongside(handed.follow()), _shown(observer, to_signer):
            request, events, cause = await _asked(link, started, attempt)
            first = _read_first(request, events, started.pubkey, cause)
            first, gate = await gates.passed(first, folder, seconds)
            known = Context(read_people(events, request.group), router=started.pubkey)
            search = Search(link, known)

            def toolbox(of: Job) -> Toolbox:
                return Toolbox(of, speaker, asking, folder, search=search)

            narrator = Narrator(link, key, request, time.time, observer)
            with_ = _With(known, toolbox, character, narrator, preferred, allowance, observer)
            dealt: list[str] = []
            async with _alongside(allowance.tell(narrator.say)):
                if first is not None:
                    await _answer(first, with_)
                for further in request.messages[1:]:
                    if later := await _turn(link, request, further):
                        await _answer(later, with_)
                while time.monotonic() < takes_more_until_s and (message := await handed.take()):
                    if later := await _turn(link, request, message):
                        await narrator.begin(message)
                        await _answer(later, with_)
                    dealt.append(message)
            await narrator.finish(dealt, gate)


@dataclass(frozen=True, slots=True)
class _With:
    """What a message is answered with. known: what is known of the group's people. toolbox: that of
    one turn."""

    known: Context
    toolbox: Callable[[Job], Toolbox]
    character: Callable[[], Character]
    narrator: Narrator
    preferred: Preference
    allowance: Allowance
    observer: Observer


async def _answer(turn: Job, with_: _With) -> None:
    """Answer one message, and show that it is begun with and, whatever ends it, how it ended."""
    observer, toolbox = with_.observer, with_.toolbox(turn)
    context = replace(with_.known, now_s=int(time.time()))
    task = Task(turn, with_.character(), context, with_.allowance.warning)
    observer.show("turn_started", message=turn.message.id)
    why: str | None = STOPPED
    try:
        ran = await with_.preferred.answer(task, toolbox, with_.narrator)
        was_unheard = ran.refusal is not None and not ran.n_said
        why = ran.failure or (ran.refusal if was_unheard else None)
    except Exception as error:
        why = str(error) or type(error).__name__
        raise
    finally:
        if why is None:
            observer.show("turn_completed", message=turn.message.id)
        else:
            observer.show("turn_error", message=turn.message.id, text=why)
    if was_unheard:
        # Nobody would hear of it: the router must tell the owner.
        raise refused(Prefix.RESTRICTED, f"nothing could be said. {ran.refusal}")


async def _connected(link: Link) -> None:
    try:
        async with asyncio.timeout(RELAY_AWAY_S):
            await link.connected()
    except TimeoutError:
        raise Unanswered(f"no connection to the relay within {RELAY_AWAY_S:g} s") from None


async def _started(link: Link, session: str, idle: Callable[[], Awaitable[None]]) -> Event:
    """The 43002 for this session; a container that was started early waits for it. idle: is
    called, and waited for, where it is not there yet."""
    wanted = Filter(kinds=frozenset({int(Kind.JOB_ACCEPTED)}), tags={"p": frozenset({session})})
    async with link.subscribe([wanted]) as stream:
        async for item in stream:
            match item:
                case Delivery(event):
                    return event
                case Caught():
                    await idle()
                case Lost():
                    await _connected(link)
    raise Unanswered("the subscription ended before an attempt came")


async def _asked(
    link: Link, started: Event, attempt: Attempt
) -> tuple[JobRequest, list[Event], Cause | None]:
    """The job's request, its first message among the group's last ones, and who is who there; what
    has set off the task that it is for."""
    wanted = Filter(ids=frozenset({attempt.job}))
    of_group = (_last_messages(attempt.group), *_who(attempt.group))
    events = await _fetch(link, wanted, *of_group)
    found = next((event for event in events if event.id == attempt.job), None)
    if found is None:
        raise Malformed("the job that the attempt names is not on the relay")
    request = read_request(found, started, attempt)
    cause = None
    if request.task is not None:
        cause = causes.parse(found)
        named = frozenset({cause.id} if isinstance(cause, causes.Said) else ())
        events += await _fetch(link, _task(request.task, started.pubkey), Filter(ids=named))
    elif request.message and not any(event.id == request.message for event in events):
        # The conversation has gone on since.
        events += await _fetch(link, Filter(ids=frozenset({request.message})))
    return request, events, cause


def _task(run: TaskRun, router: str) -> Filter:
    return Filter(
        authors=frozenset({router}),
        kinds=frozenset({int(Kind.CALENDAR_EVENT)}),
        tags={"d": frozenset({run.name})},
    )


async def _turn(link: Link, request: JobRequest, message: str) -> Job | None:
    """The job as it is for one of its later messages; None where that was deleted meanwhile."""
    wanted = Filter(ids=frozenset({message}))
    return _read(request, await _fetch(link, wanted, _last_messages(request.group)), message)


def _read_first(
    request: JobRequest, events: list[Event], router: str, cause: Cause | None
) -> Job | None:
    """What the job was made for: a task's prompt as it stands now, or a message."""
    if request.task is None:
        return _read(request, events, request.messages[0])
    try:
        return read_task(request, events, router, int(time.time()), cause)
    except Malformed:
        return None  # it was cancelled meanwhile


def _read(request: JobRequest, events: list[Event], message: str) -> Job | None:
    """The same, of what was fetched. A run whose first message is gone goes on with what was handed
    to it since, such as what that message was edited to."""
    try:
        return read_job(request, events, message)
    except Malformed:
        return None


def _last_messages(group: str) -> Filter:
    return Filter(kinds=MESSAGE_KINDS, tags={"h": frozenset({group})}, limit=N_HISTORY)


def _who(group: str) -> tuple[Filter, Filter]:
    """Profiles, of which the relay shows those of the group's members, and the group's state."""
    profiles = Filter(kinds=frozenset({int(Kind.PROFILE)}), limit=N_PROFILES)
    return profiles, Filter(kinds=NAMING_KINDS, tags={"d": frozenset({group})})


async def _fetch(link: Link, *filters: Filter) -> list[Event]:
    try:
        async with asyncio.timeout(RELAY_AWAY_S):
            return await link.fetch(filters)
    except TimeoutError:
        raise Unanswered(f"the relay did not answer within {RELAY_AWAY_S:g} s") from None


@asynccontextmanager
async def _alongside(work: Coroutine[Any, Any, None]) -> AsyncIterator[None]:
    """Do this work for as long as the block runs."""
    task = asyncio.create_task(work)
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


@asynccontextmanager
async def _shown(observer: Observer, to_signer: Caller) -> AsyncIterator[None]:
    """Show the owner what the block does, and how it ended even where that is by an error."""
    try:
        async with _alongside(observer.run(to_signer)):
            yield
    finally:
        await observer.end(to_signer)
