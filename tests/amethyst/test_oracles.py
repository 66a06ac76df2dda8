"""The oracles themselves, by the sentences that they were written from: each tells apart what it is
there to tell apart."""

from __future__ import annotations

import json
from typing import Any
from uuid import uuid4

import pytest

from tests.amethyst import approvals, costs, groups, jobs, observer

GROUP, RELAY, ME, BOT = str(uuid4()), "aa" * 32, "bb" * 32, "cc" * 32
JOB, RUN = "11" * 32, "22" * 32


def event(
    kind: int, at: int, *tags: list[str], by: str = BOT, content: str = "", name: str = ""
) -> dict[str, Any]:
    return {
        "id": name or f"{kind:08x}{at:056x}",
        "kind": kind,
        "created_at": at,
        "pubkey": by,
        "tags": [list(tag) for tag in tags],
        "content": content,
        "sig": "",
    }


H, E = ["h", GROUP], ["e", JOB]
ASKED = event(43_001, 1, H, ["p", BOT], name=JOB, content="do it")


@pytest.mark.parametrize(
    ("rest", "state"),
    [
        ([], "requested"),
        ([event(43_002, 2, H, E)], "accepted"),
        ([event(43_002, 9, H, E), event(43_003, 3, H, E)], "in progress"),
        ([event(43_003, 9, H, E), event(43_004, 4, H, E)], "completed"),
        ([event(43_003, 9, H, E), event(43_006, 4, H, E)], "failed"),
        ([event(43_005, 4, H, E)], "cancelled"),
        ([event(43_004, 4, H, E), event(43_005, 5, H, E)], "cancelled"),
        ([event(43_005, 4, H, E), event(43_004, 5, H, E)], "completed"),
        ([event(43_006, 4, H, E), event(43_004, 5, H, E)], "completed"),
        ([event(43_004, 4, H, ["e", RUN])], "requested"),
    ],
)
def test_the_state_of_a_job(rest: list[dict[str, Any]], state: str) -> None:
    card = jobs.fold([*rest, ASKED])[JOB]
    assert (card.state, card.prompt, card.agents) == (state, "do it", (BOT,))


def test_votes_are_people_that_did_not_say_no() -> None:
    votes = [
        event(7, 2, H, E, by=ME, content="+"),
        event(7, 3, H, E, by=ME, content="👍"),
        event(7, 4, H, E, by=RELAY, content="-"),
        event(7, 5, H, ["e", RUN], by=BOT, content="+"),
    ]
    assert jobs.fold([ASKED, *votes])[JOB].upvotes == 1
    assert jobs.fold([event(43_001, 1, ["p", BOT])]) == {}, "a job without a group is not shown"


def said(kind: int, at: int, **texts: object) -> dict[str, Any]:
    tags = [H, ["p", ME]] if kind == 46_010 else [H]
    return event(kind, at, *tags, content=json.dumps({"run": RUN} | texts))


STARTED, GATE = said(46_001, 1, task="publish"), said(46_010, 2, note="Really?")
YES, NO = (event(kind, 3, ["d", RUN], by=ME) for kind in (46_030, 46_031))


@pytest.mark.parametrize(
    ("events", "state"),
    [
        ([STARTED], "running"),
        ([STARTED, GATE], "awaiting approval"),
        ([STARTED, GATE, YES], "granted"),
        ([STARTED, GATE, YES, said(46_010, 4)], "awaiting approval"),
        ([STARTED, GATE, YES, said(46_005, 4)], "finished"),
        ([STARTED, GATE, NO], "denied"),
        ([STARTED, GATE, NO, said(46_006, 4, error="x")], "failed"),
        ([STARTED, GATE, said(46_007, 4)], "cancelled"),
        ([STARTED, event(46_010, 2, H, ["p", ME], content=json.dumps({"run": 7}))], "running"),
        ([STARTED, event(46_010, 2, H, content=json.dumps({"run": RUN, "note": 7}))], "running"),
        ([STARTED, event(46_010, 2, H, content="[]")], "running"),
    ],
)
def test_the_state_of_a_run(events: list[dict[str, Any]], state: str) -> None:
    card = approvals.fold(events)[RUN]
    assert (card.state, card.task) == (state, "publish")
    assert card.has_buttons(ME) == (state == "awaiting approval")
    assert not card.has_buttons(BOT)


def test_a_run_begins_with_its_start() -> None:
    assert approvals.fold([GATE, YES]) == {}


def cost(turn: object, total: object = None, **more: object) -> costs.Turn | None:
    return costs.read(BOT, json.dumps(figures(turn, total) | more))


def figures(turn: object, total: object = None) -> dict[str, object]:
    return {"harness": "h", "timestamp": "t", "sessionId": "s", "turn": turn, "cumulative": total}


def test_costs_are_the_largest_total_or_the_sum() -> None:
    turns = [
        cost({"inputTokens": 5, "costUsd": 0.5}, {"inputTokens": 50}),
        cost({"inputTokens": 6, "costUsd": 0.25}, {"inputTokens": 40}),
        cost({"outputTokens": 1}, sessionId="other"),
    ]
    read = [turn for turn in turns if turn is not None]
    assert costs.fold(read) == {
        (BOT, "s"): {"inputTokens": 50, "costUsd": 0.75},
        (BOT, "other"): {"outputTokens": 1},
    }


@pytest.mark.parametrize(
    "more",
    [
        {"harness": None}, {"timestamp": 5}, {"model": 5}, {"turn": []}, {"stopReason": "tired"},
        {"turn": {"inputTokens": -1}}, {"turn": {"inputTokens": 1.5}}, {"turn": {"costUsd": True}},
        {"sessionId": None, "cumulative": {"inputTokens": 1}}, {"deltaReliable": "yes"},
    ],
    ids=str,
)  # fmt: skip
def test_a_cost_of_a_wrong_type_is_none(more: dict[str, object]) -> None:
    right = figures({"inputTokens": 1})
    assert costs.read(BOT, json.dumps(right)) is not None
    assert costs.read(BOT, json.dumps(right | more)) is None


def frame(**more: object) -> str:
    value = {"seq": 1, "timestamp": "2026-01-01T00:00:42.000Z", "kind": "turn_started",
             "payload": None, "channelId": GROUP}  # fmt: skip
    return json.dumps(value | more)


TAGS = (["p", ME], ["agent", BOT], ["frame", "telemetry"])


def test_frames_are_shown_by_their_time() -> None:
    late = observer.read(
        event(24_200, 1, *TAGS), frame(seq=1, timestamp="2026-01-01T00:00:43.000Z")
    )
    early = observer.read(event(24_200, 1, *TAGS), frame(seq=2))
    assert late is not None
    assert early is not None
    assert observer.shown([late, early]) == [early, late]


@pytest.mark.parametrize(
    ("tags", "content"),
    [
        (TAGS[:2], frame()),
        ((*TAGS, ["p", BOT]), frame()),
        ((*TAGS[:2], ["frame", "control"]), frame()),
        (TAGS, frame(seq="1")),
        (TAGS, frame(timestamp="2026-01-01T00:00:42Z")),
        (TAGS, frame(kind=5)),
        (TAGS, "[]"),
        (TAGS, "{"),
    ],
)
def test_what_is_no_frame(tags: tuple[list[str], ...], content: str) -> None:
    assert observer.read(event(24_200, 1, *TAGS), frame()) is not None
    assert observer.read(event(24_200, 1, *tags), content) is None


D = ["d", GROUP]


def test_a_group_is_what_the_relay_says() -> None:
    state = [
        event(39_000, 1, D, ["name", "A"], ["private"], ["t", "stream"], by=RELAY),
        event(39_000, 2, D, ["name", "B"], ["public"], ["closed"], by=RELAY),
        event(39_000, 3, D, ["name", "Mallory's"], by=ME),
        event(39_001, 1, D, ["p", ME, "owner"], by=RELAY),
        event(39_002, 1, D, ["p", ME, "", "owner"], ["p", BOT, "member"], by=RELAY),
        event(39_000, 1, ["d", "no-uuid"], ["name", "C"], by=RELAY),
    ]
    [channel] = groups.fold(state, RELAY).values()
    assert (channel.name, channel.is_private, channel.is_closed) == ("B", False, True)
    assert channel.admins == {ME: "owner"}
    # A role in the place of the address is none: everybody would be shown as a member.
    assert channel.members == {ME: "owner", BOT: "member"}


def notice(kind: int, at: int, by: str = RELAY) -> dict[str, Any]:
    word = {44_100: "member_added", 44_101: "member_removed"}[kind]
    content = json.dumps({"type": word, "channel_id": GROUP, "actor": BOT})
    return event(kind, at, ["p", ME], H, by=by, content=content)


@pytest.mark.parametrize(
    ("notices", "found"),
    [
        ([notice(44_100, 1)], {GROUP: True}),
        ([notice(44_100, 1), notice(44_101, 2)], {GROUP: False}),
        ([notice(44_101, 1), notice(44_100, 2)], {GROUP: True}),
        ([notice(44_100, 1), notice(44_101, 1)], {GROUP: False}),
        ([notice(44_100, 2, by=BOT)], {}),
    ],
)
def test_the_newest_notice_counts(notices: list[dict[str, Any]], found: dict[str, bool]) -> None:
    assert groups.memberships(notices, RELAY, ME) == found


def test_a_relay_of_the_dialect() -> None:
    told = {"software": "x (speaks the Buzz dialect)", "self": RELAY, "supported_nips": [1, 29]}
    assert groups.is_buzz(told)
    for name in told:
        assert not groups.is_buzz({key: value for key, value in told.items() if key != name})
