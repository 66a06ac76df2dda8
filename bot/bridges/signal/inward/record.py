"""Pure: what the service gave out, kept on the relay until it is in its group.

The service forgets what it has given out, so it is written down before anything is done with it:
kind 30078 by the bridge, the item as JSON for its content,

    ["d", "signal/<the envelope's once-key>"]
    ["o", "<the same>"]              an item that is given out twice is kept once
    ["t", "signal-inbox"]            it waits
    ["expiration", "1700000000"]

When it is dealt with an empty version takes its place, which says nothing and does not wait.
Source: PROTOCOL.md "What came from Signal".
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson

from bot.bridges.signal.people import once
from bot.bridges.signal.received.envelope import Identity
from nips.event import Event, Tag, Template
from nips.kinds import Kind
from nips.nip40 import expiration_tag
from nips.own.fields import json_object
from nips.refusal import Malformed

D_PREFIX = "signal/"
WAITING = "signal-inbox"
KEPT_S = 30 * 86_400
SETTLED_KEPT_S = 3_600
MAX_CONTENT_BYTES = 900_000  # as JSON: an event has to fit into a frame of 1 MiB
MAX_ITEMS, MAX_CHARS, MAX_DEPTH = 256, 66_000, 16  # more than is ever read of an item


def template(
    item: Mapping[str, Any], identity: Identity, bridge: str, now_s: int, gone_at_s: int | None
) -> Template:
    """The unsigned event of the bridge (hex) that keeps an item. gone_at_s: the unix second from
    which nobody keeps what it says. Raises Malformed for one that is too large."""
    name = once(identity)
    tags = (
        ("d", D_PREFIX + name),
        ("o", name),
        ("t", WAITING),
        expiration_tag(gone_at_s or now_s + KEPT_S),
        ("alt", "A message from Signal on its way into its group"),
    )
    return Template(bridge, now_s, Kind.APP_DATA, tags, _content(item))


def settled_template(record: Event, now_s: int) -> Template:
    """The unsigned event that takes the place of a record whose item is dealt with."""
    # Two versions in one second tie and the lower id wins: each steps forward.
    created_at = max(now_s, record.created_at + 1)
    tags: tuple[Tag, ...] = (
        ("d", record.tag("d") or ""),
        expiration_tag(created_at + SETTLED_KEPT_S),
        ("alt", "A message from Signal that is in its group"),
    )
    return Template(record.pubkey, created_at, Kind.APP_DATA, tags, "")


def item_of(record: Event) -> Mapping[str, Any]:
    """The item that a record keeps. Raises Malformed."""
    return json_object("record", record.content)


def _content(item: Mapping[str, Any]) -> str:
    text = _encoded(item)
    if text is None or len(orjson.dumps(text)) > MAX_CONTENT_BYTES:
        # Attack: ten thousand mentions, or a thousand lists within each other. What nobody reads
        # is left out, and the words are kept.
        text = _encoded(_bounded(item, MAX_DEPTH))
    if text is None or len(orjson.dumps(text)) > MAX_CONTENT_BYTES:
        raise Malformed("it is too large to be kept")
    return text


def _encoded(value: object) -> str | None:
    try:
        return orjson.dumps(value).decode()
    except TypeError:  # half of a surrogate pair, or lists within lists without end
        return None


def _bounded(value: object, depth: int) -> object:
    match value:
        case str():
            whole = value[:MAX_CHARS].encode("utf-16-le", "surrogatepass")
            return whole.decode("utf-16-le", "replace")
        case dict() | list() if depth == 0:
            return None
        case dict():
            some = list(value.items())[:MAX_ITEMS]
            return {_bounded(key, 1): _bounded(inner, depth - 1) for key, inner in some}
        case list():
            return [_bounded(inner, depth - 1) for inner in value[:MAX_ITEMS]]
        case _:
            return value
