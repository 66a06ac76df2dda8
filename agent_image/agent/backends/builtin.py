"""Pure: the backend that needs no model: plain commands, carried out with a model's tools."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from agent_image.agent.backends import Answer, Call, Narrate, Steps, Task
from agent_image.agent.backends.commands import (
    Command,
    Empty,
    Help,
    Incomplete,
    Note,
    React,
    Recall,
    Remember,
    Run,
    Say,
    Sign,
    Text,
    Unknown,
    parse,
)

HELP = """\
I answer plain commands:
/help – this list
/say TEXT – I say it
/note TEXT – a public note under my name
/react 👍 – a reaction to your message
/remember TEXT – I keep it for this conversation
/recall [WORDS] – what I was told to remember
/run COMMAND – in a container without a network
/sign KIND CONTENT – I ask my signer for an event of any kind; it decides"""
NO_MODEL = (
    "No model is configured here, so I only know plain commands; send /help for the list. "
    "This version of my image has the built-in backend alone. Model backends come with its "
    "next version: to choose one then, set `backend` for this group."
)
EMPTY = "Your message arrived, but I see no text in it. Send me some words, or /help."
LONG_CHARS = 1_000  # from here on a person may wonder whether all of it arrived


@dataclass(frozen=True, slots=True)
class Plan:
    """What to do about one message: perhaps a call, then words made of its answer."""

    words: Callable[[str], str]
    call: Call | None = None
    line: str | None = None  # for those who watch, where it may take a while


async def work(task: Task) -> Steps:
    """Answer the job's message with one message; a refusal is told as it came."""
    plan = plan_of(parse(task.job.message.text))
    if plan.line is not None:
        yield Narrate(plan.line)
    answer: Answer | None = Answer(True, "")
    if plan.call is not None:
        answer = yield plan.call
    assert answer is not None
    said = yield _say(plan.words(answer.text) if answer.ok else answer.text)
    if said is not None and not said.ok:  # too long, say: the person must hear why
        yield _say(said.text)


def plan_of(command: Command) -> Plan:
    """Decide what a command asks for. The words never repeat what a person or a file said,
    except where that is what was asked: /say, /recall, /run."""
    match command:
        case Help():
            return Plan(lambda _: HELP)
        case Say(text):
            return Plan(lambda _: text)
        case Note(text):
            call = Call("publish_note", {"text": text})
            return Plan(lambda done: f"Your note is {done}.", call)
        case React(sign):
            call = Call("react", {"sign": sign})
            return Plan(lambda _: "Done, I reacted to your message.", call)
        case Remember(text):
            return Plan(lambda done: f"Yes: {done}.", Call("remember", {"text": text}))
        case Recall(words):
            nothing = "I remember nothing with these words." if words else "I remember nothing yet."
            return Plan(lambda known: known or nothing, Call("recall", {"words": words}))
        case Run(line):
            call = Call("run_command", {"line": line})
            return Plan(lambda output: output, call, "running a command")
        case Sign(kind, content):
            call = Call("publish_event", {"kind": kind, "content": content})
            return Plan(lambda done: f"The signer agreed: {done}.", call)
        case _:
            words = _plain_answer(command)
            return Plan(lambda _: words)


def _plain_answer(command: Command) -> str:
    match command:
        case Incomplete(usage):
            return f"That needs a little more: {usage}"
        case Unknown(name):
            return f"I know no command /{name}. Send /help for the list."
        case Empty():
            return EMPTY
        case Text(n_chars) if n_chars >= LONG_CHARS:
            return f"Your message of {n_chars:,} characters arrived. {NO_MODEL}"
        case _:
            return f"Your message arrived. {NO_MODEL}"


def _say(text: str) -> Call:
    return Call("send_message", {"text": text})
