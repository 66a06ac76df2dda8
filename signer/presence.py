"""Shell: telling those who may be waiting that the signer serves.

Their requests are ephemeral: those made while it was away, or while its connection was, are gone.
Without this each would be asked again after a pause that has grown by then. Bunker clients are
other people's programs and are told nothing.
"""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Iterable

import structlog

from nips import nip44, nip46
from nips.event import Event
from nips.key import SecretKey
from nips.own.serving import announcement
from nips.refusal import Malformed, Refused
from relay_local.client import Link, Unanswered

DEADLINE_S = 10.0  # whoever was not told by then asks again by itself

log = structlog.get_logger()


async def announce(link: Link, key: SecretKey, clients: Iterable[str]) -> None:
    """Say to each client (hex) that its requests are answered from now on.

    link: authenticated with `key`, the signer's role key. Never raises for a client's sake.
    """
    await asyncio.gather(*(_tell(link, key, client) for client in clients))


async def _tell(link: Link, key: SecretKey, client: str) -> None:
    try:
        ok = await link.publish(_message(key, client), deadline_s=DEADLINE_S)
    except (Unanswered, Refused, Malformed) as error:
        log.info("a client was not told that we serve", client=client, reason=str(error))
        return
    if ok.refusal:
        log.info("a client was not told that we serve", client=client, reason=str(ok.refusal))


def _message(key: SecretKey, client: str) -> Event:
    payload = nip44.encrypt(
        announcement(secrets.token_hex(16)).to_json(),
        nip44.conversation_key(key, client),
        secrets.token_bytes(32),
    )
    template = nip46.envelope(key.public, client, payload, int(time.time()))
    return template.sign(key, secrets.token_bytes(32))
