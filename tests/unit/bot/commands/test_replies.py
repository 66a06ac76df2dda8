"""Answers as people read them: every one plain, in short lines, with nothing of a fixed width."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from bot.commands import amounts, replies
from bot.commands.facts import (
    GroupFacts,
    LogLine,
    Money,
    RelayFacts,
    RelaysFacts,
    RunFacts,
    SetAsideFacts,
    SignalFacts,
    StatusFacts,
    Waiting,
)
from bot.commands.table import TABLE
from tests.unit.bot.commands.reading import reads_well

NOW = 1_800_000_000
GROUP = GroupFacts(
    id="1" * 8, name="Our family", folder="family", own=False, people=("npub1abc…wxyz",), members=2,
    trigger="@Claw", room=False, archived=False, paused=True, senders="trusted",
    muted=("npub1x",), agents=False, quiet="22:00 to 07:00 (UTC)", models=None,
    budget=Money(50, None, 2_500_000), spent=Money(3, 1_200, 40_000), persona="Claw", working=1,
    waiting=2,
)  # fmt: skip
STATUS = StatusFacts(
    name="Claw", up_s=7_500, signer=True, engine=None, relays=(4, 5), groups=3, archived=1,
    paused=1, working=1, waiting=2, today=Money(41, 120_300, 1_320_000), questions=1, strangers=2,
    models=2,
)  # fmt: skip
SIGNAL = SignalFacts(
    "listening", NOW - 20, "", NOW - 500, "normal", "0.98",
    {"forwarded": 12, "strangers": 1, "ignored": 40, "lost": 0}, pending=2, uncertain=1,
)  # fmt: skip
RUN = RunFacts(
    id="9c01" + "0" * 60, group="family", state="failed", asked_at=NOW - 125, asked_by="Ann",
    what="a message of 12 characters", messages=2, begun=(NOW - 120, NOW - 60), ended_at=NOW - 30,
    lasted_s=90, words="the agent ended with status 1", cost=Money(None, 12, 40),
)  # fmt: skip
RELAYS = RelaysFacts(
    (
        RelayFacts("wss://one.example", "listening"),
        RelayFacts("wss://two.example", "listening", answer_ms=40, reconnects=2, accepted=5,
                   refused=1, own=True),
        RelayFacts("wss://three.example", "refused", "blocked: " + "no " * 90, NOW - 9_000),
        RelayFacts("wss://four.example", "connecting"),
    ),
    NOW - 30,
    {"forwarded": 7, "strangers": 1, "set_aside": 1},
    (SetAsideFacts("ab" * 32, "the rumor's author is not the seal's", NOW - 70),),
    pending=2,
    no_list=1,
)  # fmt: skip
EVERY = {
    "status": replies.status(STATUS, NOW),
    "signal": replies.signal(SIGNAL, NOW),
    "status with signal": replies.status(replace(STATUS, signal=SIGNAL), NOW),
    "groups": replies.groups([GROUP] * 100),
    "group": replies.group(GROUP),
    "runs": replies.runs([RUN] * 50, NOW),
    "run": replies.run(RUN, NOW),
    "relays": replies.relays(RELAYS, NOW),
    "logs": replies.logs([LogLine("2026-11-22T21:00:01.5Z", "bot", "warning", "went")]),
    "help": replies.help_of(None),
    "help group": replies.help_of("group"),
    "bad": replies.bad("There is no command /grup. Did you mean /group?", "group"),
    "waiting": replies.waiting([Waiting("kmpqrs", "Ann", NOW)], NOW, head="H", none="N", how="/a"),
}


@pytest.mark.parametrize("name", EVERY)
def test_every_answer_reads_well_in_any_client(name: str) -> None:
    reads_well(EVERY[name])


def test_what_is_wrong_is_said_first() -> None:
    sick = StatusFacts(**{name: getattr(STATUS, name) for name in STATUS.__slots__} | {
        "signer": False, "engine": "The container engine does not answer.", "relays": (0, 5),
    })  # fmt: skip
    first, second, third, *_ = replies.status(sick, NOW).text.splitlines()
    assert "signer" in first
    assert "engine" in second
    assert "public relay" in third
    assert replies.status(sick, NOW).data["well"] is False
    assert replies.status(STATUS, NOW).text.startswith("Claw is well, up for 2 h 5 min.")


@pytest.mark.parametrize(
    ("signal", "wrong", "said"),
    [
        (SIGNAL, False, ["Signal: listening (normal 0.98)",
                         "From Signal since the start: 12 taken, 1 of strangers",
                         "To Signal: 2 on their way, 1 perhaps there"]),
        (replace(SIGNAL, state="away", reason="no answer", since_at=NOW - 600), True,
         ["Signal cannot be reached for 10 min (no answer): nostrclaw signal status",
          "From Signal since the start: 12 taken, 1 of strangers"]),
        (SignalFacts("waiting", NOW), False, ["Signal: connecting"]),
        (SignalFacts("not known", NOW), False, ["Signal: not known"]),
        (replace(SIGNAL, as_of=NOW - 7_200), True,
         ["Signal: its bridge was last heard 2 h ago."]),
        (None, False, []),
    ],
)  # fmt: skip
def test_signal_is_shown_where_it_is_there(
    signal: SignalFacts | None, wrong: bool, said: list[str]
) -> None:
    reply = replies.status(replace(STATUS, signal=signal), NOW)
    lines = reply.text.splitlines()
    assert [line for line in lines if line in said] == said
    assert ("Signal" in reply.text) is bool(said)
    assert reply.data["well"] is not wrong
    if wrong:
        assert lines[0] == said[0]


def test_nothing_to_show_is_said_in_a_sentence() -> None:
    assert replies.runs([], NOW).text == "Nothing was worked on yet."
    assert replies.logs([]).text == "No warnings."
    assert "ask again" in replies.relays(RelaysFacts((), None, {}), NOW).text
    assert replies.waiting([], NOW, head="H", none="Nobody.", how="/a").text == "Nobody."


def test_each_relay_is_marked_and_what_waits_is_said() -> None:
    lines = replies.relays(RELAYS, NOW).text.splitlines()
    assert lines[1] == "✅ wss://one.example"
    more = "answers in 40 ms, 2 reconnects, took 5, refused 1, from my inbox list"
    assert lines[2] == f"✅ wss://two.example: {more}"
    assert lines[3].startswith("❌ wss://three.example: refused 2 h 30 min ago, blocked: no no")
    assert lines[4] == "❌ wss://four.example: connecting"
    assert "1 set aside" in lines[5]
    assert lines[6] == "Set aside 1 min ago: abababab, the rumor's author is not the seal's"
    assert lines[7].endswith("did not take them yet: 2")
    assert lines[8].endswith("tell no inbox relays (10050): 1")


def test_that_the_owner_is_heard_elsewhere_is_shown_where_it_is_so() -> None:
    said = "What you write there goes out to Signal."
    assert said not in replies.group(GROUP).text
    text = replies.group(replace(GROUP, owner_speaks=True)).text.splitlines()
    assert text.index(said) == text.index("Other agents may: no") + 1
    assert text[-3:-1] == ["Used today: 3 runs, 1,200 tokens, $0.04", "I am called: Claw"]


def test_help_knows_every_command_and_the_agents() -> None:
    text = replies.help_of(None).text
    for name in TABLE:
        assert f"/{name} " in text
        assert replies.help_of(name).text.startswith(f"/{name} – ")
    assert "/say TEXT" in text


def test_a_long_list_ends() -> None:
    assert "… and 60 more" in replies.groups([GROUP] * 100).text


def test_amounts() -> None:
    assert amounts.money(Money(1, 1_200, 2_500_000)) == "1 run, 1,200 tokens, $2.50"
    assert amounts.money(Money()) == ""
    assert amounts.money(Money(0, 0, 0)) == "0 runs, 0 tokens, $0.00"
    assert amounts.money(Money(0, 0, 0), zero=False) == ""
    assert amounts.dollars(63) == "$0.000063"
    assert [amounts.duration(s) for s in (0, 59, 60, 3_599, 3_600, 7_500, 172_800, -5)] == [
        "0 s", "59 s", "1 min", "59 min", "1 h", "2 h 5 min", "2 days", "0 s",
    ]  # fmt: skip
    assert amounts.ago(NOW, NOW) == "just now"
    assert amounts.ago(NOW - 60, NOW) == "1 min ago"


def test_signal_alone_says_how_old_that_is() -> None:
    reply = replies.signal(SIGNAL, NOW)
    assert reply.text.splitlines() == [
        "Signal: listening (normal 0.98)",
        "From Signal since the start: 12 taken, 1 of strangers",
        "To Signal: 2 on their way, 1 perhaps there",
        "As of 20 s ago.",
    ]
    assert json.loads(json.dumps(reply.data))["well"] is True
    assert replies.signal(replace(SIGNAL, state="away"), NOW).data["well"] is False


def test_signal_that_nobody_keeps_up_to_date_is_not_well() -> None:
    """What stands there may be of a start with an account, long ago."""
    reply = replies.signal(replace(SIGNAL, as_of=NOW - 3_600), NOW)
    assert "its bridge was last heard 1 h ago" in reply.text
    assert reply.data["well"] is False
    assert "nostrclaw signal link" in replies.signal(None, NOW).text
