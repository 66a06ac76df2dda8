"""Pure: a text read as one of the owner's commands.

A command begins with `/` and one of the names of `table`, then a space or the text's end: so
"/etc/passwd is odd" is a message like any other. What the agent is told in the same form (`/say`)
is left to it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from bot.commands import asked, group_grammar, task_grammar, terms
from bot.commands.asked import Bad, Command
from bot.commands.table import AGENTS, RUN_ID, TABLE, nearest
from bot.commands.words import Unreadable, Word, rest, split, spoken
from nips.own.order import MAX_CHARS

HEAD = re.compile(r"/([A-Za-z][A-Za-z-]{0,29})(?=\s|$)")
MAX_LISTED = 50
PERSONA_PARTS = ("name", "picture", "text")
Reader = Callable[[str, Sequence[Word]], Command | Bad]


def is_command(text: str) -> bool:
    """Say whether a text is the owner's word to the assistant itself, good or bad, so that no
    agent is to be asked."""
    return parse(text) is not None


def parse(text: str) -> Command | Bad | None:
    """Read a text; None where it is no command of ours."""
    text = text.strip()
    found = HEAD.match(text)
    if found is None:
        return None
    name, arguments = found[1].lower(), text[found.end() :]
    if name in AGENTS and not (name == "run" and RUN_ID.fullmatch(arguments.strip())):
        return None
    if name not in TABLE:
        near = nearest(name, (*TABLE, *AGENTS))
        meant = f" Did you mean /{near}?" if near else " /help lists what there is."
        return Bad(f"There is no command /{name}.{meant}", near if near in TABLE else None)
    if len(text) > MAX_CHARS:
        return Bad(f"A command has at most {MAX_CHARS:,} characters, this has {len(text):,}.", name)
    try:
        words = () if name == task_grammar.ABOUT else split(arguments)  # a prompt is no words
        return READERS[name](arguments, words)
    except (Unreadable, terms.WrongTerm) as error:
        sentence = str(error)
        return Bad(f"{sentence[0].upper()}{sentence[1:]}.", name)


def _run(words: Sequence[Word]) -> Command | Bad:
    return asked.ShowRun(words[0].text.lower())


def _runs(words: Sequence[Word]) -> Command | Bad:
    count, others = terms.count_in(words, MAX_LISTED, "runs")
    return asked.ListRuns(spoken(others) or None, count or asked.ListRuns().count)


def _published(words: Sequence[Word]) -> Command | Bad:
    count, others = terms.count_in(words, MAX_LISTED, "publications")
    if others:
        return Bad(f"/published takes a number up to {MAX_LISTED}, or nothing.", "published")
    return asked.ListPublished(count or asked.ListPublished().count)


def _logs(words: Sequence[Word]) -> Command | Bad:
    count, others = terms.count_in(words, MAX_LISTED, "lines")
    if others:
        return Bad(f"/logs takes a number up to {MAX_LISTED}, or nothing.", "logs")
    return asked.Logs(count or asked.Logs().count)


def _allow(words: Sequence[Word]) -> Command | Bad:
    if not words:
        return asked.ListStrangers()
    return asked.Allow(terms.code(words[0]), spoken(words[1:]) or None)


def _settle(name: str, words: Sequence[Word]) -> Command | Bad:
    if not words:
        return asked.ListQuestions()
    if len(words) > 1:
        return Bad(f"/{name} takes one code and nothing else.", name)
    return asked.Settle(terms.code(words[0]), name == "approve")


def _help(words: Sequence[Word]) -> Command | Bad:
    if not words:
        return asked.Help()
    given = words[0].text.removeprefix("/").lower()
    if given in TABLE:
        return asked.Help(given)
    near = nearest(given, TABLE)
    meant = f" Did you mean /{near}?" if near else ""
    return Bad(f"There is no command /{given}.{meant}", near or "help")


def _budget(words: Sequence[Word]) -> Command | Bad:
    first = next((i for i, word in enumerate(words) if word.key in terms.LIMITS), len(words))
    group, terms_of_it = spoken(words[:first]), words[first:]
    if not terms_of_it:
        return asked.ShowBudget(group or None)
    if not group:
        return Bad("Say whose budget: the group's name comes first.", "budget")
    limits, more = terms.budget(terms_of_it)
    if limits and more:
        return Bad("+N is for today, N is for good: say them in two commands.", "budget")
    return asked.RaiseBudget(group, more) if more else asked.SetBudget(group, limits)


def _model(words: Sequence[Word]) -> Command | Bad:
    if len(words) < 2:
        return asked.ShowModels(spoken(words) or None)
    group, given = words[0].text, words[1:]
    match [word.key for word in given]:
        case ["default"]:
            return asked.SetModels(group, None)
        case ["none"]:
            return asked.SetModels(group, ())
        case keys if {"default", "none"} & set(keys):
            return Bad('"default" and "none" stand alone, without names of models.', "model")
    names = tuple(dict.fromkeys(word.text.strip(",") for word in given))
    return asked.SetModels(group, names)


def _persona(text: str, words: Sequence[Word]) -> Command | Bad:
    at = next((i for i, word in enumerate(words) if word.key in PERSONA_PARTS), len(words))
    group = spoken(words[:at]) or None
    if at == len(words):
        return asked.ShowPersona(group)
    part, value = words[at].key, words[at + 1 :]
    if not value:
        return Bad(f"What {part}? Write it after the word, or off.", "persona")
    given = rest(text, value[0])
    if len(value) == 1 and value[0].key == "off":
        return asked.SetPersona(group, part, None)
    if part != "text" and "\n" in given:
        return Bad(f"A {part} is one line.", "persona")
    if part == "picture" and not given.startswith("https://"):
        return Bad("A picture is an address that begins with https://.", "persona")
    return asked.SetPersona(group, part, given)


def _nothing_after(name: str, command: Command) -> Reader:
    def read(_text: str, words: Sequence[Word]) -> Command | Bad:
        return Bad(f"/{name} takes nothing after it.", name) if words else command

    return read


READERS: dict[str, Reader] = {
    "help": lambda _, words: _help(words),
    "status": _nothing_after("status", asked.Status()),
    "groups": _nothing_after("groups", asked.ListGroups()),
    "group": lambda text, words: group_grammar.read(text, words) if words else asked.ListGroups(),
    "tasks": lambda _, words: asked.ListTasks(spoken(words) or None),
    "task": lambda text, _: task_grammar.read(text),
    "runs": lambda _, words: _runs(words),
    "run": lambda _, words: _run(words),
    "relays": _nothing_after("relays", asked.Relays()),
    "signal": _nothing_after("signal", asked.Signal()),
    "published": lambda _, words: _published(words),
    "allow": lambda _, words: _allow(words),
    "deny": lambda _, words: _settle("deny", words),
    "approve": lambda _, words: _settle("approve", words),
    "stop": lambda _, words: asked.Stop(spoken(words) or None),
    "budget": lambda _, words: _budget(words),
    "model": lambda _, words: _model(words),
    "persona": _persona,
    "pause": lambda _, words: asked.Pause(spoken(words) or None),
    "resume": lambda _, words: asked.Pause(spoken(words) or None, on=False),
    "logs": lambda _, words: _logs(words),
}
