"""Pure: what an agent may have the public relays asked for, and what of an answer is passed on.

Source: PROTOCOL.md "Requests to the router", `nostr_query`. A question is a filter (NIP-01, and
`search` of NIP-50) within narrow limits. Mail is no part of it, nor are logins and requests to
signers and wallets: those are read by whom they are for.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from nips.event import Event
from nips.filter import Filter
from nips.kinds import Storage, storage
from nips.nip50 import parse as parse_search
from nips.refusal import Malformed

# Direct messages, seals, what they hold, gift wraps; whatever is ephemeral (logins 22242, requests
# 24133, wallets 23194) is private too.
PRIVATE_KINDS = frozenset({4, 13, 14, 15, 1_059, 1_060})
MAX_VALUES = 20  # kinds, authors, ids
MAX_SEARCH_CHARS = 200
MAX_HASHTAG_CHARS = 64
MAX_NAME_CHARS = 255  # of an addressable event, its `d`: as much as an naddr holds
MAX_EVENTS, USUAL_EVENTS = 50, 20
MAX_EVENT_BYTES = 64 * 2**10
MAX_CONTENT_CHARS = 8_000  # of one event as passed on
MAX_TAGS, MAX_TAG_CHARS = 40, 1_000
MAX_ANSWER_CHARS = 48 * 2**10


def is_private(kind: int) -> bool:
    """Say whether a kind is not for everybody to read, or is not kept."""
    return kind in PRIVATE_KINDS or storage(kind) is Storage.EPHEMERAL


def checked(wanted: Filter) -> Filter:
    """The question with a limit. Raises Malformed, in words, for one that is not asked."""
    if private := sorted(kind for kind in wanted.kinds or () if is_private(kind)):
        raise Malformed(f"kind {private[0]} is private and not asked for")
    if wanted.after_seq is not None or set(wanted.tags) - {"t", "d"}:
        raise Malformed("ask by kinds, authors, ids, search, hashtag, name and time alone")
    lists = (wanted.kinds, wanted.authors, wanted.ids, *map(wanted.tags.get, ("t", "d")))
    if any(values is not None and not 1 <= len(values) <= MAX_VALUES for values in lists):
        raise Malformed(f"each list has 1 to {MAX_VALUES} values")
    if all(values is None for values in lists) and not wanted.search:
        raise Malformed("say what to look for: kinds, authors, ids, a hashtag or words")
    if len(wanted.search or "") > MAX_SEARCH_CHARS:
        raise Malformed(f"a search has at most {MAX_SEARCH_CHARS} characters")
    if any(not 1 <= len(word) <= MAX_HASHTAG_CHARS for word in wanted.tags.get("t", ())):
        raise Malformed(f"a hashtag has 1 to {MAX_HASHTAG_CHARS} characters")
    if any(len(name) > MAX_NAME_CHARS for name in wanted.tags.get("d", ())):
        raise Malformed(f"a name has at most {MAX_NAME_CHARS} characters")
    limit = USUAL_EVENTS if wanted.limit is None else wanted.limit
    if not 1 <= limit <= MAX_EVENTS:
        raise Malformed(f"limit is from 1 to {MAX_EVENTS}")
    return Filter.from_json(wanted.to_json() | {"limit": limit})


def answers(wanted: Filter, event: Event) -> bool:
    """Say whether an event, by form, is one that was asked for. Attack: a relay answers with what
    it likes: with mail, with another author's words, with a megabyte."""
    if is_private(event.kind) or not wanted.matches(event):
        return False
    if len(event.content.encode()) + sum(len(part) for t in event.tags for part in t) > (
        MAX_EVENT_BYTES
    ):
        return False
    if not wanted.search:
        return True
    # A relay without NIP-50 ignores the words. Titles and names stand in tags.
    said = [event.content, *(part for tag in event.tags for part in tag[1:2])]
    return parse_search(wanted.search).matches("\n".join(said))


def shown(events: Iterable[Event]) -> tuple[list[dict[str, Any]], int]:
    """Events as they are passed on, newest first, and how many there was no room for."""
    ordered = sorted(events, key=lambda event: (-event.created_at, event.id))
    out: list[dict[str, Any]] = []
    left_chars = MAX_ANSWER_CHARS
    for event in ordered:
        one = _shown(event)
        left_chars -= sum(len(str(value)) for value in one.values()) + 100
        if left_chars < 0:
            break
        out.append(one)
    return out, len(ordered) - len(out)


def _shown(event: Event) -> dict[str, Any]:
    tags = [list(tag) for tag in event.tags if sum(map(len, tag)) <= MAX_TAG_CHARS]
    n_left_out = len(event.tags) - len(tags[:MAX_TAGS])
    is_cut = len(event.content) > MAX_CONTENT_CHARS or n_left_out
    return {
        "id": event.id,
        "pubkey": event.pubkey,
        "kind": event.kind,
        "created_at": event.created_at,
        "tags": tags[:MAX_TAGS],
        "content": event.content[:MAX_CONTENT_CHARS],
        **({"cut": True} if is_cut else {}),
        **({"tags_left_out": n_left_out} if n_left_out else {}),
    }
