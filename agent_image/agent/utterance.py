"""Pure: the events that the agent asks the signer for, as templates.

All carry the bot's key as author, the job and a once-key made of (job, call key), for a message
that is not the job's first of (job, message, call key): a second attempt that comes to the same
call gets the first attempt's signature, so it speaks once. The run of a task is one job, of (task,
slot): however often it is begun, each call of it is signed once.
"""

from __future__ import annotations

from agent_image.agent.job import AGENT_LABEL, Job, Message
from nips.event import Tags, Template
from nips.kinds import Kind
from nips.own.once import once_key


def reply(job: Job, to: Message, text: str, call_key: str, created_at: int) -> Template:
    """A message (kind 9) in the job's group that answers `to`, where somebody has said that.
    `created_at` in unix seconds."""
    tags = (
        ("h", job.group),
        ("o", _once(job, call_key)),
        *(() if to.task else (("q", to.id), ("p", to.author))),
        ("job", job.id),
        *_labels(),
    )
    return Template(job.bot, created_at, Kind.CHAT, tags, text)


def reaction(job: Job, to: Message, sign: str, call_key: str, created_at: int) -> Template:
    """A reaction (kind 7) to a message of the group."""
    # NIP-25: "MUST have an e tag … SHOULD include a p tag"; k is the kind reacted to.
    tags = (
        ("h", job.group),
        ("o", _once(job, call_key)),
        ("e", to.id),
        ("p", to.author),
        ("k", str(to.kind)),
        ("job", job.id),
        *_labels(),
    )
    return Template(job.bot, created_at, Kind.REACTION, tags, sign)


def public(job: Job, kind: int, content: str, call_key: str, created_at: int) -> Template:
    """An event for everybody: without `h`, so the bridge may carry it outward."""
    return Template(job.bot, created_at, kind, marks(job, call_key), content)


def marks(job: Job, call_key: str) -> Tags:
    """The tags that everything public has: of which job it came, and that a program wrote it."""
    return (("o", _once(job, call_key)), ("job", job.id), *_labels())


def _once(job: Job, call_key: str) -> str:
    turn = (job.message.id,) if job.follow_up else ()
    return once_key(job.id, *turn, call_key)


def _labels() -> Tags:
    # NIP-32: the label's namespace, then the label.
    return (("L", "agent"), AGENT_LABEL)
