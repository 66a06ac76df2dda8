"""Pure: the plain commands by which people have the agent ask the router: files, names, groups."""

from __future__ import annotations

import re
from dataclasses import dataclass

PERSON = re.compile(r"(?:nostr:)?(?:npub1|nprofile1)[a-z0-9]+|[a-z0-9-]{1,32}:\S+")
NAMED = re.compile(r"""(?:["“](?P<quoted>[^"”]+)["”]|(?P<word>\S+))\s+(?P<rest>.+)""", re.DOTALL)
USAGE = {
    "sendfile": "/sendfile NAME, of a file in this conversation's folder",
    "tell": "/tell CONVERSATION TEXT",
    "myname": "/myname NAME",
    "askowner": "/askowner QUESTION",
    "propose": "/propose TITLE, then a new line and a unified diff",
    "newconversation": "/newconversation NAME [npub…]",
    "rules": '/rules [CONVERSATION] {"paused":true}',
}


@dataclass(frozen=True, slots=True)
class Incomplete:
    """A command that lacks what it needs; `usage` shows its form."""

    usage: str


@dataclass(frozen=True, slots=True)
class SendFile:
    """`/sendfile NAME`."""

    name: str


@dataclass(frozen=True, slots=True)
class Tell:
    """`/tell CONVERSATION TEXT`; a name of several words stands in quotation marks."""

    conversation: str
    text: str


@dataclass(frozen=True, slots=True)
class AskOwner:
    """`/askowner QUESTION`."""

    question: str


@dataclass(frozen=True, slots=True)
class Propose:
    """`/propose TITLE`, and from the next line on a patch."""

    title: str
    patch: str


@dataclass(frozen=True, slots=True)
class MyName:
    """`/myname NAME`."""

    name: str


@dataclass(frozen=True, slots=True)
class ListGroups:
    """`/conversations`."""


@dataclass(frozen=True, slots=True)
class SetGroup:
    """`/rules JSON`, of this conversation; `/rules CONVERSATION JSON`."""

    conversation: str
    changes: str


@dataclass(frozen=True, slots=True)
class NewGroup:
    """`/newconversation NAME [npub…]…`."""

    name: str
    people: str


HouseCommand = (
    SendFile | Tell | AskOwner | Propose | MyName | ListGroups | SetGroup | NewGroup | Incomplete
)


def parse(name: str, rest: str) -> HouseCommand | None:
    """The command of that name, in lower case, with what follows it; None: it is none of these."""
    match name:
        case "sendfile":
            return SendFile(rest)
        case "askowner":
            return AskOwner(rest)
        case "propose":
            title, _, patch = rest.partition("\n")
            return Propose(title.strip(), f"{patch}\n") if patch else Incomplete(USAGE[name])
        case "myname":
            return MyName(rest)
        case "conversations":
            return ListGroups()
        case "newconversation":
            words = rest.split()
            people = [word for word in words if PERSON.fullmatch(word)]
            called = " ".join(word for word in words if word not in people)
            return NewGroup(called, " ".join(people)) if called else Incomplete(USAGE[name])
        case "tell" | "rules":
            return _of_group(name, rest)
        case _:
            return None


def _of_group(name: str, rest: str) -> HouseCommand:
    if name == "rules" and rest.startswith("{"):
        return SetGroup("", rest)
    if (found := NAMED.fullmatch(rest)) is None:
        return Incomplete(USAGE[name])
    conversation, said = found["quoted"] or found["word"], found["rest"].strip()
    return Tell(conversation, said) if name == "tell" else SetGroup(conversation, said)
