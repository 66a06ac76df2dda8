"""NIP-42: an AUTH event proves presence here and now, and a captured one does not."""

from __future__ import annotations

from dataclasses import replace

import pytest

from nips import nip42
from nips.event import Event, Template
from nips.key import SecretKey
from nips.kinds import Kind
from nips.refusal import Malformed, Prefix

NOW_S = 1_700_000_000
CHALLENGE = "c0ffee"
OURS = ("ws://relay.local", "wss://relay.example.com:443/nostr/")


def answer(key: SecretKey, relay: str = "ws://relay.local", created_at: int = NOW_S) -> Event:
    return nip42.auth_template(key.public, CHALLENGE, relay, created_at).sign(key, bytes(32))


def signed(key: SecretKey, *tags: tuple[str, ...], kind: int = Kind.AUTH) -> Event:
    return Template(key.public, NOW_S, kind, tags, "").sign(key, bytes(32))


@pytest.mark.parametrize(
    "relay",
    [
        "ws://relay.local",
        "ws://relay.local/",
        "WS://RELAY.local:80",
        "wss://relay.example.com/nostr",
        "wss://Relay.Example.com:443/nostr/",
    ],
)
@pytest.mark.parametrize("off_s", [-600, 0, 600])
def test_an_answer_that_holds(alice: SecretKey, relay: str, off_s: int) -> None:
    assert nip42.check(answer(alice, relay, NOW_S + off_s), CHALLENGE, OURS, NOW_S) is None


def test_one_captured_on_another_connection(alice: SecretKey) -> None:
    refusal = nip42.check(answer(alice), "another", OURS, NOW_S)
    assert refusal is not None
    assert refusal.prefix is Prefix.INVALID
    assert "challenge" in refusal.sentence


@pytest.mark.parametrize(
    "relay",
    [
        "ws://relay.evil",
        "wss://relay.local",
        "ws://relay.local:81",
        "ws://relay.local@relay.evil",
        "ws://relay.local.evil",
        "wss://relay.example.com",
        "http://relay.local",
        "relay.local",
        "",
        "ws://[",
        "ws://relay.local:99999999",
    ],
)
def test_one_signed_for_another_relay(alice: SecretKey, relay: str) -> None:
    """Attack: a hostile relay replays here what its client signed for it."""
    refusal = nip42.check(answer(alice, relay), CHALLENGE, OURS, NOW_S)
    assert refusal is not None
    assert "relay" in refusal.sentence


def test_one_signed_for_two_relays_or_two_challenges(alice: SecretKey) -> None:
    here, there = ("relay", "ws://relay.local"), ("relay", "ws://relay.evil")
    challenge = ("challenge", CHALLENGE)
    assert nip42.check(signed(alice, here, challenge), CHALLENGE, OURS, NOW_S) is None
    for tags in (
        (here, there, challenge),
        (here, here, challenge),
        (here, challenge, ("challenge", "another")),
        (here,),
        (challenge,),
    ):
        assert nip42.check(signed(alice, *tags), CHALLENGE, OURS, NOW_S) is not None


@pytest.mark.parametrize("off_s", [-601, 601, -86_400])
def test_an_old_or_future_one(alice: SecretKey, off_s: int) -> None:
    refusal = nip42.check(answer(alice, created_at=NOW_S + off_s), CHALLENGE, OURS, NOW_S)
    assert refusal is not None
    assert "created_at" in refusal.sentence


def test_another_kind(alice: SecretKey) -> None:
    """Attack: any event with such tags, signed for another purpose."""
    tags = ("relay", "ws://relay.local"), ("challenge", CHALLENGE)
    refusal = nip42.check(signed(alice, *tags, kind=1), CHALLENGE, OURS, NOW_S)
    assert refusal is not None
    assert "kind" in refusal.sentence


def test_another_key_s_name_on_it(alice: SecretKey, mallory: SecretKey) -> None:
    mine = answer(mallory)
    for forged in (
        replace(mine, pubkey=alice.public),
        replace(mine.template, pubkey=alice.public).with_sig(mine.sig),
        replace(answer(alice), sig="00" * 64),
    ):
        assert nip42.check(forged, CHALLENGE, OURS, NOW_S) is not None


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("ws://127.0.0.1:7447/", "ws://127.0.0.1:7447"),
        ("ws://[::1]:80", "ws://[::1]"),
        ("wss://A.example/x//?Q=1#part", "wss://a.example/x?Q=1"),
    ],
)
def test_normalise(url: str, expected: str) -> None:
    assert nip42.normalise(url) == expected
    assert nip42.normalise(expected) == expected


@pytest.mark.parametrize(
    "url",
    ["", "x", "ws://", "ws:///x", "ws://u:p@h", "ws://@h", "http://h", "ws://h/" + "x" * 1_000],
)
def test_what_is_no_relay_address(url: str) -> None:
    with pytest.raises(Malformed):
        nip42.normalise(url)
