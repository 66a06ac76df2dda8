"""Pure: the plain commands of the built-in backend, read from a message's text."""

from __future__ import annotations

import re
from dataclasses import dataclass

from agent_image.agent.backends import house_commands, public_commands, task_commands
from agent_image.agent.backends.house_commands import HouseCommand, Incomplete
from agent_image.agent.backends.public_commands import PublicCommand
from agent_image.agent.backends.task_commands import TaskCommand
from nips.event import MAX_KIND

# In a group people call the assistant by name first: "@claw, /help".
ADDRESSED = re.compile(r"(?:@|nostr:)[^\s,:]+[,:]?\s+(?=/)")
# "/etc/passwd" is a text, not a command.
COMMAND = re.compile(r"/([a-zA-Z]{1,20})(?:\s+(.*))?", re.DOTALL)
USAGE = {
    "say": "/say TEXT",
    "react": "/react 👍",
    "remember": "/remember TEXT",
    "run": "/run COMMAND",
    "search": "/search WORDS",
    "query": "/query WORDS",
    "sign": f"/sign KIND CONTENT, with a KIND from 0 to {MAX_KIND}",
}
SIGN = re.compile(r"([0-9]{1,5})(?:\s(.*))?", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Help:
    """`/help`."""


@dataclass(frozen=True, slots=True)
class React:
    """`/react SIGN`."""

    sign: str


@dataclass(frozen=True, slots=True)
class Remember:
    """`/remember TEXT`."""

    text: str


@dataclass(frozen=True, slots=True)
class Recall:
    """`/recall` or `/recall WORDS`."""

    words: str


@dataclass(frozen=True, slots=True)
class Run:
    """`/run COMMAND`."""

    line: str


@dataclass(frozen=True, slots=True)
class Search:
    """`/search WORDS`."""

    words: str


@dataclass(frozen=True, slots=True)
class Query:
    """`/query WORDS`."""

    words: str


@dataclass(frozen=True, slots=True)
class Sign:
    """`/sign KIND CONTENT`."""

    kind: int
    content: str


@dataclass(frozen=True, slots=True)
class Say:
    """`/say TEXT`."""

    text: str


@dataclass(frozen=True, slots=True)
class Unknown:
    """Something of a command's form with a name that is none: 1 to 20 ASCII letters."""

    name: str


@dataclass(frozen=True, slots=True)
class Empty:
    """A message in which there is nothing to see."""


@dataclass(frozen=True, slots=True)
class Text:
    """Any other message: what a model would read."""

    n_chars: int


Command = (
    Help
    | React
    | Remember
    | Recall
    | Run
    | Search
    | Query
    | Sign
    | Say
    | PublicCommand
    | HouseCommand
    | TaskCommand
    | Incomplete
    | Unknown
    | Empty
    | Text
)


def parse(text: str) -> Command:
    """Read a message. Never raises: whatever a person sends is one of these."""
    if not any(sign.isprintable() and not sign.isspace() for sign in text):
        return Empty()
    stripped = text.strip()
    if addressed := ADDRESSED.match(stripped):
        stripped = stripped[addressed.end() :]
    found = COMMAND.fullmatch(stripped)
    if found is None:
        return Text(len(text))
    return _command(found[1].lower(), (found[2] or "").strip())


def _command(name: str, rest: str) -> Command:
    for known in (USAGE, public_commands.USAGE, house_commands.USAGE, task_commands.USAGE):
        if not rest and name in known:
            return Incomplete(known[name])
    match name:
        case "help":
            return Help()
        case "say":
            return Say(rest)
        case "react":
            return React(rest)
        case "remember":
            return Remember(rest)
        case "recall":
            return Recall(rest)
        case "run":
            return Run(rest)
        case "search":
            return Search(rest)
        case "query":
            return Query(rest)
        case "sign":
            found = SIGN.fullmatch(rest)
            if found is None or int(found[1]) > MAX_KIND:
                return Incomplete(USAGE[name])
            return Sign(int(found[1]), found[2] or "")
        case _:
            return _of_others(name, rest)


def _of_others(name: str, rest: str) -> Command:
    return (
        public_commands.parse(name, rest)
        or house_commands.parse(name, rest)
        or task_commands.parse(name, rest)
        or Unknown(name)
    )
