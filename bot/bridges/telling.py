"""Shell: how a bridge is, put on the local relay: what comes of that is only logged."""

from __future__ import annotations

from secrets import token_bytes

import structlog

from nips.event import Template
from nips.key import SecretKey
from relay_local.client import Link, Unanswered

SAVE_DEADLINE_S = 5.0

log = structlog.get_logger()


async def put_health(link: Link, key: SecretKey, template: Template) -> None:
    """Write a version down; the next one makes up for one that is lost. key: its author's."""
    try:
        ok = await link.publish(template.sign(key, token_bytes(32)), deadline_s=SAVE_DEADLINE_S)
    except Unanswered:
        log.warning("health not written")
        return
    if ok.refusal:
        log.warning("health refused", reason=ok.message)
