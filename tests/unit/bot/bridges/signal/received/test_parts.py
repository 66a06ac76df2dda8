"""Who and what is meant in a message, and its files."""

from __future__ import annotations

from typing import Any

import pytest

from bot.bridges.signal.fields import Fields
from bot.bridges.signal.received.mentions import Mention
from bot.bridges.signal.received.parts import (
    File,
    Quoted,
    Target,
    files_of,
    mention_of,
    quoted,
    target_of,
    time_of,
)
from nips.refusal import Malformed

ACI, OTHER = "3f0a1c52-1b2c-4d3e-8f90-abcdefabcdef", "11111111-1111-4111-8111-111111111111"
NUMBER, AT = "+4915112345678", 1_700_000_000_000


@pytest.mark.parametrize(
    ("named", "target"),
    [
        ({"authorUuid": ACI, "authorNumber": NUMBER}, Target(ACI, NUMBER, AT)),
        ({"authorUuid": ACI, "authorNumber": None, "author": ACI}, Target(ACI, None, AT)),
        ({"author": NUMBER}, Target(None, NUMBER, AT)),  # as it was once
        ({"author": ACI}, Target(ACI, None, AT)),
        (
            {"authorUuid": "nonsense", "author": OTHER, "authorNumber": NUMBER},
            Target(None, NUMBER, AT),
        ),
    ],
)
def test_another_message_by_its_author_and_time(named: dict[str, Any], target: Target) -> None:
    assert target_of(Fields({"id": AT, **named}, "quote"), "author", "id") == target


@pytest.mark.parametrize("named", [{}, {"authorUuid": "x"}, {"author": None}])
def test_a_message_of_nobodys_is_none(named: dict[str, Any]) -> None:
    with pytest.raises(Malformed, match="authorUuid"):
        target_of(Fields({"id": AT, **named}, "quote"), "author", "id")


def test_a_quote_may_have_no_words() -> None:
    found = quoted(Fields({"id": AT, "authorUuid": ACI, "text": None}, "quote"))
    assert found == Quoted(Target(ACI, None, AT), "")
    assert quoted(None) is None


@pytest.mark.parametrize(
    ("mention", "read"),
    [
        ({"uuid": ACI, "start": 3, "length": 1}, Mention(ACI, None, 3, 1)),
        ({"name": NUMBER, "start": 0, "length": 1}, Mention(None, NUMBER, 0, 1)),
        ({"uuid": ACI, "start": 3}, None),
        ({"start": 3, "length": 1}, None),
        ({"name": "Ada", "start": 3, "length": 1}, None),
    ],
)
def test_a_mention_says_who_and_where(mention: dict[str, Any], read: Mention | None) -> None:
    assert mention_of(Fields(mention, "mention")) == read


def test_files_are_as_little_as_they_say() -> None:
    listed = [{}, {"id": "a.b", "contentType": "text/x-signal-plain"}, {"width": 3, "height": 0}]
    nothing = File(None, "application/octet-stream", None, None, None, None)
    assert files_of(Fields({"attachments": listed}, "data")) == [nothing, nothing]
    assert files_of(Fields({}, "data")) == []


@pytest.mark.parametrize("at", [0, -1, 1_700_000_000, 2**63, 10**15])
def test_a_time_that_no_clock_shows_is_refused(at: int) -> None:
    with pytest.raises(Malformed, match="out of bounds"):
        time_of(Fields({"timestamp": at}, "data"), "timestamp")
