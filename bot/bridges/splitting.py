"""Pure: a long text in parts, each of which still reads like one."""

from __future__ import annotations

import json
from collections.abc import Callable

_ENDS = ("\n\n", "\n", ". ", " ")


def split(text: str, most: int, size: Callable[[str], int] = len) -> list[str]:
    """Cut a text into parts of at most `most` by `size`, at paragraph ends where it can.

    Falls back to line ends, sentences, words, then anywhere. Only blanks at the cuts are lost.
    size: of a text, at least its number of characters, and never less for a longer one.
    """
    parts = []
    while size(text) > most:
        end = _cut(text, most, size)
        parts.append(text[:end].rstrip())
        text = text[end:].lstrip()
    return [*(part for part in parts if part), *([text] if text or not parts else [])]


def json_bytes(text: str) -> int:
    """How long a text is in UTF-8 and JSON, without its quotation marks."""
    return len(json.dumps(text, ensure_ascii=False).encode()) - 2


def _cut(text: str, most: int, size: Callable[[str], int]) -> int:
    low, high = 1, min(len(text), most)
    while low < high:  # the longest prefix that fits
        middle = (low + high + 1) // 2
        if size(text[:middle]) <= most:
            low = middle
        else:
            high = middle - 1
    return end_of_part(text, low)


def end_of_part(text: str, fits: int) -> int:
    """Where to cut a text of which the first `fits` characters are the most that fit."""
    for end in _ENDS:
        # Not before the middle: a part of one line would read like an accident.
        if (found := text.rfind(end, fits // 2, fits)) > 0:
            return found + len(end)
    return fits
