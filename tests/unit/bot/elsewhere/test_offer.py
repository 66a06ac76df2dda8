"""bot/elsewhere/offer.py: what another relay has to be, before anything is said on it."""

from __future__ import annotations

from collections.abc import Iterable

import pytest

from bot.elsewhere.offer import keeper, lacks, unfit
from nips.event import Event, Template
from nips.key import SecretKey
from nips.own.roles import Roles

RELAY, ROUTER, BOT, OTHER = (SecretKey(bytes([n]) * 32) for n in range(1, 5))
MAIN = "6f1d2c3b-4a59-4e68-8d77-9c80a1b2c3d4"
ROLES = Roles("aa" * 32, "bb" * 32, ROUTER.public, BOT.public, MAIN)
BOTH = (BOT.public, ROUTER.public)


def state(
    flags: Iterable[str] = ("private", "closed"),
    members: Iterable[str] = BOTH,
    by: SecretKey = RELAY,
    group: str = MAIN,
    at: int = 1_767_225_600,
) -> list[Event]:
    d = ("d", group)
    metadata = Template(by.public, at, 39_000, (d, *((flag,) for flag in flags)), "")
    people = Template(by.public, at, 39_002, (d, *(("p", key) for key in members)), "")
    return [metadata.sign(by, bytes(32)), people.sign(by, bytes(32))]


def test_a_private_group_with_both_of_us_will_do() -> None:
    assert unfit(state(), ROLES, RELAY.public) is None
    assert unfit(state(), ROLES, None) is None


@pytest.mark.parametrize(
    ("events", "words"),
    [
        ([], "not there"),
        (state(group="other"), "not there"),
        (state(flags=("closed",)), "not private"),
        (state(members=[ROUTER.public]), f"the bot ({BOT.public}) must join it"),
        (state(members=[BOT.public]), f"the router ({ROUTER.public}) must join it"),
        (state(members=[]), "the bot"),
        (state()[:1], "the bot"),
        # Attack: somebody else's word for the relay's.
        (state(by=OTHER), "not there"),
        (state(flags=()) + state(by=OTHER, at=1_767_225_700), "not private"),
        # The latest state counts.
        (state() + state(flags=(), at=1_767_225_700), "not private"),
    ],
)
def test_what_is_wrong_is_said(events: list[Event], words: str) -> None:
    assert words in (unfit(events, ROLES, RELAY.public) or "")
    assert words in (unfit(list(reversed(events)), ROLES, RELAY.public) or "")


@pytest.mark.parametrize(
    ("document", "words"),
    [
        ({"supported_nips": [1, 29, 42]}, None),
        ({"supported_nips": [1, 42]}, "it does not offer groups (NIP-29)"),
        ({"supported_nips": [29]}, "it does not offer logins (NIP-42)"),
        ({}, "it does not offer groups (NIP-29) and logins (NIP-42)"),
        ({"supported_nips": "29, 42"}, "it does not offer groups (NIP-29) and logins (NIP-42)"),
        ({"supported_nips": ["29", "42"]}, "groups"),
        ({"supported_nips": None}, "groups"),
    ],
)
def test_what_it_does_not_offer_is_said(document: dict[str, object], words: str | None) -> None:
    found = lacks(document)
    assert found is None if words is None else words in (found or "")


def test_its_key_is_the_one_it_names() -> None:
    assert keeper({"self": RELAY.public, "pubkey": OTHER.public}) == RELAY.public
    assert keeper({"pubkey": OTHER.public}) == OTHER.public
    assert keeper({"self": "npub1", "pubkey": 7}) is None
