"""Pure: what the router asks the owner in an agent's stead, and what became of it.

Source: PROTOCOL.md "Question". Kind 30078 by the router, `["d","question/<code>"]`; while it is
open, or its deeds are under way, `["t","question"]` too, by which those are found. The content

    {"group":"<uuid>","job":"<id>","request":"…","asked_at":1700000000,"state":"open",
     "deeds":[{"do":"change",…}],"settled_by":"…","outcome":"…"}
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum

from nips.event import Event, Tag, Template
from nips.kinds import Kind
from nips.own import deed as deeds
from nips.own.deed import Deed
from nips.own.fields import (
    group_id,
    hex32,
    integer,
    json_object,
    known_only,
    of_kind,
    only_tag,
    text,
)
from nips.refusal import Malformed

D_PREFIX = "question/"
LABEL = "question"
ANSWER_TAG = "owner-answer"  # of the message by which a group hears a yes or a no
OPEN_S = 3_600  # silence for so long is a no
MAX_DEEDS = 8
_FIELDS = frozenset(
    {"group", "job", "request", "asked_at", "state", "deeds", "settled_by", "outcome"}
)


class State(StrEnum):
    """open: nobody has answered. approved: it is being done. done, denied: its two ends."""

    OPEN = "open"
    APPROVED = "approved"
    DONE = "done"
    DENIED = "denied"


@dataclass(frozen=True, slots=True)
class Question:
    """code: by which it is answered. group, job: whose agent asks; request: its request's id.
    asked_at: unix seconds. deeds: what a yes has done. settled_by: once, of the answer. outcome:
    how it went, in words."""

    code: str
    group: str
    job: str
    request: str
    asked_at: int
    deeds: tuple[Deed, ...]
    state: State = State.OPEN
    settled_by: str = ""
    outcome: str = ""

    @property
    def until(self) -> int:
        """The second from which it counts as denied."""
        return self.asked_at + OPEN_S

    def waits_at(self, now_s: int) -> bool:
        """Say whether it can still be answered."""
        return self.state is State.OPEN and now_s < self.until

    def settled(self, state: State, once: str) -> Question:
        """The question after the owner's answer."""
        return replace(self, state=state, settled_by=once)

    def done(self, outcome: str) -> Question:
        """The question after its deeds."""
        return replace(self, state=State.DONE, outcome=outcome)


def template(question: Question, router: str, created_at: int, prev: str | None) -> Template:
    """The unsigned event of the router (hex). prev: the id of the version it replaces; "" for a
    code that must be new."""
    value: dict[str, object] = {
        "group": question.group,
        "job": question.job,
        "request": question.request,
        "asked_at": question.asked_at,
        "state": question.state.value,
        "deeds": [deeds.to_json(deed) for deed in question.deeds],
    }
    if question.settled_by:
        value["settled_by"] = question.settled_by
    if question.outcome:
        value["outcome"] = question.outcome
    tags: list[Tag] = [("d", D_PREFIX + question.code)]
    if question.state in (State.OPEN, State.APPROVED):
        tags.append(("t", LABEL))
    if prev is not None:
        tags.append(("prev", prev))
    tags.append(("alt", f"A question to the owner, {question.state}"))
    content = json.dumps(value, separators=(",", ":"), ensure_ascii=False)
    return Template(router, created_at, Kind.APP_DATA, tuple(tags), content)


def parse(event: Event | Template, router: str) -> Question:
    """Read a question whose author is `router`; the caller has verified the signature. Raises
    Malformed."""
    what = "question"
    of_kind(what, event, Kind.APP_DATA)
    if event.pubkey != router:
        raise Malformed("question: not by the router")
    d = only_tag(what, event, "d")
    if not d.startswith(D_PREFIX) or d == D_PREFIX:
        raise Malformed(f"question: d must be {D_PREFIX} and a code")
    value = json_object(what, event.content)
    known_only(what, value, _FIELDS)
    given = value.get("deeds")
    if not isinstance(given, list) or not 1 <= len(given) <= MAX_DEEDS:
        raise Malformed(f"question: deeds must be an array of 1 to {MAX_DEEDS}")
    return Question(
        d.removeprefix(D_PREFIX),
        group_id("question: group", value.get("group")),
        hex32("question: job", value.get("job")),
        text("question: request", value.get("request")),
        integer("question: asked_at", value.get("asked_at")),
        tuple(deeds.from_json(deed) for deed in given),
        _state(value),
        text("question: settled_by", value.get("settled_by", "")),
        text("question: outcome", value.get("outcome", "")),
    )


def _state(value: Mapping[str, object]) -> State:
    try:
        return State(text("question: state", value.get("state")))
    except ValueError as error:
        raise Malformed("question: state must be open, approved, done or denied") from error
