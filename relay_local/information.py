"""Pure: what the relay answers to plain HTTP on its port. Source: NIP-11."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from types import MappingProxyType

import orjson

from nips.event import MAX_CREATED_AT
from nips.frames import MAX_SUBSCRIPTION_CHARS
from nips.nip11 import CORS, MEDIA_TYPE, Limitation, information, wants_document
from relay_local.connection import MAX_FRAME_BYTES
from relay_local.feeds import MAX_SUBSCRIPTIONS
from relay_local.limits import Limits
from relay_local.query import DEFAULT_LIMIT, MAX_LIMIT
from relay_local.world import World
from relay_local.write_rules import MAX_AHEAD_S

_PUBLIC_NIPS = (1, 9, 11, 17, 40, 42, 45, 50, 59, 62, 70, 77, 86, 98)
_PRIVATE_NIPS = (*_PUBLIC_NIPS, 29, 43)

# Clients that know the dialect look for its name here: group ids that are UUIDs, kinds 40002,
# 43001 to 43006, 44100, 44200 and 46001 to 46031.
DIALECT = "nostrclaw (speaks the Buzz dialect)"

_NO_FACE: Mapping[str, str] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Answer:
    """An HTTP answer."""

    status: HTTPStatus
    headers: dict[str, str]
    body: bytes


def document(
    world: World, version: str, limits: Limits | None = None, face: Mapping[str, str] = _NO_FACE
) -> bytes:
    """The relay information document as JSON. limits: the settings, else as they are unset.
    face: the name, description and icon that the owner has given it."""
    description = (
        "A relay of nostrclaw, open to everybody."
        if world.public
        else "The private relay of one person's assistant. Members only."
    )
    limits = limits or Limits()
    return orjson.dumps(
        information(
            name=face.get("name", "nostrclaw relay"),
            description=face.get("description", description),
            icon=face.get("icon"),
            relay_key=world.relay,
            owner=world.owner,
            supported_nips=_PUBLIC_NIPS if world.public else _PRIVATE_NIPS,
            version=version,
            software=None if world.public else DIALECT,
            limitation=Limitation(
                max_message_length=MAX_FRAME_BYTES,
                max_subscriptions=MAX_SUBSCRIPTIONS,
                max_limit=MAX_LIMIT,
                max_event_tags=limits.max_event_tags,
                default_limit=DEFAULT_LIMIT,
                max_subid_length=MAX_SUBSCRIPTION_CHARS,
                auth_required=not world.public,
                payment_required=False,
                restricted_writes=not world.public,
                created_at_lower_limit=MAX_CREATED_AT,
                created_at_upper_limit=MAX_AHEAD_S,
            ),
        )
    )


def answer(
    world: World,
    version: str,
    method: str,
    accept: str | None,
    limits: Limits | None = None,
    face: Mapping[str, str] = _NO_FACE,
) -> Answer:
    """The answer to a request that is no WebSocket handshake."""
    if method == "OPTIONS":
        return Answer(HTTPStatus.NO_CONTENT, dict(CORS), b"")
    if method not in ("GET", "HEAD"):
        headers = {**CORS, "Allow": CORS["Access-Control-Allow-Methods"]}
        return Answer(HTTPStatus.METHOD_NOT_ALLOWED, headers, b"")
    if wants_document(accept):
        headers = {**CORS, "Content-Type": MEDIA_TYPE}
        body = document(world, version, limits, face)
    else:
        headers = {**CORS, "Content-Type": "text/plain; charset=utf-8"}
        body = b"This is a Nostr relay. Open its ws:// address in a Nostr client.\n"
    return Answer(HTTPStatus.OK, headers, b"" if method == "HEAD" else body)
