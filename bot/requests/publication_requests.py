"""Shell: `find_public`: a public event, for whoever answers, edits or takes it back.

The machine's command line reads nothing itself. What it gets is the bot's own, with how far it has
got, or what the public relays hold.
"""

from __future__ import annotations

import json
from typing import Any

import orjson

from bot.publication import Publication
from bot.publications import Publications
from bot.requests.methods import Asked
from nips.filter import Filter
from nips.key import is_hex
from nips.kinds import Storage, storage
from nips.own import public_query
from nips.own.roles import Roles
from nips.reference import author_of
from nips.refusal import Malformed, Prefix, Refused, refused
from relay_local.client import Caller, Unanswered

DEADLINE_S = 20.0
ANYWHERE = "anywhere"


class PublicationRequests:
    """bridge: from the router's key to the Nostr bridge's; None where there is none."""

    def __init__(self, publications: Publications, roles: Roles, bridge: Caller | None) -> None:
        self._publications, self._roles, self._bridge = publications, roles, bridge

    async def find_public(self, asked: Asked) -> str:
        """`[id or coordinates]`: `{"event":…,"relays":[…]}` of what the bot has published, null for
        none; `[…, "anywhere"]`: of anybody's, for which the public relays are asked."""
        what, scope = asked.take(1, 2, "an id or coordinates, and perhaps: anywhere")
        if scope not in ("", ANYWHERE):
            raise refused(Prefix.INVALID, f"it is looked for here, or {ANYWHERE}")
        if is_hex(what, 32):
            own = await self._publications.of_id(what)
            wanted = Filter(ids=frozenset({what}), limit=1)
        else:
            kind, author, d = _coordinates(what)
            own = await self._publications.at(kind, d) if author == self._roles.bot else None
            wanted = Filter(
                kinds=frozenset({kind}),
                authors=frozenset({author}),
                tags={"d": frozenset({d})} if storage(kind) is Storage.ADDRESSABLE else {},
                limit=1,
            )
        if own is not None:
            return _told(own)
        found = await self._elsewhere(wanted) if scope == ANYWHERE else None
        return json.dumps({"event": found, "relays": []})

    async def _elsewhere(self, wanted: Filter) -> dict[str, Any] | None:
        text = orjson.dumps(public_query.checked(wanted).to_json()).decode()
        if self._bridge is None:
            raise refused(Prefix.ERROR, "there is no bridge to public relays")
        try:
            answer = orjson.loads(await self._bridge.call("query", text, deadline_s=DEADLINE_S))
        except Unanswered as error:
            raise refused(Prefix.ERROR, "the Nostr bridge does not answer") from error
        except Refused as error:
            words = f"the Nostr bridge cannot look for it now: {error.refusal.sentence}"
            raise refused(Prefix.ERROR, words) from error
        return next(map(dict, answer["events"]), None)


def _told(own: Publication) -> str:
    relays = own.delivery.relays if own.delivery is not None else ()
    states = [
        {"url": one.url, "status": one.status, "reason": one.reason, "at": one.at} for one in relays
    ]
    return json.dumps({"event": own.event.to_json(), "relays": states}, ensure_ascii=False)


def _coordinates(text: str) -> tuple[int, str, str]:
    """`kind:author:d`. Raises Malformed."""
    author = author_of(text)
    if author is None:
        raise Malformed("that is neither an event's id nor its coordinates")
    kind, _, d = text.split(":", 2)
    return int(kind), author, d
