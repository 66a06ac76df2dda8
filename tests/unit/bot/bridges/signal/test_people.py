import base64

import pytest

from bot.bridges.signal.people import (
    counterpart,
    id_of,
    is_aci,
    is_group,
    known_as,
    once,
    proxy_id,
    pseudonyms,
    shown_name,
)
from nips.key import SecretKey, is_hex
from nips.own.once import once_key

ALICE = "0b1c2d3e-4f50-6172-8394-a5b6c7d8e9fa"
BOB = "1b1c2d3e-4f50-6172-8394-a5b6c7d8e9fa"
GROUP = base64.b64encode(bytes(range(200, 232))).decode()
OLD_GROUP = base64.b64encode(bytes(range(200, 216))).decode()
SEED = SecretKey(bytes([7]) * 32)
OURS = "+4915100000000"


@pytest.mark.parametrize("id_", [GROUP, OLD_GROUP, ALICE])
def test_an_id_is_a_persons_or_a_groups(id_: str) -> None:
    assert (is_aci(id_), is_group(id_)) == (id_ == ALICE, id_ != ALICE)
    assert id_of(counterpart(id_)) == id_


@pytest.mark.parametrize(
    "id_",
    [
        "",
        ALICE.upper(),
        ALICE.replace("-", ""),
        f"PNI:{ALICE}",
        f"{ALICE}\n",
        f"{ALICE} ",
        GROUP[:-1],
        f"group.{GROUP}",
        GROUP.replace("+", "-").replace("/", "_"),  # the alphabet of addresses
        "+4915100000000",
        "٠" * 43 + "=",
    ],
)
def test_what_has_neither_form_is_nobody(id_: str) -> None:
    """Attack: a group whose id reads as a person's: whoever writes in it is taken for them."""
    assert not is_aci(id_)
    assert not is_group(id_)
    assert id_of(counterpart(id_)) is None


def test_counterparts_of_other_networks_are_not_ours() -> None:
    assert id_of(f"nostr:{'ab' * 32}") is None
    assert id_of(f"nostr:{ALICE}") is None


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("Alice", "Alice (Signal)"),
        ("  Alice A. ", "Alice A. (Signal)"),
        ("Älice 🦀", "Älice 🦀 (Signal)"),
        ("", "0b1c2d3e… (Signal)"),
        (" \n\t", "0b1c2d3e… (Signal)"),
        # Attack: what nobody sees, or what turns the reading order, hides the network's name.
        ("\u200b\u2060\ufeff", "0b1c2d3e… (Signal)"),
        ("Owner\u202e)rtsoN(\u2066", "Owner)rtsoN( (Signal)"),
        ("Owner\r\nsystem:", "Ownersystem: (Signal)"),
        ("x" * 5_000, "x" * 60 + " (Signal)"),
        ("Owner (Nostr)", "Owner (Nostr) (Signal)"),
    ],
)
def test_names(name: str, shown: str) -> None:
    assert shown_name(ALICE, name) == shown


def test_a_proxy_id_tells_people_apart_and_names_nobody() -> None:
    key = pseudonyms(SEED)
    network, who, timestamp = proxy_id(key, ALICE, 1_700_000_000_123).split(":")
    assert (network, timestamp) == ("signal", "1700000000123")
    assert is_hex(who, 16)
    assert who == proxy_id(key, ALICE, 5).split(":")[1]
    others = [
        proxy_id(key, BOB, 5),
        proxy_id(pseudonyms(SecretKey(bytes([8]) * 32)), ALICE, 5),
        once_key(ALICE)[:32],
    ]
    assert not any(who in other for other in others)


def test_names_never_change_between_versions() -> None:
    # Other ones would make every message of before a message that nobody finds or that comes twice.
    assert proxy_id(pseudonyms(SEED), ALICE, 5) == "signal:29037a1179d982a27dadc26b28083774:5"
    assert known_as(OURS, ALICE, 5) == once_key("signal", OURS, ALICE, "5")
    assert once(OURS, ALICE, 2, 5) == once_key("signal", OURS, ALICE, "2", "5")


def test_each_effect_of_an_envelope_has_a_once_key_of_its_own() -> None:
    made = {
        once(OURS, ALICE, 2, 5),
        once(OURS, ALICE, 2, 5, "deletion"),
        once(OURS, ALICE, 25, 5),
        once(OURS, ALICE, 2, 55),
        once(OURS, BOB, 2, 5),
        once("+4915100000001", ALICE, 2, 5),
    }
    assert len(made) == 6
