"""NIP-17 messages and inbox lists."""

from __future__ import annotations

from dataclasses import replace

import pytest

from nips.event import Template
from nips.key import SecretKey
from nips.kinds import Kind
from nips.nip17 import (
    MAX_INBOX_RELAYS,
    DirectMessage,
    inbox_list_template,
    inbox_relays,
    message_template,
)
from nips.refusal import Malformed

PARENT = "0e" * 32


def test_a_message_and_its_rumor(alice: SecretKey, bob: SecretKey) -> None:
    rumor = message_template(alice.public, [bob.public], "hello", 7, PARENT)
    assert rumor == Template(
        alice.public, 7, Kind.DIRECT_MESSAGE, (("p", bob.public), ("e", PARENT)), "hello"
    )
    assert DirectMessage.from_rumor(rumor) == DirectMessage(
        rumor.id, alice.public, (bob.public,), "hello", 7, PARENT
    )


def test_subject_relay_hints_and_a_receiver_named_twice(
    alice: SecretKey, bob: SecretKey, mallory: SecretKey
) -> None:
    tags = (
        ("p", bob.public, "wss://x.example"),
        ("p", mallory.public),
        ("p", bob.public),
        ("subject", "tea"),
    )
    message = DirectMessage.from_rumor(Template(alice.public, 7, Kind.DIRECT_MESSAGE, tags, ""))
    assert message.receivers == (bob.public, mallory.public)
    assert (message.subject, message.reply_to) == ("tea", None)


@pytest.mark.parametrize(
    "change",
    [
        {"kind": 15},
        {"tags": ()},
        {"tags": (("p", "bob"),)},
        {"tags": (("p",),)},
        {"tags": (("p", "0b" * 32), ("e", "it"))},
    ],
    ids=str,
)
def test_what_is_no_message(alice: SecretKey, change: dict[str, object]) -> None:
    rumor = message_template(alice.public, ["0b" * 32], "hello", 7)
    with pytest.raises(Malformed):
        DirectMessage.from_rumor(replace(rumor, **change))  # type: ignore[arg-type]


def test_an_inbox_list_round_trip(alice: SecretKey) -> None:
    relays = ("wss://inbox.example", "ws://127.0.0.1:7447")
    template = inbox_list_template(alice.public, relays, 7)
    assert template.kind == Kind.INBOX_RELAYS
    assert template.content == ""
    assert inbox_relays(template) == relays
    assert inbox_relays(template.sign(alice, bytes(32))) == relays


def test_addresses_that_are_none_are_left_out(alice: SecretKey) -> None:
    urls = ["https://a.example", "", "wss://b.example/", "wss://B.example:443", "wss://u@c.example"]
    assert inbox_relays(inbox_list_template(alice.public, urls, 7)) == ("wss://b.example/",)


def test_a_long_list_does_not_make_us_connect_everywhere(alice: SecretKey) -> None:
    urls = [f"wss://r{n}.example" for n in range(1_000)]
    found = inbox_relays(inbox_list_template(alice.public, urls, 7))
    assert found == tuple(urls[:MAX_INBOX_RELAYS])


def test_another_kind_is_no_inbox_list(alice: SecretKey) -> None:
    template = inbox_list_template(alice.public, ["wss://a.example"], 7)
    with pytest.raises(Malformed):
        inbox_relays(replace(template, kind=Kind.RELAY_LIST))
