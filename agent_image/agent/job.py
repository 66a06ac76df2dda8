"""Pure: what the agent was started for, read from the events that say so.

An attempt (43002) names the job (43001), the job names the message that it answers, and the
group's last messages are the context. All of them come over the session's own socket; the checks
here keep another group's events, and another's job, out of the answer.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from nips.event import Event
from nips.kinds import Kind
from nips.own.job import Attempt, JobRequest, parse_attempt, parse_request
from nips.refusal import Malformed

AGENT_LABEL = ("l", "ai", "agent")
MESSAGE_KINDS = frozenset({int(Kind.CHAT), int(Kind.BUZZ_CHAT)})


@dataclass(frozen=True, slots=True)
class Message:
    """A message of the group. `created_at` in unix seconds; `from_agent`: we said it ourselves."""

    id: str
    author: str
    kind: int
    created_at: int
    text: str
    from_agent: bool


@dataclass(frozen=True, slots=True)
class Job:
    """The work of one run: `message` is to be answered; `history` came before, oldest first."""

    id: str
    group: str
    bot: str
    message: Message
    history: tuple[Message, ...]

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


def read_job(request: JobRequest, events: Iterable[Event]) -> Job:
    """Put the job together.

    events: the message asked for and the group's last ones, in any order, repetitions allowed;
    what is not a message of this group is left out, and so is what came after the one asked,
    for that is another job's. Raises Malformed when the message asked for is not among them.
    """
    known = {
        event.id: _message(event, request.bot)
        for event in events
        if event.kind in MESSAGE_KINDS and event.values("h") == [request.group]
    }
    if (asked := known.pop(request.message, None)) is None:
        raise Malformed("job request: its message is not in its group")
    history = sorted(
        (message for message in known.values() if message.created_at <= asked.created_at),
        key=lambda message: (message.created_at, message.id),  # as NIP-01 breaks a tie
    )
    return Job(request.id, request.group, request.bot, asked, tuple(history))


def _message(event: Event, bot: str) -> Message:
    from_agent = event.pubkey == bot or AGENT_LABEL in event.tags
    return Message(event.id, event.pubkey, event.kind, event.created_at, event.content, from_agent)
