"""Shell: the grant of the bridge that carries mail, renewed for as long as the router serves; and
those of sessions that a killed predecessor left, revoked."""

from __future__ import annotations

import asyncio

import structlog

from bot import grants
from bot.author import Author, of_kinds
from nips.filter import Filter
from nips.kinds import Kind
from nips.own import grant as grant_events
from nips.own.grant import Grant
from nips.refusal import Malformed, Refused

MAX_GRANTS = 5_000

log = structlog.get_logger()


async def grant_bridge(author: Author, bridge: str) -> Grant:
    """Let a bridge (its key in hex) have signed what it needs. Raises Refused."""
    for event in await author.link.fetch([_of(author, p=bridge)]):
        author.continue_from(event)
    grant = grants.of_bridge(bridge, now_s=author.now_s())
    if refusal := (await author.grant(grant)).refusal:
        raise Refused(refusal)
    return grant


async def renew(author: Author, grant: Grant) -> None:
    """Keep a bridge's grant alive until cancelled."""
    while True:
        await asyncio.sleep(grants.renewal_due_s(grant))
        ok = await author.grant(grants.renewed(grant, author.now_s()))
        if not ok.accepted:
            log.error("bridge's grant not renewed", reason=ok.message)


async def revoke_leftovers(author: Author, wall_clock_s: float) -> None:
    """Revoke the session grants of a killed predecessor, whose runs had this time limit.

    Their keys died with it, and a container that could still use one was removed.
    """
    longest_s = int(wall_clock_s) + grants.GRACE_S + grants.SESSION_TTL_S
    since = max(0, author.now_s() - longest_s)
    for event in await author.link.fetch([_of(author, since=since)]):
        try:
            grant = grant_events.parse(event, author.pubkey)
        except Malformed:
            continue
        if grant.role == "session" and not grant.revoked:
            author.continue_from(event)
            await author.grant(grants.revoked(grant))
            author.forget(grant.client)


def _of(author: Author, *, p: str | None = None, since: int | None = None) -> Filter:
    return Filter(
        authors=frozenset({author.pubkey}),
        kinds=of_kinds(Kind.APP_DATA),
        tags={} if p is None else {"p": frozenset({p})},
        since=since,
        limit=MAX_GRANTS,
    )
