"""Ids of Signal: one form of each, and whatever people copy brought to it."""

from __future__ import annotations

from base64 import b64encode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nips.own import signal_id
from nips.refusal import Malformed

ACI = "7b1e5c0a-3f52-4d0e-9a86-1c2f0b9d4e77"
GROUP = b64encode(bytes(range(32))).decode()


def test_an_account_and_a_group_are_told_apart() -> None:
    assert (signal_id.is_person(ACI), signal_id.is_group(ACI)) == (True, False)
    assert (signal_id.is_person(GROUP), signal_id.is_group(GROUP)) == (False, True)
    assert signal_id.is_of_group(f"signal:{GROUP}")
    assert not signal_id.is_of_group(f"signal:{ACI}")
    assert not signal_id.is_of_group(GROUP)


@pytest.mark.parametrize(
    "id_",
    [
        "",
        "00000000-0000-0000-0000-000000000000",
        ACI.upper(),
        ACI + "\n",
        "{" + ACI + "}",
        f"PNI:{ACI}",
        ACI.replace("-", ""),
        "+4915112345678",
        f"{ACI},{ACI}",
        GROUP[:-1],
        GROUP + "\n",
        GROUP[:-2] + "9=",  # the same 32 bytes, and bits behind them
        GROUP.replace("A", "-", 1),
        b64encode(bytes(31)).decode(),
        b64encode(bytes(33)).decode(),
        "group." + b64encode(GROUP.encode()).decode(),
        "é" * 44,
        "../" * 14 + "==",
    ],
)
def test_what_is_no_id(id_: str) -> None:
    """Attack: a second writing of an id, which would be a second conversation with one person; a
    path, or an option, where an id is put into an address or a command."""
    assert not signal_id.is_person(id_)
    assert not signal_id.is_group(id_)
    with pytest.raises(Malformed):
        signal_id.checked("id", id_)


@pytest.mark.parametrize(
    ("word", "id_"),
    [
        (ACI, ACI),
        (ACI.upper(), ACI),
        (GROUP, GROUP),
        ("group." + b64encode(GROUP.encode()).decode(), GROUP),
    ],
)
def test_what_people_copy(word: str, id_: str) -> None:
    assert signal_id.typed(word) == id_


@pytest.mark.parametrize(
    "word", ["", "+4915112345678", "group.", "group.!", "group.w6k", "group.YWJj", "ann"]
)
def test_what_names_nobody(word: str) -> None:
    with pytest.raises(Malformed):
        signal_id.typed(word)


@given(st.binary(min_size=32, max_size=32))
def test_every_group_has_one_id(raw: bytes) -> None:
    id_ = b64encode(raw).decode()
    assert signal_id.typed(id_) == signal_id.checked("id", id_) == id_
    assert not signal_id.is_person(id_)


@given(st.text(max_size=60))
def test_any_text_is_an_id_of_ours_or_none(text: str) -> None:
    try:
        found = signal_id.typed(text)
    except Malformed:
        return
    assert signal_id.checked("id", found) == found
