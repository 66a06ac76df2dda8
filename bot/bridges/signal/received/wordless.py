"""Pure: what Signal can send that has no words, as a line of text for whoever reads the group.

Source: signal-cli, org.asamk.signal.json.JsonSticker, JsonSharedContact, JsonPollCreate.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from bot.bridges.signal.fields import Fields

MAX_FIELD_CHARS = 200
MAX_CONTACTS, MAX_WAYS = 8, 4
MAX_OPTIONS = 20


def in_lines(data: Fields) -> Iterator[str]:
    """A line for each sticker, contact, poll and payment of a dataMessage. Raises Malformed."""
    if data.has("sticker"):
        yield "[a sticker]"
    for contact in data.parts("contacts", MAX_CONTACTS):
        yield _line("contact", _contact(contact))
    if poll := data.part("pollCreate"):
        question = _one_line(poll.text("question", MAX_FIELD_CHARS))
        options = poll.texts("options", MAX_OPTIONS, MAX_FIELD_CHARS)
        yield _line("poll", [question, *map(_one_line, options)])
    if data.has("payment"):
        yield "[a payment]"


def _contact(contact: Fields) -> Sequence[str]:
    name = contact.part("name")
    given = (
        ""
        if name is None
        else " ".join(
            name.text(part, MAX_FIELD_CHARS) or "" for part in ("given", "middle", "family")
        )
    )
    nickname = "" if name is None else name.text("nickname", MAX_FIELD_CHARS)
    organization = contact.text("organization", MAX_FIELD_CHARS)
    ways = [*contact.parts("phone", MAX_WAYS), *contact.parts("email", MAX_WAYS)]
    shown = _one_line(given) or _one_line(nickname) or _one_line(organization)
    return [shown, *(_one_line(way.text("value", MAX_FIELD_CHARS)) for way in ways)]


def _line(what: str, words: Sequence[str]) -> str:
    shown = [word for word in words if word]
    return f"[{what}: {', '.join(shown)}]" if shown else f"[a {what}]"


def _one_line(text: str | None) -> str:
    """Attack: a contact's name with a line feed: the next line is nobody's."""
    return " ".join((text or "").split())
