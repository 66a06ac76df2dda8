"""An oracle: what Amethyst's "Costs" shows, folded as its source and Buzz's NIP-AM say.

Written from a description of vitorpamplona/amethyst at 10149d71, not from our own output or
parsers. `opened` decrypts with nostr-sdk, another implementation of NIP-44.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import nostr_sdk as sdk

from tests.amethyst.jobs import values

KIND = 44_200
FIELDS = (
    "inputTokens", "outputTokens", "totalTokens", "cacheReadTokens", "cacheWriteTokens", "costUsd",
)  # fmt: skip
STOPS = ("end_turn", "max_tokens", "cancelled", "error", "unknown")
STRINGS = ("model", "channelId", "sessionId", "turnId")


def asked(viewer: str) -> list[dict[str, Any]]:
    """The filter that the screen sends."""
    return [{"kinds": [KIND], "#p": [viewer]}]


@dataclass(frozen=True, slots=True)
class Turn:
    """One event that was understood."""

    agent: str
    session: str | None
    model: str | None
    channel: str | None
    timestamp: str
    turn: dict[str, float]
    cumulative: dict[str, float]
    reliable: bool


def opened(event: dict[str, Any], viewer: sdk.Keys) -> str | None:
    """The content as the viewer reads it; None where it is not for them, or by another than the
    agent that it names."""
    me = viewer.public_key().to_hex()
    if event["kind"] != KIND or values(event, "h") or values(event, "p") != [me]:
        return None
    if values(event, "agent") != [event["pubkey"]]:
        return None
    author = sdk.PublicKey.parse(event["pubkey"])
    return str(sdk.nip44_decrypt(viewer.secret_key(), author, event["content"]))


def read(agent: str, content: str) -> Turn | None:
    """One event's content; None where a type or a required field is wrong."""
    try:
        value = json.loads(content)
    except ValueError:
        return None
    if not isinstance(value, dict):
        return None
    if not all(isinstance(value.get(name), str) for name in ("harness", "timestamp")):
        return None
    if not all(isinstance(value.get(name), str | None) for name in STRINGS):
        return None
    counts = [_counts(value.get(name)) for name in ("turn", "cumulative")]
    if any(one is None for one in counts):
        return None
    # sessionId is required with cumulative: without it nothing can be compared.
    if value.get("cumulative") is not None and value.get("sessionId") is None:
        return None
    if value.get("stopReason") not in (None, *STOPS):
        return None
    if not isinstance(value.get("deltaReliable", True), bool):
        return None
    turn, cumulative = counts
    assert turn is not None
    assert cumulative is not None
    return Turn(
        agent,
        value.get("sessionId"),
        value.get("model"),
        value.get("channelId"),
        value["timestamp"],
        turn,
        cumulative,
        value.get("deltaReliable", True),
    )


def fold(turns: Iterable[Turn]) -> dict[tuple[str, str | None], dict[str, float]]:
    """The sums by agent and session: of each field the largest cumulative, else the sum of what
    the turns say."""
    sessions: dict[tuple[str, str | None], list[Turn]] = {}
    for turn in turns:
        sessions.setdefault((turn.agent, turn.session), []).append(turn)
    return {key: _sums(kept) for key, kept in sessions.items()}


def _sums(turns: list[Turn]) -> dict[str, float]:
    sums: dict[str, float] = {}
    for name in FIELDS:
        totals = [turn.cumulative[name] for turn in turns if name in turn.cumulative]
        parts = [turn.turn[name] for turn in turns if name in turn.turn]
        if totals:
            sums[name] = max(totals)
        elif parts:
            sums[name] = sum(parts)
    return sums


def _counts(value: object) -> dict[str, float] | None:
    if value is None:
        return {}
    if not isinstance(value, dict):
        return None
    found = {name: value[name] for name in FIELDS if value.get(name) is not None}
    for name, count in found.items():
        if isinstance(count, bool) or not isinstance(count, int | float) or count < 0:
            return None
        if name != "costUsd" and not isinstance(count, int):
            return None
    return found
