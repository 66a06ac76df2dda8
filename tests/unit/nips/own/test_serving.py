"""nips/own/serving.py: the announcement is told from every other message of its form."""

from __future__ import annotations

import pytest

from nips.nip46 import Request, Response
from nips.own.serving import announcement, is_announcement
from nips.refusal import Prefix, Refusal


def test_it_is_recognised() -> None:
    assert is_announcement(announcement("1f").to_json())


@pytest.mark.parametrize(
    "text",
    [
        Response("1f", "serving").to_json(),
        Response("1f", error=Refusal(Prefix.ERROR, "serving")).to_json(),
        Request("1f", "ping").to_json(),
        '{"method":"serving"}',
        '{"id":"1f","method":["serving"]}',
        "serving",
        "[]",
        "",
    ],
)
def test_nothing_else_is(text: str) -> None:
    assert not is_announcement(text)
