"""The cost of a job: its JSON as NIP-AM wants it, and what is refused."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from nips.kinds import Kind
from nips.own import cost as costs
from nips.own.cost import Cost, Counts
from nips.refusal import Malformed

GROUP = "6f1d2c3b-4a59-4e68-8d77-9c80a1b2c3d4"
COST = Cost(
    job="ab" * 32,
    group=GROUP,
    session=f"{GROUP}/1767225600",
    turn_seq=3,
    model="claude-sonnet-4-5",
    turn=Counts(15, 2, 4, 0, 63),
    cumulative=Counts(45_210, 9_876, 4, 7, 410_000),
    ended_at=1_767_225_642,
    stop_reason="end_turn",
)


def test_it_reads_as_the_owners_client_expects() -> None:
    assert json.loads(COST.to_json()) == {
        "harness": "nostrclaw",
        "timestamp": "2026-01-01T00:00:42.000Z",
        "model": "claude-sonnet-4-5",
        "channelId": GROUP,
        "sessionId": f"{GROUP}/1767225600",
        "turnId": "ab" * 32,
        "turnSeq": 3,
        "turn": {
            "inputTokens": 15, "outputTokens": 2, "totalTokens": None,
            "cacheReadTokens": 4, "cacheWriteTokens": 0, "costUsd": 0.000063,
        },
        "cumulative": {
            "inputTokens": 45_210, "outputTokens": 9_876, "totalTokens": None,
            "cacheReadTokens": 4, "cacheWriteTokens": 7, "costUsd": 0.41,
        },
        "deltaReliable": True,
        "stopReason": "end_turn",
    }  # fmt: skip


@pytest.mark.parametrize(
    "one", [COST, replace(COST, exact=False, turn=Counts(None, None, None, None, 5))]
)
def test_it_reads_back(one: Cost) -> None:
    assert costs.parse(one.to_json()) == one


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("harness", "goose"),
        ("harness", None),
        ("timestamp", "2026-13-01T00:00:42.000Z"),
        ("timestamp", "now"),
        ("model", ""),
        ("model", "a\nb"),
        ("channelId", "main"),
        ("sessionId", "7" + GROUP[1:] + "/1767225600"),
        ("sessionId", GROUP),
        ("turnId", "ab"),
        ("turnSeq", 0),
        ("turnSeq", None),
        ("deltaReliable", 1),
        ("stopReason", "done"),
        ("text", "what was said"),
        ("turn", None),
    ],
)
def test_what_is_not_its_form_is_refused(field: str, value: object) -> None:
    with pytest.raises(Malformed):
        costs.parse(json.dumps(json.loads(COST.to_json()) | {field: value}))


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("inputTokens", -1),
        ("outputTokens", 1.5),
        ("totalTokens", 17),
        ("costUsd", -0.1),
        ("costUsd", None),
        ("costUsd", True),
        ("costUsd", 1e12),
        ("words", "hello"),
    ],
)
def test_counts_are_never_negative_nor_made_up(field: str, value: object) -> None:
    told: dict[str, Any] = json.loads(COST.to_json())
    told["cumulative"][field] = value
    with pytest.raises(Malformed):
        costs.parse(json.dumps(told))


def test_its_event_names_owner_and_agent_once_and_no_group() -> None:
    made = costs.template(COST, "b0" * 32, "c0" * 32, "sealed")
    assert (made.kind, made.created_at, made.content) == (Kind.COST, COST.ended_at, "sealed")
    assert made.values("p") == ["c0" * 32]
    assert made.values("agent") == [made.pubkey]
    assert made.values("o") == []
    assert made.values("h") == []
