"""NIP-11 from outside: what is said of the relay, to whom, and that it is true."""

from __future__ import annotations

import pytest

from tests.relay_suite.client import Client, dial, new_key
from tests.relay_suite.conftest import Target
from tests.relay_suite.document import document_of, http

JSON = "application/nostr+json"
CORS = ("origin", "headers", "methods")


@pytest.mark.parametrize("accept", [JSON, f"{JSON}; charset=utf-8", f"text/html, {JSON};q=0.9"])
async def test_who_asks_for_the_document_gets_it(target: Target, accept: str) -> None:
    status, headers, body = await http(target.url, headers={"Accept": accept})
    assert status == 200
    assert headers["content-type"].startswith(JSON)
    assert body.startswith(b"{")


@pytest.mark.parametrize("accept", [None, "*/*", "text/html", "application/json"])
async def test_who_does_not_gets_something_else(target: Target, accept: str | None) -> None:
    status, headers, _ = await http(target.url, headers={"Accept": accept} if accept else {})
    assert status < 500
    assert not headers.get("content-type", "").startswith(JSON)


@pytest.mark.parametrize("method", ["GET", "OPTIONS", "HEAD"])
async def test_a_browser_may_ask(target: Target, method: str) -> None:
    """NIP-11: "Relays MUST accept CORS requests by sending …" three headers."""
    asked = {"Accept": JSON, "Origin": "https://client.example"}
    asked["Access-Control-Request-Headers"] = "accept"
    status, headers, body = await http(target.url, method, asked)
    assert status in (200, 204)
    assert all(f"access-control-allow-{name}" in headers for name in CORS)
    assert headers["access-control-allow-origin"] in ("*", "https://client.example")
    assert (body == b"") == (method != "GET")


async def test_the_document_has_the_right_form(target: Target) -> None:
    document = await document_of(target.url)
    nips = document["supported_nips"]
    assert {1, 9, 11, 40, 42} <= set(nips)
    assert all(type(nip) is int for nip in nips)
    assert len(document["name"]) < 30
    for name in ("pubkey", "self"):
        value = document.get(name, "0" * 64)
        assert len(value) == 64
        assert value == value.lower()
    assert isinstance(document.get("version", ""), str)
    # An address, where there is a page; some relays name themselves in words.
    assert isinstance(document.get("software", ""), str)
    for name, value in document["limitation"].items():
        assert type(value) in (int, bool), name


async def test_its_limits_hold(target: Target, client: Client) -> None:
    limits = (await document_of(target.url))["limitation"]
    most = limits["max_subid_length"]
    assert await client.ask("REQ", "x" * most, {"ids": ["0" * 64]}) == ["EOSE", "x" * most]
    assert (await client.ask("REQ", "x" * (most + 1), {"ids": ["0" * 64]}))[0] in (
        "NOTICE", "CLOSED",
    )  # fmt: skip
    await client.say("CLOSE", "x" * most)
    most = limits["max_subscriptions"]
    for number in range(most):
        assert await client.ask("REQ", f"{number}", {"ids": ["0" * 64]}) == ["EOSE", f"{number}"]
    assert (await client.ask("REQ", "one more", {"ids": ["0" * 64]}))[:2] == ["CLOSED", "one more"]
    await client.say("CLOSE", "0")
    assert await client.ask("REQ", "one more", {"ids": ["0" * 64]}) == ["EOSE", "one more"]


async def test_whether_it_asks_for_auth_is_true(target: Target) -> None:
    limits = (await document_of(target.url))["limitation"]
    async with dial(target.url) as nobody:
        frame = await nobody.ask("REQ", "a", {"authors": [new_key().public]})
        assert (frame[0] == "CLOSED") == limits["auth_required"]
        assert frame[0] == "EOSE" or frame[2].startswith("auth-required: ")
