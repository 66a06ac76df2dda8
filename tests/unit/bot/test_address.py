"""Counterparts as people are shown them."""

from __future__ import annotations

import pytest

from bot import address
from nips.key import SecretKey
from nips.nip19 import encode_npub
from tests.unit.nips.own.test_signal_id import ACI, GROUP

ANN = SecretKey(bytes([1]) * 32).public
NPUB = encode_npub(ANN)


@pytest.mark.parametrize(
    ("counterpart", "whole", "short"),
    [
        (f"nostr:{ANN}", NPUB, f"{NPUB[:10]}…{NPUB[-4:]}"),
        (f"signal:{ACI}", f"signal:{ACI}", "Signal 7b1e5c0a…"),
        (f"signal:{GROUP}", f"signal:{GROUP}", "Signal group AAECAwQF…"),
        ("telex:7", "telex:7", "telex:7"),
        (f"nostr:{'f' * 64}", f"nostr:{'f' * 64}", f"nostr:{'f' * 64}"),  # on no curve
    ],
)
def test_an_address(counterpart: str, whole: str, short: str) -> None:
    assert (address.whole(counterpart), address.short(counterpart)) == (whole, short)
