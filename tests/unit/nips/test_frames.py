"""The wire codec: round trips, and input that must never be more than Malformed."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nips.event import Event
from nips.filter import Filter
from nips.frame_parser import parse_client, parse_relay
from nips.frames import (
    MAX_SUBSCRIPTION_CHARS,
    Authenticate,
    Challenge,
    ClientFrame,
    Close,
    Closed,
    Count,
    Counted,
    Delivered,
    Eose,
    NegClose,
    NegErr,
    NegMsg,
    NegOpen,
    Notice,
    Ok,
    Publish,
    RelayFrame,
    Req,
    encode,
)
from nips.refusal import Malformed, Prefix, Refusal

UNICODE = st.text(st.characters(exclude_categories=["Cs"]))
SUBSCRIPTION = st.text(
    st.characters(exclude_categories=["Cs"]), min_size=1, max_size=MAX_SUBSCRIPTION_CHARS
)
HEX32 = st.binary(min_size=32, max_size=32).map(bytes.hex)
SEQ = st.integers(0, 2**63 - 1)

events = st.builds(
    Event,
    id=HEX32,
    pubkey=HEX32,
    created_at=st.integers(0, 2**63 - 1),
    kind=st.integers(0, 65_535),
    tags=st.lists(st.lists(UNICODE, min_size=1).map(tuple), max_size=3).map(tuple),
    content=UNICODE,
    sig=st.binary(min_size=64, max_size=64).map(bytes.hex),
)
filters = st.builds(
    Filter,
    ids=st.none() | st.frozensets(HEX32),
    kinds=st.none() | st.frozensets(st.integers(0, 65_535)),
    tags=st.dictionaries(st.sampled_from("ehpZ"), st.frozensets(UNICODE)),
    since=st.none() | st.integers(0, 2**63 - 1),
    limit=st.none() | st.integers(0, 500),
    search=st.none() | UNICODE,
    after_seq=st.none() | SEQ,
)
client_frames: st.SearchStrategy[ClientFrame] = st.one_of(
    st.builds(Publish, events),
    st.builds(Req, SUBSCRIPTION, st.lists(filters, min_size=1, max_size=3).map(tuple)),
    st.builds(Close, SUBSCRIPTION),
    st.builds(Authenticate, events),
    st.builds(Count, SUBSCRIPTION, st.lists(filters, min_size=1, max_size=3).map(tuple)),
    st.builds(NegOpen, SUBSCRIPTION, filters, st.binary()),
    st.builds(NegMsg, SUBSCRIPTION, st.binary()),
    st.builds(NegClose, SUBSCRIPTION),
)
relay_frames: st.SearchStrategy[RelayFrame] = st.one_of(
    st.builds(Delivered, SUBSCRIPTION, events, st.none() | SEQ),
    st.builds(Ok, HEX32, st.booleans(), UNICODE),
    st.builds(Eose, SUBSCRIPTION),
    st.builds(Eose, SUBSCRIPTION, UNICODE, SEQ),
    st.builds(Closed, SUBSCRIPTION, UNICODE),
    st.builds(Notice, UNICODE),
    st.builds(Challenge, UNICODE),
    st.builds(Counted, SUBSCRIPTION, SEQ),
    st.builds(NegMsg, SUBSCRIPTION, st.binary()),
    st.builds(NegErr, SUBSCRIPTION, UNICODE, st.none() | SEQ),
)


@given(frame=client_frames)
def test_client_round_trip(frame: ClientFrame) -> None:
    assert parse_client(encode(frame)) == frame
    assert parse_client(encode(frame).encode()) == frame


@given(frame=relay_frames)
def test_relay_round_trip(frame: RelayFrame) -> None:
    assert parse_relay(encode(frame)) == frame


def only_malformed(parse: Callable[[str | bytes], object], data: str | bytes) -> None:
    try:
        parse(data)
    except Malformed:
        return


@given(frame=client_frames, at=st.integers(0), byte=st.integers(0, 255))
def test_one_changed_byte_is_at_worst_malformed(frame: ClientFrame, at: int, byte: int) -> None:
    data = bytearray(encode(frame).encode())
    data[at % len(data)] = byte
    only_malformed(parse_client, bytes(data))


@settings(max_examples=30)
@given(frame=client_frames)
def test_no_prefix_of_a_frame_and_no_trailing_data_is_a_frame(frame: ClientFrame) -> None:
    data = encode(frame).encode()
    for end in range(0, len(data), max(1, len(data) // 50)):
        with pytest.raises(Malformed):
            parse_client(data[:end])
    with pytest.raises(Malformed):
        parse_client(data + b"[]")


def test_refusals_are_values() -> None:
    assert Ok("0" * 64, True, "duplicate: seen").refusal is None
    assert Ok("0" * 64, False, "blocked: no").refusal == Refusal(Prefix.BLOCKED, "no")
    assert Closed("a", "auth-required: who?").refusal == Refusal(Prefix.AUTH_REQUIRED, "who?")
