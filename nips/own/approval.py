"""Pure: the owner's permission, asked for and given. Source: PROTOCOL.md "Approvals".

    46001  h, content {"run", "workflow", "task"}       bot    a run begins: one event, asked about
    46010  h, ["p", approver], content {"run", "note"}  bot    the gate: nothing before a yes
    46030  ["d", run]                                   owner  yes
    46031  ["d", run]                                   owner  no
    46005  h, content {"run"}                           bot    the end: signed and published
    46006  h, content {"run", "error"}                  bot    the end: not published, and why

`run` is the id of the exact unsigned event that is asked about, so an answer fits nothing else.
The forms are those of the Buzz dialect, whose clients show a run as a card with two buttons.
Parsers check forms, not signatures.
"""

from __future__ import annotations

import json
from dataclasses import dataclass

from nips.event import Event, Tag, Template
from nips.kinds import Kind
from nips.own.fields import group_id, hex32, json_object, of_kind, only_tag, text
from nips.refusal import Malformed

WORKFLOW = "approval"
ANSWERS = frozenset({int(Kind.APPROVED), int(Kind.DENIED)})


@dataclass(frozen=True, slots=True)
class Gate:
    """46010: what waits for whose answer. Ids and keys in hex."""

    run: str
    approver: str
    group: str
    note: str


@dataclass(frozen=True, slots=True)
class GateAnswer:
    """46030 or 46031: yes or no to a run. Whether its author may say so is not checked here."""

    run: str
    author: str
    yes: bool


def started(bot: str, group: str, run: str, task: str, created_at: int) -> Template:
    """46001. task: in words, what is to be done."""
    content = {"run": run, "workflow": WORKFLOW, "task": task}
    return _of_run(bot, group, Kind.RUN_STARTED, content, created_at)


def gate(bot: str, group: str, run: str, approver: str, note: str, created_at: int) -> Template:
    """46010. approver: whose answer counts; note: the whole question."""
    content = {"run": run, "note": note}
    more = (("p", approver),)
    return _of_run(bot, group, Kind.APPROVAL_ASKED, content, created_at, more)


def finished(bot: str, group: str, run: str, created_at: int) -> Template:
    """46005: it was done."""
    return _of_run(bot, group, Kind.RUN_FINISHED, {"run": run}, created_at)


def failed(bot: str, group: str, run: str, error: str, created_at: int) -> Template:
    """46006: it was not done; `error` says why in words."""
    content = {"run": run, "error": error}
    return _of_run(bot, group, Kind.RUN_FAILED, content, created_at)


def answer(approver: str, run: str, created_at: int, *, yes: bool) -> Template:
    """46030, or 46031 where `yes` is false."""
    kind = Kind.APPROVED if yes else Kind.DENIED
    alt = "Permission given" if yes else "Permission denied"
    return Template(approver, created_at, kind, (("d", run), ("alt", alt)), "")


def parse_gate(event: Event | Template) -> Gate:
    """Read a 46010. Raises Malformed."""
    what = "approval"
    of_kind(what, event, Kind.APPROVAL_ASKED)
    content = json_object(what, event.content)
    return Gate(
        hex32(f"{what}: run", content.get("run")),
        hex32(f"{what}: p", only_tag(what, event, "p")),
        group_id(f"{what}: h", only_tag(what, event, "h")),
        text(f"{what}: note", content.get("note")),
    )


def parse_answer(event: Event | Template) -> GateAnswer:
    """Read a 46030 or 46031. Raises Malformed."""
    if event.kind not in ANSWERS:
        raise Malformed(f"approval: an answer is no kind {event.kind}")
    run = hex32("approval: d", only_tag("approval", event, "d"))
    return GateAnswer(run, event.pubkey, event.kind == Kind.APPROVED)


_ALT = {
    Kind.RUN_STARTED: "The assistant has something to be approved",
    Kind.APPROVAL_ASKED: "The assistant asks for its owner's permission",
    Kind.RUN_FINISHED: "What was asked for was approved and done",
    Kind.RUN_FAILED: "What was asked for was not done",
}


def _of_run(
    bot: str,
    group: str,
    kind: Kind,
    content: dict[str, str],
    created_at: int,
    more: tuple[Tag, ...] = (),
) -> Template:
    # No once-key: an agent could have had its own words signed under it before. These are signed
    # once, in the transaction that remembers them, and only the same bytes are sent again.
    tags = (("h", group), *more, ("alt", _ALT[kind]))
    text = json.dumps(content, separators=(",", ":"), ensure_ascii=False)
    return Template(bot, created_at, kind, tags, text)
