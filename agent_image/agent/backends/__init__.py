"""Pure: what a backend is: the part that decides what the agent does, and does nothing itself.

A backend is an asynchronous generator over one task. It yields steps; the runner carries each
out and sends the answer back as the value of the `yield`:

    async def work(task: Task) -> Steps:
        answer = yield Call("recall", {})
        yield Call("send_message", {"text": answer.text})

`Call` is answered with an `Answer`, `Narrate` with None. The generator ends when the work is done;
what it said was said by calls of `send_message`. A refusal is an answer too (`ok` False, `text` a
sentence for the person), so a backend that ignores answers still ends well. Cancelling closes
the generator at its `yield`.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Mapping
from dataclasses import dataclass

from agent_image.agent.job import Job


@dataclass(frozen=True, slots=True)
class ToolDescription:
    """A tool as a model is told of it; `parameters` is a JSON Schema of an object."""

    name: str
    description: str
    parameters: Mapping[str, object]


@dataclass(frozen=True, slots=True)
class Task:
    """What a backend is given: the job and the tools it may call."""

    job: Job
    tools: tuple[ToolDescription, ...]


@dataclass(frozen=True, slots=True)
class Call:
    """Ask for a tool.

    key: a stable name of this call within the job, where the backend has one (a model's tool
    call id is not stable over attempts); without it the runner counts the calls of each tool.
    """

    name: str
    arguments: Mapping[str, object]
    key: str | None = None


@dataclass(frozen=True, slots=True)
class Narrate:
    """Tell those who watch the job, in a line, what is being done."""

    line: str


@dataclass(frozen=True, slots=True)
class Answer:
    """What a call came to: a text for a model or a person, and whether it was done."""

    ok: bool
    text: str


Step = Call | Narrate
Steps = AsyncGenerator[Step, Answer | None]
Backend = Callable[[Task], Steps]
