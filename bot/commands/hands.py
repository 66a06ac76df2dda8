"""Shell: what the commands are carried out with: the parts of the bot, put together once."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

from bot.author import Author
from bot.backends import Backends
from bot.dispatch import Dispatch
from bot.persona import Personas
from bot.questions import Questions
from bot.registry import Registry
from bot.spending import Spending
from bot.strangers import Strangers
from bot.tasks.desk import Desk
from nips.own.backend_name import BackendName
from nips.own.roles import Roles


@dataclass(frozen=True, slots=True)
class Hands:
    """owner: in hex. logs: the folder of the parts' logs. models: the configured ones. signer:
    whether it serves. engine: what is wrong with the engine of containers, asked for at most
    half a second; None: nothing. began_at: unix seconds of the bot's start. settle: to be called
    before a rule changes, so that a crash has no message decided again by the new one. backends:
    those that can be chosen; backends_of: what a group's (its UUID) next run works with.
    tasks: what is planned."""

    author: Author
    roles: Roles
    owner: str
    registry: Registry
    dispatch: Dispatch
    spending: Spending
    personas: Personas
    questions: Questions
    strangers: Strangers
    logs: Path
    models: tuple[str, ...]
    signer: Callable[[], bool]
    engine: Callable[[], Awaitable[str | None]]
    began_at: int
    settle: Callable[[], Awaitable[None]]
    backends: Backends
    backends_of: Callable[[str], tuple[BackendName, ...]]
    tasks: Desk
