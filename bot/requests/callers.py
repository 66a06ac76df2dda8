"""Pure: who calls: the one thing that the key of a request's envelope says.

Nothing that a caller writes into a request counts here: a session is the session of the job for
which its key was made, and of that job's group.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from bot.jobs import Job
from nips.own.roles import Roles


@dataclass(frozen=True, slots=True)
class Session:
    """The agent of a job that runs now. `is_main`: the job is of the owner's own group."""

    key: str
    job: Job
    is_main: bool

    @property
    def group(self) -> str:
        """The UUID of its group, as the router knows it."""
        return self.job.group


@dataclass(frozen=True, slots=True)
class Bridge:
    """A bridge, by its name such as `nostr`."""

    key: str
    name: str


@dataclass(frozen=True, slots=True)
class Console:
    """The machine's command line, which only who administers the machine can use."""

    key: str


@dataclass(frozen=True, slots=True)
class ModelProxy:
    """The process that passes on what sessions ask of language models."""

    key: str


@dataclass(frozen=True, slots=True)
class TheRouter:
    """The router itself, where a bridge is asked."""

    key: str


Caller = Session | Bridge | Console | ModelProxy | TheRouter


def who_calls(pubkey: str, roles: Roles, sessions: Mapping[str, Job]) -> Caller | None:
    """The caller behind a verified key (hex); None for a key that may ask for nothing.

    sessions: the jobs that run now by their session's key; the key of one that has ended is not
    in it. The owner, the bot and the terminal speak in messages, and ask for nothing here.
    """
    if (job := sessions.get(pubkey)) is not None:
        return Session(pubkey, job, job.group == roles.main)
    if (name := roles.bridge_of(pubkey)) is not None:
        return Bridge(pubkey, name)
    match roles.role_of(pubkey):
        case "console":
            return Console(pubkey)
        case "model":
            return ModelProxy(pubkey)
        case _:
            return None
