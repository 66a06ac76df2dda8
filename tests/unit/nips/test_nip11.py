"""NIP-11: the document's own names, and who asks for it."""

from __future__ import annotations

import json

import nostr_sdk
import pytest

from nips.nip11 import CORS, Limitation, information, wants_document

RELAY, OWNER = "0a" * 32, "0b" * 32


def test_all_fields() -> None:
    document = information(
        name="nostrclaw",
        description="A private relay.",
        relay_key=RELAY,
        supported_nips=[42, 1, 29, 1],
        version="0.1.0",
        owner=OWNER,
        software="https://example.com",
        contact="mailto:a@example.com",
        icon="https://example.com/i.png",
        limitation=Limitation(max_message_length=2**20, auth_required=False),
    )
    assert document == {
        "name": "nostrclaw",
        "description": "A private relay.",
        "icon": "https://example.com/i.png",
        "pubkey": OWNER,
        "self": RELAY,
        "contact": "mailto:a@example.com",
        "supported_nips": [1, 29, 42],
        "software": "https://example.com",
        "version": "0.1.0",
        # False is said, None is not.
        "limitation": {"max_message_length": 2**20, "auth_required": False},
    }


def test_what_is_not_given_is_left_out() -> None:
    document = information(
        name="r", description="", relay_key=RELAY, supported_nips=[1], version="0"
    )
    assert set(document) == {"name", "description", "self", "supported_nips", "version"}


def test_nostr_sdk_reads_it() -> None:
    document = information(
        name="r",
        description="d",
        relay_key=RELAY,
        supported_nips=[1, 42],
        version="0",
        limitation=Limitation(max_subscriptions=20, auth_required=True),
    )
    theirs = nostr_sdk.RelayInformationDocument.from_json(json.dumps(document))
    assert (theirs.name(), theirs.supported_nips()) == ("r", [1, 42])
    assert theirs.limitation().max_subscriptions == 20


@pytest.mark.parametrize(
    ("accept", "expected"),
    [
        ("application/nostr+json", True),
        ("text/html, Application/Nostr+JSON;q=0.9", True),
        ("application/json", False),
        ("*/*", False),
        ("", False),
        (None, False),
    ],
)
def test_who_asks_for_it(accept: str | None, expected: bool) -> None:
    assert wants_document(accept) is expected


def test_the_three_headers_the_nip_demands() -> None:
    names = {"Origin", "Headers", "Methods"}
    assert set(CORS) == {f"Access-Control-Allow-{name}" for name in names}
