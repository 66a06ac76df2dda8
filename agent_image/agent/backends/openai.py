"""Shell: the backend for models in OpenAI's dialect: theirs, Ollama's, llama.cpp's, vLLM's.

The model is shown the conversation (context.py) and the tools, and asked again with what its tools
came to until it calls none. What it writes then is the answer, and is said by `send_message`, once:
not where the model has said the same by that tool itself, nor where it writes nothing because it
has said all. One that wrote beside its calls, and at the end had nothing to add, is taken at that
word. What it thought is not said.
"""

from __future__ import annotations

from collections.abc import Callable

from agent_image.agent.backends import Answer, Call, Character, Narrate, Steps, Task
from agent_image.agent.backends.chat_asking import PATIENCE_S, STALL_S, Chat, Unfit
from agent_image.agent.backends.chat_stream import Reply
from agent_image.agent.backends.talk import Talk, step_of
from agent_image.agent.model import Models

MAX_ROUNDS = 24  # of tools
SAY = "send_message"
CUT = "[My answer was longer than this model may write, and ends here.]"
WITHHELD = "[The provider of this model withheld the rest.]"


class OpenAI:
    """One model, by the name under which the model proxy knows it. The rest as `Chat` has it."""

    def __init__(
        self,
        models: Models,
        model: str,
        wrote: Callable[[str], None] = lambda _: None,
        stall_s: float = STALL_S,
        patience_s: float = PATIENCE_S,
    ) -> None:
        self._chat, self._model = Chat(models, model, wrote, stall_s, patience_s), model

    async def prepare(self, character: Character) -> None:
        """Nothing takes long: each question has a connection of its own."""

    async def rehearse(self) -> None:
        """Nor when it is done first."""

    async def close(self) -> None:
        """Nothing was opened."""

    async def work(self, task: Task) -> Steps:
        """Answer one message. Raises BackendFailed."""
        yield Narrate(f"asking {self._model}")
        talk, said, beside = Talk(task), set[str](), ""
        for n_left in range(MAX_ROUNDS, -1, -1):
            reply = await self._ask(talk)
            if reply.calls and n_left:
                beside = reply.text or beside
                talk.called(reply)
                for number, call in enumerate(reply.calls):
                    answer: Answer | None
                    match step_of(call, number, task, reply.stop):
                        case Answer() as answer:
                            pass
                        case Call(name, arguments) as step:
                            here = name == SAY and not arguments.get("conversation")
                            text = _plain(str(arguments.get("text"))) if here else ""
                            if text in said:
                                answer = Answer(False, "You have said this already.")
                            else:
                                if name != SAY:
                                    yield Narrate(f"using {name}")
                                answer = yield step
                                if text and answer is not None and answer.ok:
                                    said.add(text)
                    assert answer is not None
                    talk.answered(call, answer)
                if n_left == 1:
                    talk.conclude()
            elif n_left and not (reply.text or said or beside) and talk.may_be_asked_anew(reply):
                talk.found_empty()
            else:
                break
        words = _words(reply, "" if said else beside)
        if not words and not said:
            raise self._chat.failed(_why_nothing(reply))
        if words and _plain(words) not in said:
            answer = yield Call(SAY, {"text": words})
            if answer is not None and not answer.ok:  # too long, say: the person must hear why
                yield Call(SAY, {"text": answer.text})

    async def _ask(self, talk: Talk) -> Reply:
        try:
            return await self._chat.ask(talk.fields())
        except Unfit as unfit:
            # A context that is too long has another code at each provider, or none but in words.
            if not talk.shorten():
                raise self._chat.failed(f"refused the request: {unfit}") from unfit
        try:
            return await self._chat.ask(talk.fields())
        except Unfit as unfit:
            raise self._chat.failed(f"refused the request: {unfit}") from unfit


def _words(reply: Reply, beside: str) -> str:
    match reply:
        case Reply("", _, _):
            return beside
        case Reply(text, _, "length"):
            return f"{text}\n\n{CUT}"
        case Reply(text, _, "content_filter"):
            return f"{text}\n\n{WITHHELD}"
        case _:
            return reply.text


def _why_nothing(reply: Reply) -> str:
    if reply.calls:
        return "used its tools again and again and came to no answer"
    match reply.stop:
        case "content_filter":
            return "gave no answer: its provider withheld it"
        case "length":
            return "gave no answer: it thought for longer than it may"
        case _:
            return "gave an empty answer"


def _plain(text: str) -> str:
    return " ".join(text.split())
