"""Shell: carry out a backend's steps, one after another."""

from __future__ import annotations

from contextlib import aclosing
from dataclasses import dataclass, replace

from agent_image.agent.backends import Answer, Backend, BackendFailed, Call, Narrate, Task
from agent_image.agent.narrate import Narrator
from agent_image.agent.tools import Toolbox

# What nobody outside of the container sees.
UNSEEN = frozenset(
    {"recall", "remember", "run_command", "search_history", "nostr_query", "list_groups"}
)


@dataclass(frozen=True, slots=True)
class Ran:
    """How a run went: messages said, and the last refusal of one, None when none was refused.

    n_seen: what was done that others may have seen, messages among it. failure: why the backend
    gave up, in words for the person; None when it did not.
    """

    n_said: int
    refusal: str | None
    n_seen: int = 0
    failure: str | None = None


async def drive(backend: Backend, task: Task, toolbox: Toolbox, narrator: Narrator) -> Ran:
    """Run `backend` to its end. Raises what its tools raise: the relay or the signer is gone."""
    n_said, n_seen, refusal = 0, 0, None
    answer: Answer | None = None
    async with aclosing(backend(task)) as steps:
        while True:
            try:
                step = await steps.asend(answer)
            except StopAsyncIteration:
                return Ran(n_said, refusal, n_seen)
            except BackendFailed as error:
                return Ran(n_said, refusal, n_seen, str(error))
            match step:
                case Narrate(line):
                    narrator.say(line)
                    answer = None
                case Call(name):
                    narrator.called(step)
                    answer = await toolbox.execute(step)
                    narrator.answered(step, answer)
                    if warning := task.warning():
                        answer = replace(answer, warning=warning)
                    n_seen += answer.ok and name not in UNSEEN
                    is_said_here = not step.arguments.get("conversation")
                    if name == Toolbox.send_message.__name__ and is_said_here:
                        n_said += answer.ok
                        refusal = refusal if answer.ok else answer.text
