"""Shell: carry out a backend's steps, one after another."""

from __future__ import annotations

from contextlib import aclosing
from dataclasses import dataclass

from agent_image.agent.backends import Answer, Backend, Call, Narrate, Task
from agent_image.agent.narrate import Narrator
from agent_image.agent.tools import Toolbox


@dataclass(frozen=True, slots=True)
class Ran:
    """How a run went: messages said, and the last refusal of one, None when none was refused."""

    n_said: int
    refusal: str | None


async def drive(backend: Backend, task: Task, toolbox: Toolbox, narrator: Narrator) -> Ran:
    """Run `backend` to its end. Raises what its tools raise: the relay or the signer is gone."""
    n_said, refusal = 0, None
    answer: Answer | None = None
    async with aclosing(backend(task)) as steps:
        while True:
            try:
                step = await steps.asend(answer)
            except StopAsyncIteration:
                return Ran(n_said, refusal)
            match step:
                case Narrate(line):
                    narrator.say(line)
                    answer = None
                case Call(name):
                    answer = await toolbox.execute(step)
                    if name == Toolbox.send_message.__name__:
                        n_said += answer.ok
                        refusal = refusal if answer.ok else answer.text
