"""Pure: what the agent was started for, read from the events that say so.

An attempt (43002) names the job (43001), the job names the message that it answers, or the task
that is to be done, and the group's last messages are the context. All of them come over the
session's own socket; the checks here keep another group's events, and another's job, out of the
answer.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from agent_image.agent.occasion import Beside, of_cause
from nips.event import Event
from nips.kinds import Kind
from nips.own import task as tasks
from nips.own.cause import Cause
from nips.own.handed import Handed, parse_handed
from nips.own.job import (
    Attempt,
    JobRequest,
    parse_attempt,
    parse_request,
)
from nips.own.received import ReceivedFile, received_files
from nips.refusal import Malformed

AGENT_LABEL = ("l", "ai", "agent")
MESSAGE_KINDS = frozenset({int(Kind.CHAT), int(Kind.BUZZ_CHAT)})
NETWORK = re.compile(r"[a-z0-9-]{1,32}")


@dataclass(frozen=True, slots=True)
class Message:
    """A message of the group. `created_at` in unix seconds; `from_agent`: we said it ourselves,
    or another assistant did. network: that it came through, as the bridge says; "" for none.
    subject: as its author calls the conversation. files: that came with it, in our folder. edited:
    its author says that it is what another message, which is gone, was changed to. task: the title
    of a scheduled task, whose prompt this is: nobody has said it, and its `id` is the job's; gate:
    its command, besides: what is given with the prompt."""

    id: str
    author: str
    kind: int
    created_at: int
    text: str
    from_agent: bool
    network: str = ""
    subject: str = ""
    files: tuple[ReceivedFile, ...] = ()
    edited: bool = False
    task: str = ""
    gate: str = ""
    besides: tuple[Beside, ...] = ()


@dataclass(frozen=True, slots=True)
class Job:
    """What a run is at: `message` is to be answered; `history` came before, oldest first.

    A run has several messages at times. follow_up: this one is not the first of them.
    """

    id: str
    group: str
    bot: str
    message: Message
    history: tuple[Message, ...]
    follow_up: bool = False

    def find(self, message_id: str) -> Message | None:
        """The message of that id, the one asked or of the history; None for any other id."""
        known = (self.message, *self.history)
        return next((message for message in known if message.id == message_id), None)


def read_attempt(event: Event, session: str) -> Attempt:
    """Read the 43002 that starts this session. Raises Malformed, also when it is another's."""
    attempt = parse_attempt(event)
    if attempt.session != session:
        raise Malformed("job attempt: it is for another session")
    return attempt


def read_request(event: Event, started: Event, attempt: Attempt) -> JobRequest:
    """Read the 43001 of an attempt; `started` is the attempt's event. Raises Malformed."""
    request = parse_request(event)
    if request.id != attempt.job:
        raise Malformed("job request: not the one that the attempt names")
    # Else a member who may write to the group could make up what a session works on.
    if event.pubkey != started.pubkey:
        raise Malformed("job request: its author is not the attempt's")
    if request.group != attempt.group:
        raise Malformed("job request: it belongs to another group than its attempt")
    return request


def read_handed(event: Event, started: Event, attempt: Attempt) -> Handed:
    """Read a 43003 by which a message is handed to the job, or taken back. Raises Malformed."""
    handed = parse_handed(event)
    # Else a member who may write to the group could make up what a session works on.
    if (event.pubkey, handed.job, handed.group) != (started.pubkey, attempt.job, attempt.group):
        raise Malformed("handed message: not of this job's router, job and group")
    return handed


def read_job(request: JobRequest, events: Iterable[Event], message: str | None = None) -> Job:
    """Put the job together as it is for one of its messages, the request's first without `message`.

    events: the message asked for and the group's last ones, in any order, repetitions allowed;
    what is not a message of this group is left out, and so is what people said after the one
    asked, for that is another's turn. What we answered meanwhile is context of a later turn.
    Raises Malformed when the message asked for is not among them.
    """
    if (wanted := message or request.message) is None:
        raise Malformed("job request: it is for no message")
    follow_up = wanted != request.message
    known = {
        event.id: message_of(event, request.bot)
        for event in events
        if event.kind in MESSAGE_KINDS and event.values("h") == [request.group]
    }
    if (asked := known.pop(wanted, None)) is None:
        raise Malformed("job request: its message is not in its group")
    before = (
        other
        for other in known.values()
        if other.created_at <= asked.created_at or (follow_up and other.author == request.bot)
    )
    return Job(request.id, request.group, request.bot, asked, _in_order(before), follow_up)


def read_task(
    request: JobRequest,
    events: Iterable[Event],
    router: str,
    now_s: int,
    cause: Cause | None = None,
) -> Job:
    """Put the job together for the run of a task: its prompt, as it stands now.

    events: the task's, what has set it off where that is of the group, and the group's last
    messages. router: the attempt's author. Raises Malformed when the task is not among them, or is
    none.
    """
    known = tuple({event.id: event for event in events}.values())
    addressed = [event for event in known if event.kind == Kind.CALENDAR_EVENT]
    found = [tasks.parse(event, router) for event in addressed if event.pubkey == router]
    task = next((t for t in found if request.task and t.name == request.task.name), None)
    if task is None:
        raise Malformed("job request: its task is not there")
    asked = Message(
        request.id,
        router,
        Kind.CALENDAR_EVENT,
        now_s,
        task.prompt,
        False,
        task=task.title,
        gate=task.gate,
        besides=of_cause(cause, known, request.group),
    )
    said = (
        message_of(event, request.bot)
        for event in known
        if event.kind in MESSAGE_KINDS and event.values("h") == [request.group]
    )
    return Job(request.id, request.group, request.bot, asked, _in_order(said))


def _in_order(messages: Iterable[Message]) -> tuple[Message, ...]:
    # As NIP-01 breaks a tie.
    return tuple(sorted(messages, key=lambda message: (message.created_at, message.id)))


def message_of(event: Event, bot: str) -> Message:
    """A message of the group as what it says. bot: its key in hex."""
    from_agent = event.pubkey == bot or AGENT_LABEL in event.tags
    return Message(
        event.id,
        event.pubkey,
        event.kind,
        event.created_at,
        event.content,
        from_agent,
        _network(event),
        event.tag("subject") or "",
        received_files(event),
        edited=bool(event.values("edits")),
    )


def _network(event: Event) -> str:
    # NIP-48: ["proxy", <id>, <protocol>]. Only a plain word, for it stands in a line of ours.
    found = next((tag[2] for tag in event.tags if tag[0] == "proxy" and len(tag) > 2), "")
    return found if NETWORK.fullmatch(found) else ""
