"""What is a number, a person, a group, a file of Signal's, and what only looks like one."""

from __future__ import annotations

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.bridges.signal.addresses import (
    group_recipient,
    is_aci,
    is_file_id,
    is_group_id,
    is_number,
    is_recipient,
)

ACI = "3f0a1c52-1b2c-4d3e-8f90-abcdefabcdef"
GROUP = base64.b64encode(bytes(range(32))).decode()


@pytest.mark.parametrize(
    ("text", "is_one"),
    [
        (ACI, True),
        (ACI.upper(), False),
        (ACI + "\n", False),
        (f"PNI:{ACI}", False),
        (ACI.replace("-", ""), False),
        ("00000000-0000-0000-0000-000000000000", False),
        (ACI.replace("3", "٣"), False),  # a digit, and not ours
        ("", False),
    ],
)
def test_an_aci_is_a_uuid_in_small_letters(text: str, is_one: bool) -> None:
    assert is_aci(text) is is_one
    assert is_recipient(text) is is_one


@pytest.mark.parametrize(
    ("text", "is_one"),
    [
        ("+4915112345678", True),
        ("4915112345678", False),
        ("+0915112345678", False),
        ("+49 151", False),
        ("+49151/../../v1/accounts", False),
        ("+4915112345678\n", False),
        ("--config=/", False),
        ("+٤٩١٥١١٢٣", False),
        ("+" + "1" * 20, False),
    ],
)
def test_a_number_is_a_plus_and_digits(text: str, is_one: bool) -> None:
    assert is_number(text) is is_one


def test_a_groups_id_has_one_form() -> None:
    assert is_group_id(GROUP)
    other_end = GROUP[:-2] + chr(ord(GROUP[-2]) + 1) + "="  # the same bytes for a lax reader
    for text in (other_end, GROUP.rstrip("="), GROUP + "\n", f" {GROUP}", GROUP + GROUP, "", "ä"):
        assert not is_group_id(text), text
    assert not is_group_id(base64.b64encode(bytes(16)).decode())  # as groups were once
    assert not is_group_id(base64.urlsafe_b64encode(b"\xff" * 32).decode())


def test_a_group_as_a_recipient_is_its_id_encoded_once_more() -> None:
    recipient = group_recipient(GROUP)
    prefix, _, rest = recipient.partition(".")
    assert (prefix, base64.b64decode(rest).decode()) == ("group", GROUP)
    assert is_recipient(recipient)
    for text in (f"group.{GROUP}", "group.", "group.!", recipient + "=", f"{recipient}\n"):
        assert not is_recipient(text), text
    with pytest.raises(ValueError, match="group"):
        group_recipient("--config")


@pytest.mark.parametrize(
    ("text", "is_one"),
    [
        ("abc_-9.jpg", True),
        ("-9.jpg", True),
        ("x.tar gz ü", True),  # the ending is the sender's
        ("..", False),
        (".", False),
        ("", False),
        ("../../accounts", False),
        ("a\\b", False),
        ("a\0", False),
        ("a\n", False),
        ("a\u202eb", False),
        ("a" * 256, False),
        ("ü" * 128, False),
    ],
)
def test_a_files_id_is_one_name(text: str, is_one: bool) -> None:
    assert is_file_id(text) is is_one


@given(st.text())
def test_whatever_is_asked_there_is_an_answer(text: str) -> None:
    assert not (is_aci(text) and is_number(text))
    assert is_recipient(text) is is_recipient(text)
    assert not is_file_id(f"{text}/")
    assert not is_group_id(f"{text}\n")
