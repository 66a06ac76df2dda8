"""The Signal bridge's health as it is shown, whatever stands in the record."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.commands.facts import SignalFacts, as_data
from bot.commands.signal_facts import facts_of, is_wrong, lines
from nips.event import Event

NOW = 1_800_000_000
WELL: dict[str, Any] = {
    "service": {
        "state": "listening", "reason": "", "since_s": NOW - 60, "mode": "json-rpc",
        "version": "0.98",
    },
    "counts": {
        "forwarded": 5, "strangers": 1, "ignored": 9, "set_aside": 0, "salvaged": 2, "lost": 0,
    },
    "outgoing": {"pending": 1, "uncertain": 0, "failed": 3},
}  # fmt: skip


def record(content: object, at: int = NOW - 10) -> Event:
    text = content if isinstance(content, str) else json.dumps(content)
    return Event("0" * 64, "1" * 64, at, 30_078, (("d", "health"),), text, "2" * 128)


def test_what_the_record_says() -> None:
    found = facts_of(record(WELL))
    assert found == SignalFacts(
        "listening", NOW - 10, "", NOW - 60, "json-rpc", "0.98", WELL["counts"], 1, 0, 3
    )
    assert not is_wrong(found, NOW)
    assert as_data(found)["messages"]["salvaged"] == 2
    assert lines(found, NOW) == [
        "Signal: listening (json-rpc 0.98)",
        "From Signal since the start: 5 taken, 1 of strangers",
        "To Signal: 1 on their way, 3 not taken",
    ]


@pytest.mark.parametrize(
    "content",
    [
        "", "[]", "null", "x", "[" * 100_000, {"service": []}, {"counts": 5}, {"outgoing": "x"},
        {"service": {"state": ["listening"]}}, {"service": {"state": "fine", "since_s": "now"}},
        {"outgoing": {"pending": -1, "uncertain": True, "failed": 1.5}},
    ],
    ids=lambda content: str(content)[:40],
)  # fmt: skip
def test_what_is_not_understood_is_not_known(content: object) -> None:
    found = facts_of(record(content))
    assert found == SignalFacts("not known", NOW - 10, messages={})
    assert lines(found, NOW) == ["Signal: not known"]


def test_one_that_is_heard_no_more_is_wrong_whatever_it_said() -> None:
    assert is_wrong(facts_of(record(WELL, NOW - 181)), NOW)
    assert not is_wrong(facts_of(record(WELL, NOW - 180)), NOW)


@given(st.text(), st.text(), st.dictionaries(st.text(), st.integers(), max_size=40))
def test_words_of_others_stay_on_their_line(reason: str, mode: str, counts: dict[str, int]) -> None:
    """Attack: a service that says more than how it is."""
    service = WELL["service"] | {"state": "away", "reason": reason, "mode": mode}
    found = facts_of(record(WELL | {"service": service, "counts": counts}))
    said = lines(found, NOW)
    assert len(said) <= 3
    assert all(line.isprintable() and len(line) < 300 for line in said)
    assert len(lines(replace(found, state="listening"), NOW)[0]) < 100
