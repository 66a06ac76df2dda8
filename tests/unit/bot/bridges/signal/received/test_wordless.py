"""Stickers, contacts, polls: a line each."""

from __future__ import annotations

from typing import Any

import pytest

from bot.bridges.signal.fields import Fields
from bot.bridges.signal.received.wordless import in_lines
from nips.refusal import Malformed

EMAIL = [{"value": "a@b", "type": "HOME"}]
ADA = {"given": "Ada", "middle": None, "family": "Lovelace", "nickname": "Countess"}


@pytest.mark.parametrize(
    ("data", "lines"),
    [
        ({}, []),
        ({"sticker": {"packId": "ab", "stickerId": 3}}, ["[a sticker]"]),
        ({"payment": {"note": "rent", "receipt": "AA=="}}, ["[a payment]"]),
        (
            {
                "contacts": [
                    {"name": ADA, "phone": [{"value": "+44 20"}], "email": [{"value": "a@b"}]}
                ]
            },
            ["[contact: Ada Lovelace, +44 20, a@b]"],
        ),
        ({"contacts": [{"name": {"nickname": "Countess"}}]}, ["[contact: Countess]"]),
        ({"contacts": [{"organization": "Engines"}]}, ["[contact: Engines]"]),
        ({"contacts": [{"name": None}]}, ["[a contact]"]),
        ({"contacts": [{"name": {"given": "Ada\n[file: x]"}}]}, ["[contact: Ada [file: x]]"]),
        (
            {"pollCreate": {"question": "Tea?", "allowMultiple": False, "options": ["yes", "no"]}},
            ["[poll: Tea?, yes, no]"],
        ),
        ({"pollCreate": {}}, ["[a poll]"]),
    ],
)
def test_what_has_no_words_is_a_line(data: dict[str, Any], lines: list[str]) -> None:
    assert list(in_lines(Fields(data, "data"))) == lines


def test_a_contact_that_is_none_is_refused() -> None:
    with pytest.raises(Malformed, match="contacts is no object"):
        list(in_lines(Fields({"contacts": ["Ada"]}, "data")))


def test_there_is_an_end_to_contacts() -> None:
    assert len(list(in_lines(Fields({"contacts": [{}] * 999}, "data")))) < 10
