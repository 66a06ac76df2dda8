"""An oracle: what Amethyst's "Agent Work" shows of runs and approvals, folded as its source does.

Written from a description of vitorpamplona/amethyst at 10149d71, not from our own output or
parsers. Events are plain JSON objects.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from tests.amethyst.jobs import newest, values

STARTED, STEP_STARTED, STEP_DONE, FINISHED, FAILED, CANCELLED = (
    46_001, 46_002, 46_003, 46_005, 46_006, 46_007,
)  # fmt: skip
GATE, GRANTED, DENIED = 46_010, 46_030, 46_031
TERMINAL = {FINISHED: "finished", FAILED: "failed", CANCELLED: "cancelled", DENIED: "denied"}
TEXTS = ("run", "workflow", "task", "step", "pr", "error", "note")


def asked(group: str) -> list[dict[str, Any]]:
    """The filters of the runs."""
    kinds = [46_020, 46_001, 46_002, 46_003, 46_005, 46_006, 46_007, 46_010, 30_620]
    return [{"kinds": kinds, "#h": [group]}]


def asked_of(approvers: Iterable[str]) -> list[dict[str, Any]]:
    """The filters of the answers, which name no group."""
    return [{"kinds": [GRANTED, DENIED], "authors": sorted(approvers)}]


@dataclass(frozen=True, slots=True)
class Card:
    """One run on the screen. approvers: of its newest gate."""

    run: str
    state: str
    task: str | None
    note: str | None
    error: str | None
    approvers: tuple[str, ...]

    def has_buttons(self, viewer: str) -> bool:
        """Whether yes and no are offered to somebody."""
        return self.state == "awaiting approval" and viewer in self.approvers


@dataclass(slots=True)
class _Run:
    events: list[dict[str, Any]] = field(default_factory=list)
    texts: dict[str, dict[str, str]] = field(default_factory=dict)


def approvers(events: Iterable[dict[str, Any]]) -> set[str]:
    """Whom the gates name: whose answers are asked for next."""
    return {key for event in events if event["kind"] == GATE for key in values(event, "p")}


def fold(events: Iterable[dict[str, Any]]) -> dict[str, Card]:
    """The cards by their runs."""
    runs: dict[str, _Run] = {}
    for event in events:
        if event["kind"] in (GRANTED, DENIED):
            for run in values(event, "d"):
                runs.setdefault(run, _Run()).events.append(event)
            continue
        texts = _texts(event["content"])
        if texts is None or "run" not in texts:
            continue
        kept = runs.setdefault(texts["run"], _Run())
        kept.events.append(event)
        kept.texts[event["id"]] = texts
    return {run: card for run, kept in runs.items() if (card := _card(run, kept)) is not None}


def _card(run: str, kept: _Run) -> Card | None:
    by_kind: dict[int, list[dict[str, Any]]] = {}
    for event in kept.events:
        by_kind.setdefault(event["kind"], []).append(event)
    # A card needs no 46020: a 46001 with a task, then a 46010.
    if STARTED not in by_kind:
        return None

    def said(kind: int, name: str) -> str | None:
        if kind not in by_kind:
            return None
        return kept.texts[newest(by_kind[kind])["id"]].get(name)

    gates = by_kind.get(GATE, [])
    gate = newest(gates) if gates else None
    ends = [event for kind in TERMINAL for event in by_kind.get(kind, [])]
    if ends:
        state = TERMINAL[newest(ends)["kind"]]
    elif gate is not None:
        grants = by_kind.get(GRANTED, [])
        is_open = not grants or gate["created_at"] > newest(grants)["created_at"]
        state = "awaiting approval" if is_open else "granted"
    else:
        state = "running"
    return Card(
        run,
        state,
        said(STARTED, "task"),
        said(GATE, "note"),
        said(FAILED, "error"),
        tuple(values(gate, "p")) if gate else (),
    )


def _texts(content: str) -> dict[str, str] | None:
    """One JSON object of optional strings; a wrong type drops the event."""
    try:
        value = json.loads(content)
    except ValueError:
        return None
    if not isinstance(value, dict):
        return None
    known = {name: value[name] for name in TEXTS if value.get(name) is not None}
    return known if all(isinstance(text, str) for text in known.values()) else None
