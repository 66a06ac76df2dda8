"""Pure: the backend that needs no model: plain commands, carried out with a model's tools."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from agent_image.agent.backends import (
    Answer,
    Call,
    Narrate,
    Steps,
    Task,
    house_commands,
    public_commands,
    task_commands,
)
from agent_image.agent.backends.commands import (
    Command,
    Empty,
    Help,
    Query,
    React,
    Recall,
    Remember,
    Run,
    Say,
    Search,
    Sign,
    Text,
    Unknown,
    parse,
)
from agent_image.agent.backends.house_commands import Incomplete

HELP = """\
I answer plain commands:
/help – this list
/say TEXT – I say it
/note TEXT – a public note under my name
/article TITLE, and the text in lines of its own – a public article, if my owner agrees
/draft TITLE, and the text – one to look at first; /publish NAME makes it public, if they agree
/reply NOTE TEXT, /comment EVENT TEXT, /like EVENT – to what others published
/retract EVENT – something public of mine, if my owner agrees
/react 👍 – a reaction to your message
/remember TEXT – I keep it for this conversation
/recall [WORDS] – what I was told to remember
/search WORDS – what was said here before
/query WORDS – what is public on my relays
/run COMMAND – in a container without a network
/sendfile NAME – a file of this conversation's folder
/askowner QUESTION – for a yes or a no
/myname NAME – what I am called here
/rules JSON – of this conversation, as {"paused":true}
/schedule "WHEN" TEXT – I answer TEXT at that time: "0 16 * * 1-5", "every 15m", "in 20m"
/tasks, /untask ID – what is planned here, and what is no more
/propose TITLE, and a patch in lines of its own – to my program, in my owner's own
/conversations, /newconversation NAME, /tell CONVERSATION TEXT – in my owner's own
/sign KIND CONTENT – I ask my signer for an event of any kind; it decides"""
NO_MODEL = (
    "I work without a language model here, so I only know plain commands; send /help for the "
    "list. With `nostrclaw model add` my owner gives me one."
)
HEARD = "I have heard my owner's answer."
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
    asked = task.job.message
    if task.context.router and asked.author == task.context.router and not asked.task:
        yield _say(HEARD)
        return
    plan = plan_of(parse(asked.text), task.character.persona.name)
    if plan.line is not None:
        yield Narrate(plan.line)
    answer: Answer | None = Answer(True, "")
    if plan.call is not None:
        answer = yield plan.call
    assert answer is not None
    said = yield _say(plan.words(answer.text) if answer.ok else answer.text)
    if said is not None and not said.ok:  # too long, say: the person must hear why
        yield _say(said.text)


def plan_of(command: Command, name: str | None = None) -> Plan:
    """Decide what a command asks for. name: what the assistant is called here. The words never
    repeat what a person or a file said, except where that is what was asked: /say, /recall, /run.
    """
    match command:
        case Help():
            return Plan(lambda _: f"I am {name}. {HELP}" if name else HELP)
        case Say(text):
            return Plan(lambda _: text)
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
        case Search(words):
            return Plan(lambda found: found, Call("search_history", {"words": words}))
        case Query(words):
            return Plan(lambda found: found, Call("nostr_query", {"search": words}))
        case Sign(kind, content):
            return Plan(_sentence, Call("publish_event", {"kind": kind, "content": content}))
        case public_commands.Note(text):
            call = Call("publish_note", {"text": text})
            return Plan(lambda done: f"Your note is {done}.", call)
        case _ if (said := _public_call(command)) is not None:
            return Plan(_sentence, said)
        case _ if (asked := _call_of_the_house(command) or _task_call(command)) is not None:
            return Plan(lambda done: done, asked)
        case _:
            words = _plain_answer(command)
            return Plan(lambda _: words)


def _public_call(command: Command) -> Call | None:
    match command:
        case public_commands.Article(title, text, is_draft):
            more = {"draft": True} if is_draft else {}
            return Call("publish_article", {"title": title, "text": text, **more})
        case public_commands.Publish(slug):
            return Call("publish_article", {"slug": slug})
        case public_commands.Reply(to, text):
            return Call("publish_reply", {"to": to, "text": text})
        case public_commands.Comment(on, text):
            return Call("comment", {"on": on, "text": text})
        case public_commands.Like(to, sign):
            return Call("react_publicly", {"to": to, "sign": sign})
        case public_commands.Retract(what):
            return Call("retract", {"what": what})
        case _:
            return None


def _call_of_the_house(command: Command) -> Call | None:
    match command:
        case house_commands.SendFile(name):
            return Call("send_file", {"name": name})
        case house_commands.AskOwner(question):
            return Call("ask_owner", {"question": question})
        case house_commands.Propose(title, patch):
            return Call("propose_change", {"title": title, "patch": patch})
        case house_commands.MyName(name):
            return Call("set_persona", {"name": name})
        case house_commands.ListGroups():
            return Call("list_groups", {})
        case house_commands.NewGroup(name, people):
            return Call("register_group", {"name": name, "people": people})
        case house_commands.SetGroup(conversation, changes):
            return Call("set_group", {"conversation": conversation, "changes": changes})
        case house_commands.Tell(conversation, text):
            return Call("send_message", {"text": text, "conversation": conversation})
        case _:
            return None


def _task_call(command: Command) -> Call | None:
    match command:
        case task_commands.Schedule(when, prompt):
            return Call("schedule_task", {"when": when, "prompt": prompt})
        case task_commands.ListTasks(task):
            return Call("list_tasks", {"task": task})
        case task_commands.CancelTask(task):
            return Call("cancel_task", {"task": task})
        case _:
            return None


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


def _sentence(done: str) -> str:
    return done[:1].upper() + done[1:]


def _say(text: str) -> Call:
    return Call("send_message", {"text": text})
