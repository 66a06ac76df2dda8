"""Pure: what the run of a task is given besides its prompt: what has set it off, what its gate has
said. Somebody else's words, whoever they are: they stand quoted under a line of ours.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime

from nips.event import Event
from nips.own.cause import Called, Cause, Published, Said

MAX_BESIDE_BYTES = 24 * 2**10
MAX_TAGS = 40
LATEST_S = 253_402_300_799  # the end of the year 9999
SET_OFF = "What has set it off"
GATE = "What the command before it has written"


@dataclass(frozen=True, slots=True)
class Beside:
    """title, head: ours, without a word of others. text: theirs, "" for none."""

    title: str
    head: str
    text: str = ""


def of_cause(cause: Cause | None, events: Iterable[Event], group: str) -> tuple[Beside, ...]:
    """What has set a run off; nothing for a moment. events: what was fetched, among it the event of
    the group (its id) that is named, if that is still there."""
    match cause:
        case Published(event):
            return (_shown(event, "a public event"),)
        case Said(wanted):
            # Attack: another group's words, named by somebody who took over the router's pen.
            here = [e for e in events if e.id == wanted and e.values("h") == [group]]
            if not here:
                return (Beside(SET_OFF, "[Something of this conversation that is gone by now.]"),)
            return (_shown(here[0], "an event of this conversation"),)
        case Called(media_type, body, _):
            return (Beside(SET_OFF, f"A call from outside, {media_type}:", body),)
        case None:
            return ()


def of_gate(output: str) -> tuple[Beside, ...]:
    """What a gate has written that let the run go on."""
    return (Beside(GATE, "Its output:", output),) if output.strip() else ()


def _shown(event: Event, what: str) -> Beside:
    at = datetime.fromtimestamp(min(max(event.created_at, 0), LATEST_S), UTC)
    head = (
        f"{at:%Y-%m-%d %H:%M} UTC, {what}: kind {event.kind}, by key {event.pubkey}, id {event.id}:"
    )
    tags = [json.dumps(tag, ensure_ascii=False) for tag in event.tags[:MAX_TAGS]]
    return Beside(SET_OFF, head, "\n".join((event.content, *tags)))
