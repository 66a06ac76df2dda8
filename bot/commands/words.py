"""Pure: a command's text as words. What stands between quotation marks is one word, with the marks
of any keyboard: a phone writes “Ann and I” where a person typed "Ann and I"."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

CLOSING = {'"': '"', "“": "”", "”": "”", "„": "“”", "«": "»", "»": "«"}
MAX_WORDS = 64


class Unreadable(Exception):
    """The text cannot be split; the message says what is wrong with it."""


@dataclass(frozen=True, slots=True)
class Word:
    """One word. quoted: it stood between marks, so it is never one of a command's own words.
    start: where in the text it begins, its mark included."""

    text: str
    quoted: bool = False
    start: int = 0

    @property
    def key(self) -> str:
        """The word as a command's own words are compared: in lower case; nothing when quoted."""
        return "" if self.quoted else self.text.casefold()


def split(text: str) -> tuple[Word, ...]:
    """The words of a text. Raises Unreadable."""
    found: list[Word] = []
    at = 0
    while (one := taken(text, at)) is not None:
        if len(found) == MAX_WORDS:
            raise Unreadable(f"that has more than {MAX_WORDS} words")
        word, at = one
        found.append(word)
    return tuple(found)


def taken(text: str, at: int) -> tuple[Word, int] | None:
    """The first word from a place on, and where it ends; None where none is left. Raises
    Unreadable."""
    while at < len(text) and text[at].isspace():
        at += 1
    if at == len(text):
        return None
    return _quoted(text, at) if text[at] in CLOSING else _plain(text, at)


def spoken(words: Sequence[Word]) -> str:
    """Words as one name: with single spaces between them."""
    return " ".join(word.text for word in words)


def rest(text: str, first: Word) -> str:
    """What a text holds from a word on, line ends and all; without the marks around all of it."""
    said = text[first.start :].strip()
    if len(said) > 1 and said[-1] in CLOSING.get(said[0], "") and said.count(said[-1]) <= 2:
        return said[1:-1].strip()
    return said


def _plain(text: str, at: int) -> tuple[Word, int]:
    found = re.compile(r"\S+").match(text, at)
    assert found is not None
    return Word(found[0], start=at), found.end()


def _quoted(text: str, at: int) -> tuple[Word, int]:
    closing = CLOSING[text[at]]
    end = next((i for i in range(at + 1, len(text)) if text[i] in closing), None)
    if end is None:
        raise Unreadable(f"the quotation mark {text[at]} is not closed")
    return Word(text[at + 1 : end].strip(), quoted=True, start=at), end + 1
