"""Pure: what has passed between us and a model in one piece of work, as OpenAI's messages.

Every call of a tool gets its answer, in order, before the model is asked again: servers refuse
anything else. What a tool answered stands in marked lines, as all that others wrote. No message of
ours stands where two users would speak in a row, which the templates of some models refuse.
Source: OpenAI "Chat completions", "Function calling".
"""

from __future__ import annotations

import re
from collections.abc import Mapping

import orjson

from agent_image.agent.backends import Answer, Call, Task, ToolDescription
from agent_image.agent.backends.chat_stream import Reply, ToolCall
from agent_image.agent.context import system_prompt, user_prompt
from agent_image.agent.quoting import quoted

MAX_CALLS = 16  # of tools at once
MAX_RESULT_BYTES, SHORT_RESULT_BYTES = 24 * 2**10, 2**10
SMALL_PROMPT_BYTES = 8 * 2**10
NAME = re.compile(r"[a-zA-Z0-9_-]{1,64}")
EMPTY = "Your answer was empty. Write what is to be said to the person, or what you could not do."
ENOUGH = "You have used tools often enough. Write your answer now, without using another one."
_ASKED = 1  # the place of the user's prompt


class Talk:
    """Begins with the task's prompts and tools."""

    def __init__(self, task: Task) -> None:
        self._task = task
        self._messages: list[dict[str, object]] = [
            {"role": "system", "content": system_prompt(task.character)},
            {"role": "user", "content": user_prompt(task)},
        ]
        self._results: list[tuple[int, Answer]] = []
        self._may_call = True
        self._was_empty = False

    def fields(self) -> dict[str, object]:
        """The body of the next question, without its model."""
        fields: dict[str, object] = {"messages": list(self._messages)}
        if tools := self._task.character.tools:
            fields["tools"] = [_tool(one) for one in tools]
            if not self._may_call:
                fields["tool_choice"] = "none"
        return fields

    def called(self, reply: Reply) -> None:
        """The model calls tools; each is `answered` next."""
        calls = [
            {
                "id": call.id,
                "type": "function",
                "function": {
                    # Servers refuse to read what they themselves have let pass.
                    "name": call.name if NAME.fullmatch(call.name) else "unknown",
                    "arguments": call.arguments if _object(call.arguments) is not None else "{}",
                },
            }
            for call in reply.calls
        ]
        self._messages.append(
            {"role": "assistant", "content": reply.text or None, "tool_calls": calls}
        )

    def answered(self, call: ToolCall, answer: Answer) -> None:
        """What a call came to."""
        self._results.append((len(self._messages), answer))
        content = _result(answer, MAX_RESULT_BYTES)
        self._messages.append({"role": "tool", "tool_call_id": call.id, "content": content})

    def may_be_asked_anew(self, empty: Reply) -> bool:
        """Say whether an empty reply is worth another question."""
        return not self._was_empty and empty.stop != "content_filter"

    def found_empty(self) -> None:
        """The model said nothing and called nothing: it is told so, once."""
        self._was_empty = True
        self._messages += [
            {"role": "assistant", "content": "(nothing)"},
            {"role": "user", "content": EMPTY},
        ]

    def conclude(self) -> None:
        """After a tool's answer: the model is to use no other."""
        self._may_call = False
        last = self._messages[-1]
        last["content"] = f"{last['content']}\n\n{ENOUGH}"

    def shorten(self) -> bool:
        """Leave out what came first and what is long; False where there is nothing to leave out."""
        before = orjson.dumps(self._messages)
        self._messages[_ASKED]["content"] = user_prompt(self._task, SMALL_PROMPT_BYTES)
        for at, answer in self._results:
            self._messages[at]["content"] = _result(answer, SHORT_RESULT_BYTES)
        if not self._may_call:
            self.conclude()
        return len(orjson.dumps(self._messages)) < len(before)


def step_of(call: ToolCall, number: int, task: Task, stop: str | None) -> Call | Answer:
    """What is to be done about the `number`th call of a reply, or what is wrong with it."""
    if number >= MAX_CALLS:
        return Answer(False, f"This was not done: at most {MAX_CALLS} calls at once.")
    if call.name not in (names := [tool.name for tool in task.character.tools]):
        known = ", ".join(names) or "none"
        return Answer(False, f"There is no tool called {call.name[:40]!r}. There are: {known}.")
    if (arguments := _object(call.arguments)) is None:
        why = ": they were too long and are cut off" if stop == "length" else ""
        return Answer(False, f"The arguments of {call.name} are no JSON object{why}. Call it anew.")
    return Call(call.name, arguments)


def _object(arguments: str) -> dict[str, object] | None:
    if not arguments.strip() or arguments.strip() == "null":
        return {}  # of a tool without parameters
    try:
        found = orjson.loads(arguments)
    except orjson.JSONDecodeError:
        return None
    return found if isinstance(found, dict) else None


def _result(answer: Answer, max_bytes: int) -> str:
    quote = quoted(answer.text, max_bytes)
    head = [] if answer.ok else ["This was not done:"]
    cut = [f"[{quote.n_left_out} further characters are left out]"] if quote.n_left_out else []
    told = (answer.warning,) if answer.warning else ()  # ours: outside of the fence
    return "\n".join((*head, quote.text, *cut, *told))


def _tool(tool: ToolDescription) -> Mapping[str, object]:
    function = {"name": tool.name, "description": tool.description, "parameters": tool.parameters}
    return {"type": "function", "function": function}
