"""NIP-65: where somebody reads what mentions them."""

import pytest

from nips.event import Template
from nips.nip65 import MAX_RELAYS, read_relays, template
from nips.refusal import Malformed

WHO = "ab" * 32


def of(*tags: tuple[str, ...]) -> tuple[str, ...]:
    return read_relays(Template(WHO, 1, 10002, tags, ""))


def test_the_example_of_the_nip() -> None:
    assert of(
        ("r", "wss://alicerelay.example.com"),
        ("r", "wss://brando-relay.com"),
        ("r", "wss://expensive-relay.example2.com", "write"),
        ("r", "wss://nostr-relay.example.com", "read"),
    ) == (
        "wss://alicerelay.example.com",
        "wss://brando-relay.com",
        "wss://nostr-relay.example.com",
    )


def test_what_is_no_address_and_what_is_one_twice_is_left_out() -> None:
    assert of(("r",), ("r", ""), ("r", "https://x.example"), ("x", "wss://y.example")) == ()
    assert of(("r", "wss://a.example"), ("r", "wss://A.example/")) == ("wss://a.example",)
    assert of(("r", "wss://a.example", "neither")) == ()


def test_a_list_of_thousands_makes_us_connect_to_few() -> None:
    assert len(of(*(("r", f"wss://{n}.example") for n in range(5_000)))) == MAX_RELAYS


def test_ours_is_for_both() -> None:
    made = template(WHO, ("wss://a.example", "wss://b.example"), 5)
    assert read_relays(made) == ("wss://a.example", "wss://b.example")


def test_another_kind_is_none() -> None:
    with pytest.raises(Malformed):
        read_relays(Template(WHO, 1, 10050, (), ""))
