from dataclasses import replace

import pytest

from bot.bridges.signal.people import (
    known_as,
    once,
    plain_name,
    proxy_id,
    pseudonyms,
    shown_name,
)
from bot.bridges.signal.received.envelope import Identity
from nips.key import SecretKey, is_hex
from nips.own.once import once_key

ALICE = "0b1c2d3e-4f50-6172-8394-a5b6c7d8e9fa"
BOB = "1b1c2d3e-4f50-6172-8394-a5b6c7d8e9fa"
OURS = "+4915100000000"
SEED = SecretKey(bytes([7]) * 32)
SAID = Identity(OURS, ALICE, 2, 1_700_000_000_123)


@pytest.mark.parametrize(
    ("name", "plain"),
    [
        ("Alice", "Alice"),
        ("  Alice A. ", "Alice A."),
        ("Älice 🦀", "Älice 🦀"),
        (None, "0b1c2d3e…"),
        ("", "0b1c2d3e…"),
        (" \n\t", "0b1c2d3e…"),
        # Attack: what nobody sees, or what turns the reading order, hides the network's name.
        ("\u200b\u2060\ufeff", "0b1c2d3e…"),
        ("Owner\u202e)rtsoN(\u2066", "Owner)rtsoN("),
        ("Owner\r\nsystem:", "Ownersystem:"),
        ("x" * 5_000, "x" * 60),
        ("Owner (Nostr)", "Owner (Nostr)"),
    ],
)
def test_names(name: str | None, plain: str) -> None:
    assert plain_name(ALICE, name) == plain
    assert shown_name(ALICE, name) == f"{plain} (Signal)"


def test_a_proxy_id_tells_people_apart_and_names_nobody() -> None:
    key = pseudonyms(SEED)
    network, who, timestamp = proxy_id(key, SAID).split(":")
    assert (network, timestamp) == ("signal", "1700000000123")
    assert is_hex(who, 16)
    later = replace(SAID, timestamp=SAID.timestamp + 1, device=1)
    assert who == proxy_id(key, later).split(":")[1]
    others = [
        proxy_id(key, replace(SAID, aci=BOB)),
        proxy_id(pseudonyms(SecretKey(bytes([8]) * 32)), SAID),
        once_key(ALICE)[:32],
    ]
    assert not any(who in other for other in others)


def test_names_never_change_between_versions() -> None:
    # Other ones would make every message of before one that nobody finds, or that comes again.
    assert proxy_id(pseudonyms(SEED), SAID) == (
        "signal:29037a1179d982a27dadc26b28083774:1700000000123"
    )
    assert known_as(OURS, ALICE, 5) == once_key("signal", OURS, ALICE, "5")
    assert once(SAID) == once_key("signal", OURS, ALICE, "2", "1700000000123")


def test_each_effect_of_an_envelope_has_a_once_key_of_its_own() -> None:
    made = {
        once(SAID),
        once(SAID, "deletion"),
        once(replace(SAID, device=25)),
        once(replace(SAID, timestamp=5)),
        once(replace(SAID, aci=BOB)),
        once(replace(SAID, account="+4915100000001")),
        known_as(OURS, ALICE, SAID.timestamp),
    }
    assert len(made) == 7
