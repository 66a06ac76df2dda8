"""Who was bound: round trip, and what is no such record."""

from __future__ import annotations

from dataclasses import replace

import pytest

from nips.kinds import Kind
from nips.own.bound import parse, template
from nips.refusal import Malformed

BRIDGE = "ab" * 32
GROUP = "6f1d2c3b-4a59-4e68-8d77-9c80a1b2c3d4"
BOUND = {GROUP: ("signal:7b1e5c0a-3f52-4d0e-9a86-1c2f0b9d4e77", "signal:x")}


def test_round_trip() -> None:
    event = template("signal-outbox", BOUND, BRIDGE, 7)
    assert parse(event) == BOUND
    assert event.tags[0] == ("d", "bound/signal-outbox")
    assert parse(template("signal-outbox", {}, BRIDGE, 7)) == {}


@pytest.mark.parametrize(
    "content",
    [
        "", "[]", '{"x":[]}', f'{{"{GROUP}":"a"}}', f'{{"{GROUP}":[1]}}',
        f'{{"{GROUP}":{["a"] * 51}}}',
    ],
)  # fmt: skip
def test_what_says_nothing_of_it(content: str) -> None:
    event = replace(template("x", BOUND, BRIDGE, 7), content=content.replace("'", '"'))
    with pytest.raises(Malformed):
        parse(event)


def test_another_record() -> None:
    event = template("x", BOUND, BRIDGE, 7)
    for bad in (replace(event, kind=Kind.CHAT), replace(event, tags=(("d", "place/x"),))):
        with pytest.raises(Malformed):
            parse(bad)
