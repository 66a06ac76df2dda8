"""Pure: how the Signal bridge is, as its `health` record says, as facts and in a few lines.

Source: PROTOCOL.md "Health". The record is written by a bridge that others write to: what of it is
no number or no plain word counts as not known, and its reason stands on one line, cut short.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from bot.commands.amounts import ago
from bot.commands.facts import SignalFacts
from nips.event import Event

STATES = ("listening", "away", "waiting")
SILENT_AFTER_S = 180  # it is written every minute while the bridge runs
MAX_REASON_CHARS = 120
MAX_WORD_CHARS = 20
MAX_COUNTS = 20
# What is shown of what came; the rest is for programs.
SHOWN = (("forwarded", "taken"), ("strangers", "of strangers"), ("set_aside", "set aside"),
         ("lost", "lost"))  # fmt: skip


def facts_of(health: Event) -> SignalFacts:
    """What the record says."""
    try:
        content = _object(json.loads(health.content))
    except (ValueError, RecursionError):
        content = {}
    service, outgoing = _object(content.get("service")), _object(content.get("outgoing"))
    counts = list(_object(content.get("counts")).items())[:MAX_COUNTS]
    state = service.get("state")
    return SignalFacts(
        state if state in STATES else "not known",
        health.created_at,
        _line(service.get("reason"), MAX_REASON_CHARS),
        _number(service.get("since_s")) or None,
        _line(service.get("mode"), MAX_WORD_CHARS),
        _line(service.get("version"), MAX_WORD_CHARS),
        {_line(name, MAX_WORD_CHARS): _number(count) for name, count in counts},
        *(_number(outgoing.get(name)) for name in ("pending", "uncertain", "failed")),
    )


def is_wrong(facts: SignalFacts, now_s: int) -> bool:
    """Say whether its owner should look after it."""
    return is_silent(facts, now_s) or facts.state == "away"


def is_silent(facts: SignalFacts, now_s: int) -> bool:
    """Say whether the bridge itself has not been heard for some time."""
    return now_s - facts.as_of > SILENT_AFTER_S


def lines(facts: SignalFacts, now_s: int) -> list[str]:
    """It in words, what matters first."""
    why = f" ({facts.reason})" if facts.reason else ""
    since = f" for {ago(facts.since_at, now_s).removesuffix(' ago')}" if facts.since_at else ""
    if is_silent(facts, now_s):
        said = [f"Signal: its bridge was last heard {ago(facts.as_of, now_s)}."]
    elif facts.state == "away":
        said = [f"Signal cannot be reached{since}{why}: nostrclaw signal status"]
    elif facts.state == "listening":
        how = " ".join(word for word in (facts.mode, facts.version) if word)
        said = [f"Signal: listening{f' ({how})' if how else ''}"]
    else:
        said = [f"Signal: {'connecting' if facts.state == 'waiting' else facts.state}{why}"]
    came = [f"{n} {words}" for name, words in SHOWN if (n := facts.messages.get(name, 0))]
    if came:
        said.append(f"From Signal since the start: {', '.join(came)}")
    went = [
        f"{n} {words}"
        for n, words in (
            (facts.pending, "on their way"),
            (facts.uncertain, "perhaps there"),
            (facts.failed, "not taken"),
        )
        if n
    ]
    return [*said, *([f"To Signal: {', '.join(went)}"] if went else [])]


def _object(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _number(value: object) -> int:
    return value if type(value) is int and value > 0 else 0


def _line(value: object, most: int) -> str:
    # Attack: a service's reason that goes on as if it were our words.
    given = value if isinstance(value, str) else ""
    shown = " ".join("".join(c if c.isprintable() else " " for c in given[: 4 * most]).split())
    return shown if len(shown) <= most else shown[: most - 1] + "…"
