"""What a browser and a Nostr client are told over HTTP."""

from __future__ import annotations

import json
from http import HTTPStatus

import pytest

from relay_local.connection import MAX_FRAME_BYTES
from relay_local.information import answer
from relay_local.limits import Limits
from relay_local.world import World
from tests.unit.relay_local.cast import OWNER, RELAY, WORLD


def test_the_document() -> None:
    told = answer(WORLD, "1.2.3", "GET", "application/nostr+json")
    assert told.status is HTTPStatus.OK
    assert told.headers["Content-Type"] == "application/nostr+json"
    document = json.loads(told.body)
    assert document["self"] == RELAY.public
    assert document["pubkey"] == OWNER.public
    assert document["version"] == "1.2.3"
    assert {29, 45, 50, 62, 70, 77} <= set(document["supported_nips"])
    assert document["limitation"]["auth_required"] is True
    assert document["limitation"]["max_message_length"] == MAX_FRAME_BYTES
    assert document["limitation"]["max_event_tags"] == 2_000


def test_the_document_says_what_was_set() -> None:
    few = Limits(max_event_tags=7)
    told = answer(WORLD, "1", "GET", "application/nostr+json", few)
    assert json.loads(told.body)["limitation"]["max_event_tags"] == 7


def test_clients_of_the_dialect_find_its_name_where_it_is_spoken() -> None:
    private, public = (
        json.loads(answer(world, "1", "GET", "application/nostr+json").body)
        for world in (WORLD, World(RELAY.public, public=True))
    )
    assert "buzz" in private["software"].lower()
    assert "software" not in public


def test_a_public_relay_claims_no_groups() -> None:
    world = World(RELAY.public, public=True)
    document = json.loads(answer(world, "1", "GET", "application/nostr+json").body)
    assert {29, 43}.isdisjoint(document["supported_nips"])
    assert document["limitation"]["auth_required"] is False
    assert document["limitation"]["restricted_writes"] is False


@pytest.mark.parametrize(
    ("method", "accept", "status", "is_empty"),
    [
        ("GET", None, HTTPStatus.OK, False),
        ("GET", "text/html", HTTPStatus.OK, False),
        ("HEAD", "application/nostr+json", HTTPStatus.OK, True),
        ("OPTIONS", None, HTTPStatus.NO_CONTENT, True),
        ("POST", None, HTTPStatus.METHOD_NOT_ALLOWED, True),
    ],
)
def test_every_answer_is_open_to_browsers(
    method: str, accept: str | None, status: HTTPStatus, is_empty: bool
) -> None:
    told = answer(WORLD, "1", method, accept)
    assert told.status is status
    assert (told.body == b"") is is_empty
    # NIP-11: "Relays MUST accept CORS requests"
    for name in ("Origin", "Headers", "Methods"):
        assert told.headers[f"Access-Control-Allow-{name}"]
