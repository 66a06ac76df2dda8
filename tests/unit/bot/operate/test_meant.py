"""bot/operate/meant.py: what a person types to name an event."""

from __future__ import annotations

import pytest

from bot.operate.meant import Meant, meant
from nips.key import SecretKey
from nips.nip19 import encode_naddr, encode_nevent, encode_npub, encode_nsec
from nips.refusal import Malformed

BOT, ANN = (SecretKey(bytes([n]) * 32).public for n in (1, 2))
ID, RELAY = "ab" * 32, "wss://relay.example"


@pytest.mark.parametrize(
    ("typed", "found"),
    [
        (ID, Meant((ID,))),
        (f"  {ID.upper()}\n", Meant((ID,))),
        (encode_nevent(ID, (RELAY,), ANN, 1), Meant((ID,), RELAY)),
        ("nostr:" + encode_nevent(ID, (), ANN, 1), Meant((ID,))),
        (encode_nevent(ID, ("no address", RELAY), ANN, 1), Meant((ID,), RELAY)),
        (encode_naddr("x", ANN, 30_023, (RELAY,)), Meant((f"30023:{ANN}:x",), RELAY)),
        (encode_naddr("Größe:1", ANN, 30_023, ()), Meant((f"30023:{ANN}:Größe:1",))),
        ("my-trip", Meant((f"30023:{BOT}:my-trip", f"30024:{BOT}:my-trip"))),
    ],
)
def test_ways_to_name_one(typed: str, found: Meant) -> None:
    assert meant(typed, BOT) == found


@pytest.mark.parametrize(
    "typed", ["", "My Trip", "https://example.com/x", "--", "a_b", encode_npub(ANN) + "\n", "é"]
)
def test_what_names_none(typed: str) -> None:
    with pytest.raises(Malformed, match="or the slug of an article"):
        meant(typed.replace("npub1", "npub1 "), BOT)


def test_a_secret_key_is_not_repeated() -> None:
    nsec = encode_nsec(bytes([7]) * 32)
    with pytest.raises(Malformed) as error:
        meant(nsec.upper(), BOT)
    assert nsec not in str(error.value).lower()
