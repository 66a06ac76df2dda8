"""Pure: what a relay says of itself over HTTP. Source: NIP-11."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any

MEDIA_TYPE = "application/nostr+json"
CORS = {
    # NIP-11: "Relays MUST accept CORS requests by sending …"
    "Access-Control-Allow-Origin": "*",
    # A browser's wildcard leaves out Authorization, which NIP-86 needs.
    "Access-Control-Allow-Headers": "Authorization, *",
    "Access-Control-Allow-Methods": "GET, HEAD, POST, OPTIONS",
}
"""Headers of the answer."""


@dataclass(frozen=True, slots=True)
class Limitation:
    """What the relay refuses; the wire's own names. None is left out of the document.

    max_message_length in bytes of a frame, max_content_length in characters, the created_at
    limits in seconds back and ahead.
    """

    max_message_length: int | None = None
    max_subscriptions: int | None = None
    max_limit: int | None = None
    max_subid_length: int | None = None
    max_event_tags: int | None = None
    max_content_length: int | None = None
    min_pow_difficulty: int | None = None
    auth_required: bool | None = None
    payment_required: bool | None = None
    restricted_writes: bool | None = None
    created_at_lower_limit: int | None = None
    created_at_upper_limit: int | None = None
    default_limit: int | None = None


def information(
    *,
    name: str,
    description: str,
    relay_key: str,
    supported_nips: Iterable[int],
    version: str,
    owner: str | None = None,
    software: str | None = None,
    contact: str | None = None,
    icon: str | None = None,
    limitation: Limitation | None = None,
) -> dict[str, Any]:
    """The relay information document.

    relay_key: the relay's own key (`self`), which signs the groups' state; owner: the key of
    the person to write to (`pubkey`); software: the project's page, or what it is.
    NIP-11: "Any field may be omitted", and those not given are.
    """
    document: dict[str, Any] = {
        "name": name,
        "description": description,
        "icon": icon,
        "pubkey": owner,
        "self": relay_key,
        "contact": contact,
        "supported_nips": sorted(set(supported_nips)),
        "software": software,
        "version": version,
    }
    if limitation is not None:
        document["limitation"] = _without_none(asdict(limitation))
    return _without_none(document)


def _without_none(mapping: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in mapping.items() if value is not None}


def wants_document(accept: str | None) -> bool:
    """Say whether an HTTP request's `Accept` header asks for the document."""
    return any(
        offer.split(";")[0].strip().lower() == MEDIA_TYPE for offer in (accept or "").split(",")
    )
