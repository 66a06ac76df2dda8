"""signer/model_usage.py: what a call has cost, read from whatever passes."""

from __future__ import annotations

import json
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from signer.model_usage import MAX_BODY_BYTES, MAX_LINE_BYTES, Usage, UsageReader, of_json

ANTHROPIC_STREAM = (
    b'event: message_start\ndata: {"type":"message_start","message":{"usage":{"input_tokens":25,'
    b'"cache_creation_input_tokens":7,"cache_read_input_tokens":3,"output_tokens":1}}}\n\n'
    b"event: ping\ndata: {}\n\n"
    b'data: {"type":"content_block_delta","delta":{"text":"the \\"usage\\" is 9"}}\n\n'
    b'data: {"type":"message_delta","usage":{"output_tokens":15}}\r\n\r\n'
    b'event: message_stop\ndata: {"type":"message_stop"}\n\n'
)
ANTHROPIC = Usage(fresh=25, cached=3, written=7, out=15)
OPENAI_STREAM = (
    b'data: {"choices":[{"delta":{"content":"hi"}}],"usage":null}\n\n'
    b'data: {"choices":[],"usage":{"prompt_tokens":20,"completion_tokens":4,'
    b'"prompt_tokens_details":{"cached_tokens":16}}}\n\ndata: [DONE]\n\n'
)
OPENAI = Usage(fresh=4, cached=16, out=4)


def read(pieces: list[bytes], *, is_stream: bool) -> UsageReader:
    reader = UsageReader(is_stream=is_stream)
    for piece in pieces:
        reader.feed(piece)
    reader.finish()
    return reader


@pytest.mark.parametrize(
    ("stream", "usage"), [(ANTHROPIC_STREAM, ANTHROPIC), (OPENAI_STREAM, OPENAI)]
)
def test_a_stream_byte_by_byte_as_in_one(stream: bytes, usage: Usage) -> None:
    for pieces in ([stream], [stream[n : n + 1] for n in range(len(stream))]):
        reader = read(pieces, is_stream=True)
        assert (reader.usage, reader.complete) == (usage, True)


@given(st.lists(st.integers(0, len(ANTHROPIC_STREAM)), max_size=6))
def test_a_stream_cut_anywhere(cuts: list[int]) -> None:
    at = [0, *sorted(cuts), len(ANTHROPIC_STREAM)]
    pieces = [ANTHROPIC_STREAM[a:b] for a, b in pairwise(at)]
    assert read(pieces, is_stream=True).usage == ANTHROPIC


@given(st.integers(0, len(ANTHROPIC_STREAM) - 40))
def test_one_that_breaks_off_is_not_complete(length: int) -> None:
    assert not read([ANTHROPIC_STREAM[:length]], is_stream=True).complete


def test_a_body() -> None:
    body = b'{"type":"message","usage":{"input_tokens":11,"output_tokens":2}}'
    reader = read([body[:9], body[9:]], is_stream=False)
    assert (reader.usage, reader.complete) == (Usage(fresh=11, out=2), True)
    assert reader.usage is not None
    assert reader.usage.tokens == 13


def test_what_is_cached_for_an_hour_is_told_apart() -> None:
    """It costs twice as much as fresh tokens, the usual five minutes a quarter more."""
    told = {
        "input_tokens": 1, "cache_creation_input_tokens": 10, "output_tokens": 2,
        "cache_creation": {"ephemeral_5m_input_tokens": 4, "ephemeral_1h_input_tokens": 6},
    }  # fmt: skip
    found = of_json({"usage": told})
    assert found == Usage(fresh=1, written=4, kept=6, out=2)
    assert (found.tokens, found.read) == (13, 11)
    more = told | {"cache_creation": {"ephemeral_1h_input_tokens": 99}}
    assert of_json({"usage": more}) == Usage(fresh=1, kept=10, out=2)


@given(st.binary(max_size=300))
def test_anything_may_come(data: bytes) -> None:
    for is_stream in (True, False):
        usage = read([data], is_stream=is_stream).usage
        assert usage is None or usage.tokens >= 0


@given(
    st.dictionaries(
        st.sampled_from(["input_tokens", "output_tokens", "prompt_tokens", "completion_tokens"]),
        st.one_of(st.integers(), st.booleans(), st.none(), st.text(), st.floats()),
    )
)
def test_no_number_makes_a_call_cheaper_than_nothing(given_usage: dict[str, object]) -> None:
    usage = of_json({"usage": json.loads(json.dumps(given_usage))})
    assert usage is not None
    assert min(usage.fresh, usage.cached, usage.written, usage.out) >= 0


def test_an_endless_line_or_body_costs_no_memory() -> None:
    """Attack: a provider whose answer never ends."""
    stream = UsageReader(is_stream=True)
    body = UsageReader(is_stream=False)
    for _ in range(2 * MAX_BODY_BYTES // MAX_LINE_BYTES):
        stream.feed(b"data: " + bytes(MAX_LINE_BYTES))
        body.feed(bytes(MAX_LINE_BYTES))
    assert len(stream._kept) <= MAX_LINE_BYTES
    assert len(body._kept) <= MAX_BODY_BYTES
    stream.feed(b"\n" + ANTHROPIC_STREAM)
    assert stream.usage == ANTHROPIC
