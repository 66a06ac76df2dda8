"""Pure: the items of an answer that should be a JSON array of them and often is none.

    [item,item,item]                    as it should be: read at once
    [item,item,Exception in thread …]   what signal-cli printed beside them was joined to them
    item⏎item⏎Failed to …               it ended badly: what it printed, as an error's text
    item⏎{"envelope":{"sour             it was killed in the midst of one: lost, and counted

The service deletes what it hands out: what is not read here is read nowhere.
Source: the service's own code, client/client.go Receive, client/cli.go Execute.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import orjson

MAX_BROKEN = 64  # places where no object can be read, in one answer
MAX_GAP_CHARS = 8  # of white space before an object
# Where an object can begin that belongs to no other: signal-cli prints one a line, the service
# puts commas in the place of the line ends.
# Attack: words of a sender's that look like an item. Inside an item their quotation marks have
# backslashes, so they begin no object; a program's complaint that repeats them does not begin with
# them.
# Attack: line ends without number, each of which would look at all that follow.
_START = re.compile(rf'(?:\A|[\[,\n}}\]])\s{{0,{MAX_GAP_CHARS}}}(?=\{{")')
_OF_AN_ITEM = re.compile(r'\{"(?:envelope|account|exception)"')
_DECODER = json.JSONDecoder()


@dataclass(frozen=True, slots=True)
class Salvaged:
    """items: in their order. n_salvaged: how many of them were found in what was no array.
    n_lost: how many begin and cannot be read.
    """

    items: tuple[Mapping[str, Any], ...]
    n_salvaged: int = 0
    n_lost: int = 0


def salvage(text: str) -> Salvaged:
    """All items in a body, or in an error's text."""
    whole = _array(text)
    return _pieces(text) if whole is None else whole


def may_hold_items(text: str) -> bool:
    """Say whether an error's text holds items, or the beginning of one."""
    return _OF_AN_ITEM.search(text) is not None


def _array(text: str) -> Salvaged | None:
    # Attack: brackets without end; the parser counts them and gives up.
    try:
        found = orjson.loads(text)
    except (orjson.JSONDecodeError, UnicodeEncodeError):
        return None
    items = found if isinstance(found, list) else [found]
    return Salvaged(tuple(item for item in items if is_item(item)))


def _pieces(text: str) -> Salvaged:
    items: dict[int, Mapping[str, Any]] = {}  # by where they begin
    n_broken = n_in_vain = at = 0
    # Attack: objects that begin within each other and never end. Of such a text each place where
    # one begins would be read to its end, and nobody else's work goes on meanwhile.
    while (
        n_broken < MAX_BROKEN
        and n_in_vain <= len(text)
        and (start := _START.search(text, at)) is not None
    ):
        begin = start.end()
        try:
            found, end = _DECODER.raw_decode(text, begin)
        except (ValueError, RecursionError) as error:
            ended = error.pos if isinstance(error, json.JSONDecodeError) else len(text)
            n_in_vain += ended - begin
            n_broken += 1
            at = begin + 1
            continue
        try:
            if (item := _plain(found)) is not None:
                items[begin] = item
        except (ValueError, RecursionError):
            n_broken += 1
        at = end - 1  # its last bracket: another may follow at once
    n_lost = sum(begun.start() not in items for begun in _OF_AN_ITEM.finditer(text))
    return Salvaged(tuple(items.values()), n_salvaged=len(items), n_lost=n_lost)


def _plain(found: Any) -> Mapping[str, Any] | None:
    """An item that can be written down again as it is. Raises ValueError.

    Attack: half of a surrogate pair, or NaN: read by one parser and by no other.
    """
    if not is_item(found):
        return None
    written = json.dumps(found, ensure_ascii=False, allow_nan=False)
    plain: Mapping[str, Any] = orjson.loads(written.encode("utf-8", "replace"))
    return plain


def is_item(found: Any) -> bool:
    """Say whether this is something received, and not a part of it, or an object of others."""
    return (
        isinstance(found, Mapping)
        and "account" in found
        and bool(found.keys() & {"envelope", "exception"})
    )
