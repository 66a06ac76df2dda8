"""Pure: what the owner is asked, in words made from the very event that would be signed.

The agent's words are only ever quoted (visible.py). Where not everything can be shown nothing is
asked: the owner would say yes to what they did not read. Only the middle of an article, or of a
draft of one, is left out, and that is said.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime

from nips import nip10, nip19, nip22, nip25
from nips.event import Event, Tag, Template
from nips.key import is_hex, is_public_key
from nips.kinds import Kind
from nips.nip22 import Scope
from nips.own.visible import MARK, quoted, visible
from nips.refusal import Malformed, Prefix, Refusal

LIFE_S = 600
MAX_SHOWN_TAGS = 100
MAX_TEXT_BYTES = 20_000  # as JSON: one direct message, read by every client (28,000)
HEAD_CHARS, TAIL_CHARS = 3_000, 500  # of an article
EXCERPT_CHARS = 200  # of an event that is retracted
CODE_BYTES = 8  # of what an answer in words names: as many as nobody guesses

# What a kind is to a person, and what a yes does.
_MEANINGS: Mapping[int, tuple[str, str]] = {
    Kind.PROFILE: ("the assistant's public profile", "It replaces the profile that is there now."),
    3: ("the assistant's contact list", "It replaces the whole list that is there now."),
    Kind.DELETION: ("a retraction", "It asks every relay to delete what is named below."),
    Kind.REACTION: ("a reaction", ""),
    Kind.RELAY_LIST: ("the assistant's relay list", "It replaces the list that is there now."),
    Kind.INBOX_RELAYS: (
        "where the assistant receives messages",
        "It replaces the list that is there now; messages go to these relays alone.",
    ),
    Kind.COMMENT: ("a public comment", ""),
    Kind.ARTICLE: (
        "a public article",
        "It replaces an article of the same name (d), if there is one.",
    ),
    Kind.DRAFT: (
        "a draft of an article",
        "It replaces a draft of the same name (d), if there is one, and is sent to nobody.",
    ),
    Kind.NOTE: ("a public note", ""),
}
# Of these alone the middle may be left out.
_LONG_KINDS = frozenset({Kind.ARTICLE, Kind.DRAFT})
# Our own book-keeping, which says nothing to a person: in exactly these forms.
_OWN_TAGS = frozenset({("L", "agent"), ("l", "ai", "agent")})
_OWN_IDS = frozenset({"o", "job"})


def name_of(kind: int) -> str:
    """A kind in words: `kind 0, the assistant's public profile`."""
    meaning = _MEANINGS.get(kind)
    return f"kind {kind}, {meaning[0]}" if meaning else f"kind {kind}"


def asker(group: str | None, main: str, bridge: str | None = None) -> str:
    """Who asks, in words. group: whose agent; None: a login, or the bridge of this name."""
    if bridge is not None:
        return f"Your assistant itself, by its bridge {bridge},"
    match group:
        case None:
            return "An app that is logged in as the assistant"
        case _ if group == main:
            return "The agent in your own conversation"
        case _:
            return f"The agent in the conversation {group}"


def note(template: Template, who: str, known: Mapping[str, Event]) -> str | Refusal:
    """The question without the ways to answer it; a refusal where it cannot be shown whole.

    who: see `asker`. known: the bot's events that a retraction names.
    """
    content = _content(template)
    tags = [tag for tag in template.tags if not _is_our_own(tag)]
    if isinstance(content, Refusal):
        return content
    if len(tags) > MAX_SHOWN_TAGS:
        return _too_long(f"{len(tags)} tags; {MAX_SHOWN_TAGS} can be shown")
    effect = _MEANINGS.get(template.kind, ("", ""))[1]
    what = (
        "to keep in the assistant's name, for you to read"
        if template.kind == Kind.DRAFT
        else "to publish in the assistant's name, for everybody to read"
    )
    lines = [
        f"{who} asks {what}: {name_of(template.kind)}.",
        *([effect] if effect else []),
        *_answered(template),
        *(_tag_lines(template.kind, tags, known) if tags else ["Tags: none"]),
        *(content if template.content else ["Content: none"]),
    ]
    text = "\n".join(lines)
    if len(json.dumps(text, ensure_ascii=False).encode()) > MAX_TEXT_BYTES:
        return _too_long(f"more than {MAX_TEXT_BYTES} bytes with everything made visible")
    return text


def text(note: str, code: str, deadline_s: int) -> str:
    """The whole question, with the ways to answer it. code: hex, random, of this question."""
    until = datetime.fromtimestamp(deadline_s, UTC).strftime("%H:%M:%S UTC")
    return (
        f"❓ {note}\n\n"
        f"It is published only if you say yes by {until}; silence is a no. In a direct message to "
        "me: react to this one with ✅ or ❌, or write\n"
        f"approve {code}\nor\ndeny {code}"
    )


def _tag_lines(kind: int, tags: list[Tag], known: Mapping[str, Event]) -> list[str]:
    lines = ["Tags:"]
    for tag in tags:
        lines.append(f"{MARK}{' | '.join(visible(_readable(tag, at)) for at in range(len(tag)))}")
        match tag:
            case ("e", event_id, *_) if kind == Kind.DELETION:
                lines += _target(known.get(event_id))
            case ("a", where, *_) if kind == Kind.DELETION:
                lines.append(f"{MARK}  ({_place(where)}, every version until now)")
    return lines


def _answered(template: Template) -> list[str]:
    """What a comment, a reaction or a reply is to, as its tags say, which are shown besides."""
    try:
        match template.kind:
            case Kind.COMMENT:
                said = nip22.parse(template)
                lines = ["It is, as its tags say, on:", MARK + _scope(said.root)]
                if said.parent != said.root:
                    lines += ["and answers:", MARK + _scope(said.parent)]
                return lines
            case Kind.REACTION:
                to = nip25.parse(template)
                what = "an event" if to.kind is None else name_of(to.kind)
                what = what if to.where is None else _place(to.where)
                return ["It is, as its tags say, to:", MARK + _by(what, to.to.author)]
            case Kind.NOTE if (parent := nip10.parse(template).parent) is not None:
                note = _by(name_of(Kind.NOTE), parent.author)
                return ["It answers, as its tags say:", MARK + note]
    except Malformed:
        pass  # then they say nothing that could be put into words
    return []


def _scope(scope: Scope) -> str:
    match scope.tag:
        case "A":
            return _by(_place(scope.value), scope.author)
        case "E" if re.fullmatch("[0-9]{1,5}", scope.kind):
            return _by(name_of(int(scope.kind)), scope.author)
        case _:
            return _by(visible(scope.value), scope.author)


def _place(where: str) -> str:
    kind, _, rest = where.partition(":")
    name = visible(rest.partition(":")[2])
    what = name_of(int(kind)) if re.fullmatch("[0-9]{1,5}", kind) else visible(kind)
    return f"{what}, named {name}" if name else what


def _by(what: str, author: str) -> str:
    return f"{what}, by {nip19.encode_npub(author)}" if is_public_key(author) else what


def _is_our_own(tag: Tag) -> bool:
    # Attack: words that nobody would say yes to, in a tag that is not shown.
    return tag in _OWN_TAGS or (len(tag) == 2 and tag[0] in _OWN_IDS and is_hex(tag[1], 32))


def _readable(tag: Tag, at: int) -> str:
    if at == 1 and tag[0] == "p" and is_public_key(tag[1]):
        return nip19.encode_npub(tag[1])
    return tag[at]


def _target(event: Event | None) -> list[str]:
    if event is None:
        return [f"{MARK}  (an event that this signer has not signed)"]
    excerpt = event.content[:EXCERPT_CHARS]
    more = "…" if len(event.content) > EXCERPT_CHARS else ""
    day = datetime.fromtimestamp(event.created_at, UTC).strftime("%Y-%m-%d")
    return [f"{MARK}  ({name_of(event.kind)}, of {day}: {visible(excerpt)}{more})"]


def _content(template: Template) -> list[str] | Refusal:
    given = template.content
    if template.kind not in _LONG_KINDS or len(given) <= HEAD_CHARS + TAIL_CHARS:
        if len(given) > MAX_TEXT_BYTES:  # cheap, before every character of it is looked at
            return _too_long(f"{len(given)} characters")
        return ["Content:", quoted(given)]
    left_out = len(given) - HEAD_CHARS - TAIL_CHARS
    return [
        f"Content, {len(given)} characters:",
        quoted(given[:HEAD_CHARS]),
        f"[{left_out} characters are left out here; you would publish them unread]",
        quoted(given[-TAIL_CHARS:]),
    ]


def _too_long(measure: str) -> Refusal:
    return Refusal(
        Prefix.INVALID, f"this event cannot be shown to the owner whole, it has {measure}"
    )
