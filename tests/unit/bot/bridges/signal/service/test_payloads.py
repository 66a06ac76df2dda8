"""What is sent to the service: no value is taken for something else."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.bridges.signal.addresses import group_recipient
from bot.bridges.signal.service import payloads
from bot.bridges.signal.service.shapes import Attachment, Quote

ACI, NUMBER, AT = "3f0a1c52-1b2c-4d3e-8f90-abcdefabcdef", "+4915100000001", 1_700_000_000_000
GROUP = group_recipient(base64.b64encode(bytes(32)).decode())


def message(text: str = "hi", **more: Any) -> dict[str, Any]:
    given = {"number": NUMBER, "recipient": ACI, "quote": None, "attachments": ()} | more
    found: dict[str, Any] = json.loads(payloads.message(text=text, **given))
    return found


def test_a_message() -> None:
    assert message("**hi**", recipient=GROUP) == {
        "number": NUMBER,
        "recipients": [GROUP],
        "message": "**hi**",
        "text_mode": "styled",
        "notify_self": False,
        "base64_attachments": [],
    }


def test_a_quote() -> None:
    body = message(quote=Quote(ACI, AT, "x" * 5_000))
    assert (body["quote_author"], body["quote_timestamp"]) == (ACI, AT)
    assert body["quote_message"] == "x" * payloads.MAX_QUOTE_CHARS


@pytest.mark.parametrize("text", ["-a", "--attachment=/etc/passwd", "-", "\0-a", "\0\0--x", "-\0"])
def test_a_quote_is_no_option(text: str) -> None:
    """Attack: in normal mode it is an argument of a program."""
    quoted = message(quote=Quote(ACI, AT, text))["quote_message"]
    assert not quoted.startswith("-")
    assert quoted.lstrip(payloads.WORD_JOINER) == text.replace("\0", "")
    assert "\0" not in quoted  # no program has such an argument


def test_half_of_a_pair_is_no_reason_not_to_send() -> None:
    assert message("a\ud83d", quote=Quote(ACI, AT, "\udc00"))["message"] == "a?"


@pytest.mark.parametrize("bad", ["", "-a", "+49151", "group.x", "../x", ACI.upper(), "some.01"])
def test_what_is_no_recipient_is_sent_nothing(bad: str) -> None:
    with pytest.raises(ValueError, match="Signal"):
        message(recipient=bad)
    with pytest.raises(ValueError, match="Signal"):
        payloads.reaction(bad, ACI, AT, "👍")
    if bad != "+49151":
        with pytest.raises(ValueError, match="Signal"):
            message(quote=Quote(bad, AT, ""))
        with pytest.raises(ValueError, match="number"):
            message(number=bad)


def test_a_reaction() -> None:
    assert json.loads(payloads.reaction(GROUP, NUMBER, AT, "👍🏽")) == {
        "recipient": GROUP,
        "reaction": "👍🏽",
        "target_author": NUMBER,
        "timestamp": AT,
    }


@pytest.mark.parametrize("emoji", ["", " ", "-", "--remove", "\n", "👍\0", "x" * 65])
def test_what_is_no_emoji_is_none(emoji: str) -> None:
    with pytest.raises(ValueError, match="emoji"):
        payloads.reaction(ACI, ACI, AT, emoji)


@pytest.mark.parametrize(
    ("token", "captcha"),
    [("", "x"), ("x", ""), ("-x", "y"), ("x", "--y"), ("x\n", "y"), ("x y", "z"), ("ü", "y")],
)
def test_a_challenge_is_plain(token: str, captcha: str) -> None:
    with pytest.raises(ValueError, match="captcha"):
        payloads.challenge(token, captcha)
    assert json.loads(payloads.challenge("t-1", "signalcaptcha://x.y-z"))["captcha"]


@pytest.mark.parametrize(
    ("name", "plain"),
    [
        ("photo.png", "photo.png"),
        ("Grüße aus Köln.pdf", "Grüße aus Köln.pdf"),
        ("../../.ssh/authorized_keys", "ssh_authorized_keys"),
        ("..\\boot.ini", "boot.ini"),
        ("a;filename=b;base64,x.png", "a_filename=b_base64_x.png"),
        ("-rf", "rf"),
        (".bashrc", "bashrc"),
        ("..", "file"),
        ("", "file"),
        ("a\n\0b", "a__b"),
        ("data:text/html", "data_text_html"),
        ("\ud83d.png", "png"),
    ],
)
def test_a_files_name_leads_nowhere(name: str, plain: str) -> None:
    assert payloads.file_name(name) == plain


@given(st.text())
def test_whatever_a_file_is_called_it_is_one_name(name: str) -> None:
    found = payloads.file_name(name)
    assert 0 < len(found.encode()) <= payloads.MAX_NAME_BYTES
    assert not set(found) & set("/\\;,:\0\n")
    assert not found.startswith(("-", "."))


def test_a_long_name_keeps_its_ending() -> None:
    assert payloads.file_name("ü" * 500 + ".pdf").endswith("ü.pdf")


@pytest.mark.parametrize(
    ("mime", "said"),
    [
        ("image/png", "image/png"),
        ("image/svg+xml", "image/svg+xml"),
        ("image/png;base64", "application/octet-stream"),
        ("", "application/octet-stream"),
        ("a/b\n", "application/octet-stream"),
    ],
)
def test_a_file_is_a_data_address(mime: str, said: str) -> None:
    url = payloads.data_url(Attachment("a.png", mime, b"\0\xff"))
    assert url == f"data:{said};filename=a.png;base64,AP8="
