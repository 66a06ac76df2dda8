"""Frames from the wire: whatever comes is read or refused, and never anything else."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nips.event import Event
from nips.frame_parser import parse_client, parse_relay
from nips.frames import MAX_FILTERS, MAX_SUBSCRIPTION_CHARS
from nips.refusal import Malformed

HEX32 = st.binary(min_size=32, max_size=32).map(bytes.hex)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.text(), inner, max_size=5),
    max_leaves=20,
)
NAMES = ["EVENT", "REQ", "CLOSE", "AUTH", "OK", "EOSE", "CLOSED", "NOTICE", "COUNT"]
NAMES += ["NEG-OPEN", "NEG-MSG", "NEG-CLOSE", "NEG-ERR"]
almost = st.builds(lambda name, rest: [name, *rest], st.sampled_from(NAMES), st.lists(JSON))
event_like = st.fixed_dictionaries(
    dict.fromkeys(("id", "pubkey", "created_at", "kind", "tags", "content", "sig"), HEX32 | JSON)
)
almost_events = st.builds(
    lambda name, event, rest: [name, event, *rest],
    st.sampled_from(NAMES),
    event_like,
    st.lists(JSON, max_size=2),
)


def only_malformed(parse: Callable[[str | bytes], object], data: str | bytes) -> None:
    try:
        parse(data)
    except Malformed:
        return


@settings(max_examples=500)
@given(data=st.binary() | st.text())
def test_arbitrary_bytes_are_at_worst_malformed(data: str | bytes) -> None:
    only_malformed(parse_client, data)
    only_malformed(parse_relay, data)


@settings(max_examples=500)
@given(value=JSON | almost | almost_events)
def test_arbitrary_json_is_at_worst_malformed(value: Any) -> None:
    data = json.dumps(value)
    only_malformed(parse_client, data)
    only_malformed(parse_relay, data)


def test_deep_nesting_is_malformed() -> None:
    with pytest.raises(Malformed):
        parse_client("[" * 1_000_000)


EVENT = Event("0" * 64, "1" * 64, 0, 1, (), "", "2" * 128).to_json()


@pytest.mark.parametrize(
    "array",
    [
        [],
        {},
        [1],
        ["EVENT"],
        ["EVENT", EVENT, 1],
        ["REQ", "a"],
        ["REQ", "", {}],
        ["REQ", "x" * (MAX_SUBSCRIPTION_CHARS + 1), {}],
        ["REQ", 1, {}],
        ["REQ", "a", *[{}] * (MAX_FILTERS + 1)],
        ["CLOSE"],
        ["CLOSE", "a", "b"],
        ["AUTH", "challenge"],
        ["COUNT", "a"],
        ["COUNT", "a", *[{}] * (MAX_FILTERS + 1)],
        ["NEG-OPEN", "a", {}],
        ["NEG-OPEN", "", {}, "61"],
        ["NEG-OPEN", "a", {}, "6"],
        ["NEG-OPEN", "a", {}, "6 1"],
        ["NEG-OPEN", "a", {}, 61],
        ["NEG-OPEN", "a", [], "61"],
        ["NEG-MSG", "a", "zz"],
        ["NEG-MSG", "a"],
        ["NEG-CLOSE"],
        ["event", EVENT],
        ["NOPE"],
    ],
)
def test_what_no_client_sends(array: object) -> None:
    with pytest.raises(Malformed):
        parse_client(orjson.dumps(array))


@pytest.mark.parametrize(
    "array",
    [
        ["EVENT", EVENT],
        ["EVENT", "a", EVENT, True],
        ["EVENT", "a", EVENT, -1],
        ["EVENT", "a", EVENT, 1.5],
        ["OK", "0" * 63, True, ""],
        ["OK", "0" * 64, 1, ""],
        ["OK", "0" * 64, True],
        ["EOSE", 1],
        ["EOSE", "a", {"epoch": "e", "seq": True}],
        ["EOSE", "a", {"epoch": "e"}],
        ["CLOSED", "a"],
        ["NOTICE", None],
        ["AUTH", EVENT],
        ["COUNT", "a", {"count": True}],
        ["COUNT", "a", {"count": -1}],
        ["NEG-MSG", "a", "6"],
        ["NEG-ERR", "a"],
    ],
)
def test_what_no_relay_sends(array: object) -> None:
    with pytest.raises(Malformed):
        parse_relay(orjson.dumps(array))
