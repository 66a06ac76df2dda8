"""Pure: the plain commands by which people have the agent plan work for later."""

from __future__ import annotations

import re
from dataclasses import dataclass

from agent_image.agent.backends.house_commands import Incomplete

QUOTED = re.compile(r"""["“„](?P<when>[^"”“]+)["”“]\s*(?P<prompt>.*)""", re.DOTALL)
USAGE = {
    "schedule": '/schedule "0 16 * * 1-5" WHAT TO DO, or "every 15m", "in 20m", "@daily"',
    "untask": "/untask ID",
}


@dataclass(frozen=True, slots=True)
class Schedule:
    """`/schedule "WHEN" PROMPT`; the prompt may be a plain command."""

    when: str
    prompt: str


@dataclass(frozen=True, slots=True)
class ListTasks:
    """`/tasks`, or `/tasks ID`, which shows one whole."""

    task: str


@dataclass(frozen=True, slots=True)
class CancelTask:
    """`/untask ID`."""

    task: str


TaskCommand = Schedule | ListTasks | CancelTask


def parse(name: str, rest: str) -> TaskCommand | Incomplete | None:
    """The command of that name, in lower case, with what follows it; None: it is none of these."""
    match name:
        case "schedule":
            found = QUOTED.fullmatch(rest)
            if found is None or not found["prompt"].strip():
                return Incomplete(USAGE[name])
            return Schedule(found["when"].strip(), found["prompt"].strip())
        case "tasks":
            return ListTasks(rest)
        case "untask":
            return CancelTask(rest)
        case _:
            return None
