"""nips/nip21.py: events as people paste them, against nostr-sdk, and what names none."""

from __future__ import annotations

import nostr_sdk
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nips import nip19
from nips.nip19 import Naddr
from nips.nip21 import event_of
from nips.reference import Pointer
from nips.refusal import Malformed

ID = "b3e392b11f5d4f28321cedd09303a748acfd0487aea5a7450b3481c60b6e4f87"
AUTHOR = "a695f6b60119d9521934a691347d9f78e8770b56da16bb255ee286ddf9fda919"
# NIP-23's own examples of both.
NEVENT = (
    "nevent1qqst8cujky046negxgwwm5ynqwn53t8aqjr6afd8g59nfqwxpdhylpcpzamhxue69uhhyetvv9ujuetcv9khqmr9"
    "9e3k7mg8arnc9"
)
NADDR = (
    "naddr1qqzkjurnw4ksz9thwden5te0wfjkccte9ehx7um5wghx7un8qgs2d90kkcq3nk2jry62dyf50k0h36rhpdtd594my"
    "40w9pkal876jxgrqsqqqa28pccpzu"
)


def test_the_examples_of_the_nips_are_read() -> None:
    assert event_of(f"nostr:{NEVENT}") == Pointer(ID, "wss://relay.example.com")
    assert event_of(NADDR) == Naddr("ipsum", AUTHOR, 30_023, ("wss://relay.nostr.org",))


@given(raw=st.binary(min_size=32, max_size=32))
def test_nostr_sdk_writes_the_same(raw: bytes) -> None:
    event_id = nostr_sdk.EventId.parse(raw.hex())
    assert event_of(event_id.to_bech32()) == Pointer(raw.hex())
    named = nostr_sdk.Nip19Event(
        event_id,
        nostr_sdk.PublicKey.parse(AUTHOR),
        nostr_sdk.Kind(1),
        [nostr_sdk.RelayUrl.parse("wss://relay.example")],
    )
    assert event_of(named.to_bech32()) == Pointer(raw.hex(), "wss://relay.example", AUTHOR)


def test_hex_is_read_in_either_case() -> None:
    assert event_of(f" {ID.upper()}\n") == Pointer(ID)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "the last one",
        ID[:-1],
        NEVENT[:-1],
        nip19.encode_npub(AUTHOR),
        nip19.encode_bech32("note", bytes(31)),
        nip19.encode_bech32("nevent", b"\x01\x00"),
        nip19.encode_bech32("nevent", b"\x00\x1f" + bytes(31)),
        nip19.encode_bech32("nevent", b"\x00\x20" + bytes(5)),
        nip19.encode_bech32("naddr", b"\x00\x01x"),
        f"https://example.com/{NEVENT}",
    ],
)
def test_what_names_no_event_is_told_how_to(text: str) -> None:
    with pytest.raises(Malformed, match="nevent1"):
        event_of(text)
