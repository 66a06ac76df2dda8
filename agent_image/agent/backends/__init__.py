"""Pure: what a backend is: the part that decides what the agent does, and does nothing itself.

A backend is an asynchronous generator over one task. It yields steps; the runner carries each
out and sends the answer back as the value of the `yield`:

    async def work(task: Task) -> Steps:
        answer = yield Call("recall", {})
        yield Call("send_message", {"text": answer.text})

`Call` is answered with an `Answer`, `Narrate` with None. The generator ends when the work is done;
what it said was said by calls of `send_message`. A refusal is an answer too (`ok` False, `text` a
sentence for the person), so a backend that ignores answers still ends well. Cancelling closes
the generator at its `yield`. A backend that could not do its work raises `BackendFailed`.

`Prepared` is a backend with what takes long before it: the session prepares it while it waits for
its job, has it work once for each message, and closes it.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from agent_image.agent.job import Job
from agent_image.agent.surroundings import Context, Note
from nips.own.persona import Persona

NOTHING_KNOWN = Context()


def _no_warning() -> str:
    return ""


@dataclass(frozen=True, slots=True)
class ToolDescription:
    """A tool as a model is told of it; `parameters` is a JSON Schema of an object."""

    name: str
    description: str
    parameters: Mapping[str, object]


@dataclass(frozen=True, slots=True)
class Character:
    """Who the agent is and what it can do, whatever it is asked: known before its job is.
    instructions: the group's CLAUDE.md; memory: its MEMORY.md; both as somebody wrote them."""

    persona: Persona = field(default_factory=Persona)
    instructions: Note = field(default_factory=Note)
    memory: Note = field(default_factory=Note)
    tools: tuple[ToolDescription, ...] = ()


NOBODY = Character()


@dataclass(frozen=True, slots=True)
class Task:
    """What a backend is given: the job, who it is to be, and what it is to know (context.py makes
    prompts of it). warning: what its model is to be told beside the next answer, "" for nothing;
    asked for once before each answer."""

    job: Job
    character: Character = NOBODY
    context: Context = NOTHING_KNOWN
    warning: Callable[[], str] = _no_warning


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
    """What a call came to: a text for a model or a person, and whether it was done. warning: what
    the model is to be told besides, once: that its time is nearly over."""

    ok: bool
    text: str
    warning: str = ""

    @property
    def for_model(self) -> str:
        """The text as a model gets it."""
        return f"{self.text}\n\n{self.warning}" if self.warning else self.text


Step = Call | Narrate
Steps = AsyncGenerator[Step, Answer | None]
Backend = Callable[[Task], Steps]


class BackendFailed(Exception):
    """The work could not be done, whatever was done of it; the sentence is for the person."""


class Prepared(Protocol):
    """A backend that is made ready before its job is known, and used for one job."""

    async def prepare(self, character: Character) -> None:
        """Import and open what takes long. character: the job's, if nothing changes until then.
        What fails here fails again in `work`, and is told there: raises nothing but
        CancelledError."""

    async def rehearse(self) -> None:
        """Do what takes long when it is done first, as nobody waits for it: it is prepared, and
        there is no job yet. Raises nothing but CancelledError."""

    def work(self, task: Task) -> Steps:
        """Answer one message; its steps may raise BackendFailed."""

    async def close(self) -> None:
        """End what was opened. Never raises; called once, whatever happened before."""


@dataclass(frozen=True, slots=True)
class Ready:
    """A backend that needs no preparation, as one that is prepared."""

    work: Backend

    async def prepare(self, character: Character) -> None:
        """Nothing takes long."""

    async def rehearse(self) -> None:
        """Nor when it is done first."""

    async def close(self) -> None:
        """Nothing was opened."""
