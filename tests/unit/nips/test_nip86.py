"""Calls and answers of the management of a relay."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nips.nip86 import Call, failure, parse, result
from nips.refusal import Malformed


def test_a_call_and_its_answers() -> None:
    assert parse(b'{"method":"banpubkey","params":["a","b"]}') == Call("banpubkey", ("a", "b"))
    assert parse(b'{"method":"supportedmethods"}') == Call("supportedmethods", ())
    assert json.loads(result(True)) == {"result": True}
    assert json.loads(failure("no"))["error"] == "no"


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"{}",
        b'{"method":1}',
        b'{"method":"a","params":{}}',
        b'{"params":[]}',
        b"[" * 9_000,
    ],
)
def test_what_is_no_call(body: bytes) -> None:
    with pytest.raises(Malformed):
        parse(body)


@given(body=st.binary())
def test_arbitrary_bytes_are_at_worst_malformed(body: bytes) -> None:
    try:
        assert isinstance(parse(body), Call)
    except Malformed:
        return
