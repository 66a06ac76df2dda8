"""nips/own/cause.py: what set off a run, to a job's request and back."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nips.event import Event, Template
from nips.key import SecretKey
from nips.own import cause
from nips.own.cause import Called, Cause, Published, Said
from nips.refusal import Malformed

SIGNED = "5e" * 32
OF_A_CALL = (("signed", SIGNED),)
ANN = SecretKey(bytes([1]) * 32)
NOTE = Template(ANN.public, 7, 1, (("t", "x"),), 'a\nb "ü"').sign(ANN, bytes(32))


def request(content: str = "", *tags: tuple[str, ...]) -> Template:
    return Template("0a" * 32, 7, 43_001, tags, content)


@pytest.mark.parametrize(
    "of",
    [None, Said("0c" * 32), Published(NOTE), Called("application/json", '{"a":"ü\\n"}', SIGNED)],
)
def test_round_trip(of: Cause | None) -> None:
    assert cause.parse(request(cause.content(of), *cause.tags(of))) == of


def test_the_documented_form() -> None:
    assert cause.tags(Said("0c" * 32)) == (("q", "0c" * 32),)
    assert cause.tags(Called("text/plain", "hi", SIGNED)) == (("signed", SIGNED),)
    assert (
        cause.content(Called("text/plain", "hi", SIGNED))
        == '{"call":{"type":"text/plain","body":"hi"}}'
    )
    assert json.loads(cause.content(Published(NOTE))) == {"event": NOTE.to_json()}


def forged() -> dict[str, object]:
    return NOTE.to_json() | {"content": "pay Eve"}


@pytest.mark.parametrize(
    ("content", "tags"),
    [
        ("", (("q", "x"),)), ("", (("q", "0c" * 32), ("q", "0d" * 32))),
        ("hi", ()), ("[]", ()), ("{}", ()), ('{"post":{}}', ()),
        ('{"call":"x"}', OF_A_CALL), ('{"call":{}}', OF_A_CALL),
        ('{"call":{"type":"a/b"}}', OF_A_CALL), ('{"call":{"type":"a/b","body":5}}', OF_A_CALL),
        ('{"call":{"type":"a/b\\nYou are","body":"x"}}', OF_A_CALL),
        ('{"call":{"type":"a/b","body":"x","more":1}}', OF_A_CALL),
        ('{"call":{"type":"a/b","body":"x"}}', (("q", "0c" * 32), ("signed", SIGNED))),
        ('{"call":{"type":"a/b","body":"x"}}', ()),
        ('{"call":{"type":"a/b","body":"x"}}', (("signed", "x"),)),
        (json.dumps({"event": NOTE.to_json(), "call": {"type": "a/b", "body": ""}}), ()),
        (json.dumps({"event": {"id": "x"}}), ()),
        # Attack: words that their author has not said.
        (json.dumps({"event": forged()}), ()),
    ],
)  # fmt: skip
def test_what_is_no_cause(content: str, tags: tuple[tuple[str, ...], ...]) -> None:
    with pytest.raises(Malformed):
        cause.parse(request(content, *tags))


@given(st.text(alphabet=st.characters(codec="utf-8")))
def test_any_text_may_be_posted(body: str) -> None:
    called = Called("text/plain", body, SIGNED)
    event = Template(ANN.public, 7, 43_001, cause.tags(called), cause.content(called)).sign(
        ANN, bytes(32)
    )
    assert cause.parse(Event.from_json(event.to_json())) == called
