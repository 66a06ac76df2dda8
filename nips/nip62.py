"""Pure: a person's request to be forgotten. Source: NIP-62."""

from __future__ import annotations

from collections.abc import Collection

from nips import nip42
from nips.event import Event
from nips.refusal import Malformed

VANISH = 62
ALL_RELAYS = "ALL_RELAYS"


def names(request: Event, relays: Collection[str]) -> bool:
    """Say whether a request is for one of the relay's addresses, any spelling, or for all."""
    own = {nip42.normalise(relay) for relay in relays}
    return any(asked == ALL_RELAYS or _normal(asked) in own for asked in request.values("relay"))


def _normal(url: str) -> str | None:
    try:
        return nip42.normalise(url)
    except Malformed:
        return None
