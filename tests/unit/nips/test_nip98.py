"""Authorisations: what each check keeps out."""

from __future__ import annotations

from base64 import b64encode
from dataclasses import replace
from hashlib import sha256

import pytest

from nips.event import Event
from nips.key import SecretKey
from nips.nip98 import MAX_AGE_S, check, check_head, check_payload, header, parse, template
from nips.refusal import Malformed

KEY = SecretKey(sha256(b"owner").digest())
RELAYS = ["ws://127.0.0.1:7447", "wss://relay.example"]
BODY = b'{"method":"supportedmethods","params":[]}'
NOW = 1_700_000_000


def made(url: str = "http://127.0.0.1:7447/", method: str = "POST", body: bytes = BODY) -> Event:
    return template(KEY.public, url, method, body, NOW).sign(KEY, bytes(32))


@pytest.mark.parametrize(
    "url",
    ["http://127.0.0.1:7447", "ws://127.0.0.1:7447/", "https://RELAY.example/", "wss://relay.example"],
)  # fmt: skip
def test_it_holds(url: str) -> None:
    event = made(url)
    assert parse(header(event)) == event
    assert check(event, RELAYS, "POST", BODY, NOW + MAX_AGE_S) is None


@pytest.mark.parametrize(
    ("event", "why"),
    [
        (made("http://other.example"), "u tag"),
        (made("nonsense"), "u tag"),
        (made("http://127.0.0.1:7447@other.example"), "u tag"),
        (made(method="GET"), "method tag"),
        (made(body=b"another body"), "payload"),
        (replace(made(), tags=made().tags[:2]), "payload"),
        (replace(made(), tags=(*made().tags, ("u", "http://other.example"))), "u tag"),
        (replace(made(), kind=1), "kind"),
        (replace(made(), created_at=NOW - MAX_AGE_S - 1), "created_at"),
        (replace(made(), created_at=NOW + MAX_AGE_S + 1), "created_at"),
        (replace(made(), content="changed"), "id"),
        (replace(made(), sig="0" * 128), "signature"),
    ],
)
def test_it_does_not_hold(event: Event, why: str) -> None:
    refusal = check(event, RELAYS, "POST", BODY, NOW)
    assert refusal is not None
    assert why in refusal.sentence


def test_a_head_is_judged_before_its_body_comes() -> None:
    event = made("http://model.local/v1/messages")
    exact = "http://model.local/v1/messages".__eq__
    assert check_head(event, exact, "POST", NOW) is None
    assert check_payload(event, BODY) is None
    other = check_head(event, "http://model.local/v1/models".__eq__, "POST", NOW)
    assert other is not None
    assert "u tag" in other.sentence
    changed = check_payload(event, BODY + b" ")
    assert changed is not None
    assert "payload" in changed.sentence


@pytest.mark.parametrize(
    "value",
    [None, "", "Bearer x", "Nostr", "Nostr !!", "Nostr " + b64encode(b"{}").decode(),
     "Nostr " + b64encode(b"\xff").decode(), "Nostr é"],
)  # fmt: skip
def test_what_is_no_header(value: str | None) -> None:
    with pytest.raises(Malformed):
        parse(value)
