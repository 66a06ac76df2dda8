"""Pure: whether the signer serves, as the router has last told it. Source: PROTOCOL.md.

Kind 30315 (NIP-38), `["d","signer"]`, `["status","serving"|"away"]`, `["since", unix seconds]`,
signed by the router; the content says it in words. Written when it changes and at no other time:
it is the router's memory of what the owner has been told.
"""

from __future__ import annotations

from dataclasses import dataclass

from nips.event import MAX_CREATED_AT, Event, Template
from nips.kinds import Kind
from nips.own.fields import of_kind, only_tag
from nips.refusal import Malformed

D = "signer"
AWAY, SERVING = "away", "serving"


@dataclass(frozen=True, slots=True)
class SignerStatus:
    """away: since `since_s` (unix) it signs nothing, else it has signed since then."""

    away: bool
    since_s: int


def template(status: SignerStatus, router: str, words: str, created_at: int) -> Template:
    """The event that says so."""
    tags = (
        ("d", D),
        ("status", AWAY if status.away else SERVING),
        ("since", str(status.since_s)),
        ("alt", "Whether the signer serves"),
    )
    return Template(router, created_at, Kind.STATUS, tags, words)


def parse(event: Event | Template) -> SignerStatus:
    """Read one. Raises Malformed. The caller has checked whose it is."""
    what = "signer's status"
    of_kind(what, event, Kind.STATUS)
    if only_tag(what, event, "d") != D:
        raise Malformed(f"{what}: its d must be {D!r}")
    state, since = only_tag(what, event, "status"), only_tag(what, event, "since")
    if state not in (AWAY, SERVING):
        raise Malformed(f"{what}: it is {AWAY} or {SERVING}")
    if not since.isascii() or not since.isdigit() or len(since) > 18:
        raise Malformed(f"{what}: since must be unix seconds")
    return SignerStatus(state == AWAY, min(int(since), MAX_CREATED_AT))
