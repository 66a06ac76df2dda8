"""Shell: a session's grant, renewed while its container runs, revoked when that is gone."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager, suppress
from typing import Any

import structlog

from bot import grants
from bot.author import Author
from nips.own.grant import Grant
from relay_local.client import Unanswered

LAST_WORD_S = 2.0  # for the revocation when the assistant is being stopped

log = structlog.get_logger()


async def renew(author: Author, grant: Grant) -> None:
    """Keep a session's grant alive until cancelled."""
    while True:
        await asyncio.sleep(grants.renewal_due_s(grant))
        ok = await author.grant(grants.renewed(grant, author.now_s()))
        if not ok.accepted:
            log.warning("grant not renewed", session=grant.client[:12], reason=ok.message)


async def revoke(author: Author, grant: Grant, patience_s: float | None) -> None:
    """Revoke it for good. patience_s: how long a relay that is away is waited for; the next start
    revokes what is left."""
    with suppress(Unanswered):
        await author.grant(grants.revoked(grant), deadline_s=patience_s)
    author.forget(grant.client)


@asynccontextmanager
async def alongside(*works: Coroutine[Any, Any, None]) -> AsyncIterator[None]:
    """Do this work for as long as the block runs."""
    tasks = [asyncio.create_task(work) for work in works]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
