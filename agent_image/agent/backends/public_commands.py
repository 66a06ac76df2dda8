"""Pure: the plain commands by which people have the agent speak in public, or take it back."""

from __future__ import annotations

from dataclasses import dataclass

from agent_image.agent.backends.house_commands import Incomplete

USAGE = {
    "note": "/note TEXT",
    "article": "/article TITLE, then a new line and the text in Markdown",
    "draft": "/draft TITLE, then a new line and the text in Markdown",
    "publish": "/publish NAME, of a draft",
    "reply": "/reply NOTE TEXT, the note as nevent…, note… or id",
    "comment": "/comment ARTICLE TEXT, the article as naddr…, nevent… or id",
    "like": "/like EVENT, or /like EVENT 👍",
    "retract": "/retract EVENT, as naddr…, nevent… or id",
}


@dataclass(frozen=True, slots=True)
class Note:
    """`/note TEXT`."""

    text: str


@dataclass(frozen=True, slots=True)
class Article:
    """`/article TITLE` or `/draft TITLE`, and from the next line on its text."""

    title: str
    text: str
    is_draft: bool = False


@dataclass(frozen=True, slots=True)
class Publish:
    """`/publish NAME`, of a draft."""

    slug: str


@dataclass(frozen=True, slots=True)
class Reply:
    """`/reply NOTE TEXT`."""

    to: str
    text: str


@dataclass(frozen=True, slots=True)
class Comment:
    """`/comment EVENT TEXT`."""

    on: str
    text: str


@dataclass(frozen=True, slots=True)
class Like:
    """`/like EVENT [SIGN]`."""

    to: str
    sign: str


@dataclass(frozen=True, slots=True)
class Retract:
    """`/retract EVENT`."""

    what: str


PublicCommand = Note | Article | Publish | Reply | Comment | Like | Retract


def parse(name: str, rest: str) -> PublicCommand | Incomplete | None:
    """The command of that name, in lower case, with what follows it; None: it is none of these."""
    match name:
        case "note":
            return Note(rest)
        case "article" | "draft":
            title, _, text = rest.partition("\n")
            known = title.strip() and text.strip()
            if not known:
                return Incomplete(USAGE[name])
            return Article(title.strip(), text.strip(), name == "draft")
        case "publish":
            return Publish(rest)
        case "reply" | "comment" | "like":
            return _about(name, *rest.split(maxsplit=1))
        case "retract":
            return Retract(rest)
        case _:
            return None


def _about(name: str, event: str = "", said: str = "") -> PublicCommand | Incomplete:
    if name == "like" and event:
        return Like(event, said or "+")
    if not said:
        return Incomplete(USAGE[name])
    return Reply(event, said) if name == "reply" else Comment(event, said)
