"""An oracle: what Amethyst's "Agent Work" shows of jobs, folded as its source does.

Written from a description of vitorpamplona/amethyst at 10149d71, not from our own output or
parsers. Events are plain JSON objects; what is not understood is passed over, as a client does.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

REQUEST, ACCEPTED, PROGRESS, RESULT, CANCEL, ERROR, REACTION = *range(43_001, 43_007), 7
TERMINAL = {RESULT: "completed", ERROR: "failed", CANCEL: "cancelled"}


def asked(group: str) -> list[dict[str, Any]]:
    """The filters that the screen sends."""
    return [{"kinds": [*range(43_001, 43_007), 7], "#h": [group]}]


@dataclass(frozen=True, slots=True)
class Card:
    """One job on the screen. text: of its end, or of what it said last on its way."""

    id: str
    group: str
    by: str
    agents: tuple[str, ...]
    prompt: str
    state: str
    text: str
    upvotes: int


def fold(events: Iterable[dict[str, Any]]) -> dict[str, Card]:
    """The cards by the id of their 43001."""
    every = list(events)
    return {
        event["id"]: _card(event, every)
        for event in every
        if event["kind"] == REQUEST and values(event, "h")
    }


def _card(request: dict[str, Any], events: list[dict[str, Any]]) -> Card:
    about = [event for event in events if request["id"] in values(event, "e")]
    ends = [event for event in about if event["kind"] in TERMINAL]
    steps = [event for event in about if event["kind"] == PROGRESS]
    if ends:
        end = newest(ends)
        state, text = TERMINAL[end["kind"]], end["content"]
    elif steps:
        state, text = "in progress", newest(steps)["content"]
    elif any(event["kind"] == ACCEPTED for event in about):
        state, text = "accepted", ""
    else:
        state, text = "requested", ""
    fans = {e["pubkey"] for e in about if e["kind"] == REACTION and e["content"] != "-"}
    return Card(
        request["id"],
        values(request, "h")[0],
        request["pubkey"],
        tuple(values(request, "p")),
        request["content"],
        state,
        text,
        len(fans),
    )


def newest(events: list[dict[str, Any]]) -> dict[str, Any]:
    """The latest; of several in one second any may be the one, so the caller's stream must not
    depend on it."""
    return max(events, key=lambda event: event["created_at"])


def values(event: dict[str, Any], name: str) -> list[str]:
    """The first values of the tags of a name."""
    return [tag[1] for tag in event["tags"] if tag[:1] == [name] and len(tag) > 1]
