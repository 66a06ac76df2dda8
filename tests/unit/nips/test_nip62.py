"""Whom a request to vanish is for."""

from __future__ import annotations

import pytest

from nips.event import Event
from nips.nip62 import VANISH, names

OWN = ["ws://127.0.0.1:7447", "wss://relay.example/"]


def request(*relays: str) -> Event:
    tags = tuple(("relay", relay) for relay in relays)
    return Event("0" * 64, "1" * 64, 0, VANISH, tags, "", "2" * 128)


@pytest.mark.parametrize(
    ("relays", "is_for_us"),
    [
        (["ws://127.0.0.1:7447/"], True),
        (["WSS://Relay.Example"], True),
        (["wss://other.example", "wss://relay.example"], True),
        (["ALL_RELAYS"], True),
        (["all_relays"], False),
        (["wss://other.example"], False),
        (["not an address"], False),
        ([], False),
    ],
)
def test_it_names_this_relay(relays: list[str], is_for_us: bool) -> None:
    assert names(request(*relays), OWN) is is_for_us
