"""nips/own/frame.py: the form that an owner's client reads, and what has none of it."""

from __future__ import annotations

import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nips.event import Event, Template
from nips.key import SecretKey
from nips.kinds import Kind
from nips.own import frame
from nips.own.frame import Told
from nips.refusal import Malformed

BOT, OWNER = SecretKey(b"\x01" * 32), SecretKey(b"\x02" * 32)
TOLD = Told(7, "acp_read", {"type": "tool_call", "tool": "recall", "text": '{"words":"🦩"}'})
TAGS = (("p", OWNER.public), ("agent", BOT.public), ("frame", "telemetry"))


def at(now_s: float) -> str:
    text = frame.content(TOLD, now_s=now_s, group="g", session="s", turn="t")
    return str(json.loads(text)["timestamp"])


def signed(*tags: tuple[str, ...], kind: int = Kind.FRAME) -> Event:
    return Template(BOT.public, 1, kind, tags, "").sign(BOT, bytes(32))


def test_what_is_told_is_read_again() -> None:
    assert frame.parse(TOLD.to_json()) == TOLD


@pytest.mark.parametrize(
    ("now_s", "expected"),
    [
        (0, "1970-01-01T00:00:00.000Z"),
        (1_767_225_642, "2026-01-01T00:00:42.000Z"),
        (1_767_225_642.12, "2026-01-01T00:00:42.120Z"),
        (1_767_225_642.0009, "2026-01-01T00:00:42.000Z"),
        (1_767_225_642.999999, "2026-01-01T00:00:42.999Z"),
        (1_767_225_642.9999999, "2026-01-01T00:00:43.000Z"),
    ],
)
def test_a_time_is_written_in_milliseconds(now_s: float, expected: str) -> None:
    assert at(now_s) == expected


@given(st.lists(st.floats(0, 4e9), min_size=2, max_size=20))
def test_times_that_are_sorted_as_texts_are_in_order(times: list[float]) -> None:
    texts = [at(now_s) for now_s in sorted(times)]
    assert texts == sorted(texts)
    assert all(re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", text) for text in texts)


def test_a_frame_says_whom_it_is_for() -> None:
    template = frame.template(BOT.public, OWNER.public, "sealed", 1)
    assert (template.kind, template.tags) == (24_200, TAGS)
    assert frame.recipient(template.sign(BOT, bytes(32))) == OWNER.public


@pytest.mark.parametrize(
    "event",
    [
        signed(*TAGS, ("p", BOT.public)),
        signed(*TAGS, ("p", OWNER.public)),
        signed(*TAGS, ("agent", BOT.public)),
        signed(*TAGS, ("frame", "control")),
        signed(*TAGS[1:]),
        signed(TAGS[0], TAGS[2]),
        signed(*TAGS[:2]),
        signed(*TAGS[:2], ("frame", "control")),
        signed(TAGS[0], ("agent", OWNER.public), TAGS[2]),
        signed(("p", "nobody"), *TAGS[1:]),
        signed(("p",), *TAGS[1:]),
        signed(*TAGS, kind=Kind.COST),
    ],
)
def test_what_is_for_two_or_for_nobody_is_no_frame(event: Event) -> None:
    with pytest.raises(Malformed):
        frame.recipient(event)
