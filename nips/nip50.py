"""Pure: what a search looks for, and whether a text holds it. Source: NIP-50.

A text is a row of terms: folded to lower case without accents, divided at what is no letter or
digit. Chinese, Japanese and pictures, which are written without spaces, are a term a character.
Index and query use the same terms, so nothing that a query holds is ever syntax.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from functools import lru_cache

MAX_QUERY_CHARS = 4_096
MAX_TERMS = 64
MAX_TEXT_CHARS = 100_000  # of a content that is looked through

_ALONE = "\u2190-\u2bff\u2e80-\ua4cf\uf900-\ufaff\U0001f000-\U0001faff\U00020000-\U0003ffff"
_TERM = re.compile(f"[{_ALONE}]|[^\\W_{_ALONE}]+")
# NIP-50: "`key:value` pairs (two words separated by colon), these are extensions". An address
# such as https://example.com is no pair of words.
_EXTENSION = re.compile(r"([A-Za-z][A-Za-z0-9_-]*):(?!/)(\S+)")


@dataclass(frozen=True, slots=True)
class Query:
    """A search. Every phrase must occur, its terms one after the other.

    is_blank: nothing but extensions was written, so that nothing is asked of the text. A query
    of signs alone is not blank and has no phrase: it finds nothing.
    """

    phrases: tuple[tuple[str, ...], ...]
    is_blank: bool

    def matches(self, content: str) -> bool:
        """Say whether a content holds what is looked for."""
        if not self.phrases:
            return self.is_blank
        found = terms(content)
        return all(_holds(found, phrase) for phrase in self.phrases)


def terms(text: str) -> list[str]:
    """The terms of a text, in its order."""
    text = text[:MAX_TEXT_CHARS]
    if text.isascii():  # which nothing below changes but its case
        return _TERM.findall(text.lower())
    decomposed = unicodedata.normalize("NFKD", text)
    bare = "".join(one for one in decomposed if not unicodedata.combining(one))
    return _TERM.findall(unicodedata.normalize("NFKD", bare.casefold()))


@lru_cache(maxsize=256)
def parse(search: str) -> Query:
    """Read the `search` of a filter; there is no search that cannot be read.

    NIP-50: "relays SHOULD ignore extensions they don't support", and none is supported here.
    """
    words = [word for word in search[:MAX_QUERY_CHARS].split() if not _EXTENSION.fullmatch(word)]
    phrases: list[tuple[str, ...]] = []
    left = MAX_TERMS
    for word in words:
        phrase = tuple(terms(word)[:left])
        if phrase and phrase not in phrases:
            phrases.append(phrase)
            left -= len(phrase)
    return Query(tuple(phrases), not words)


def _holds(found: list[str], phrase: tuple[str, ...]) -> bool:
    first, length = phrase[0], len(phrase)
    return any(
        one == first and tuple(found[place : place + length]) == phrase
        for place, one in enumerate(found)
    )
