"""Pure: somebody who wrote and is bound to nothing, as the owner was told of them.

Kind 30078 by the router, `["d","stranger/<code>"]`, `["t","stranger"]`, content

    {"network":"nostr","id":"<64 hex>","name":"Ann (Nostr)","status":"shown","at":1700000000}

id: of a person, or of a room of Nostr's: the ids of its people, ascending, with commas between.
Of Signal it is an account's or a group's own id (`nips.own.signal_id`); a group is one stranger,
whoever in it wrote. What they wrote is nowhere in it. Shown, it ends by NIP-40; denied, it stays,
so that they are never shown again. Source: PROTOCOL.md "Strangers".
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, Literal, get_args

from nips.event import Event, Tag, Template
from nips.kinds import Kind
from nips.own import signal_id
from nips.own.fields import hex32, integer, json_object, known_only, of_kind, only_tag, text
from nips.refusal import Malformed

D_PREFIX = "stranger/"
TOPIC = "stranger"
KEPT_S = 30 * 86_400
MAX_NAME_CHARS = 200
MAX_ID_CHARS = 51 * 65
_FIELDS = ("network", "id", "name", "status", "at")

Status = Literal["shown", "allowed", "denied"]
STATUSES: tuple[Status, ...] = get_args(Status)


@dataclass(frozen=True, slots=True)
class Stranger:
    """code: by which the owner names them. network: such as `nostr`; id: theirs there. name: what
    they call themselves, of a group what it is called. at: when they were shown, in unix
    seconds."""

    code: str
    network: str
    id: str
    name: str
    status: Status
    at: int

    @property
    def people(self) -> tuple[str, ...]:
        """The ids of all who are meant: one, or those of a room."""
        return tuple(self.id.split(","))

    @property
    def is_group(self) -> bool:
        """Say whether it is a group of Signal's."""
        return self.network == signal_id.NETWORK and signal_id.is_group(self.id)

    @property
    def counterparts(self) -> tuple[str, ...]:
        """The same as a binding names them."""
        return tuple(f"{self.network}:{one}" for one in self.people)


def template(stranger: Stranger, router: str, created_at: int) -> Template:
    """The unsigned event of the router (hex)."""
    fields: dict[str, Any] = {name: getattr(stranger, name) for name in _FIELDS}
    tags: list[Tag] = [("d", D_PREFIX + stranger.code), ("t", TOPIC)]
    if stranger.status != "denied":
        tags.append(("expiration", str(stranger.at + KEPT_S)))
    tags.append(("alt", "Somebody wrote who is bound to no group"))
    content = json.dumps(fields, separators=(",", ":"), ensure_ascii=False)
    return Template(router, created_at, Kind.APP_DATA, tuple(tags), content)


def parse(event: Event | Template, router: str) -> Stranger:
    """Read a stranger whose author is `router`; the caller has verified the signature.
    Raises Malformed."""
    of_kind("stranger", event, Kind.APP_DATA)
    if event.pubkey != router:
        raise Malformed("stranger: not by the router")
    d = only_tag("stranger", event, "d")
    if not d.startswith(D_PREFIX):
        raise Malformed(f"stranger: d must begin with {D_PREFIX}")
    value = json_object("stranger", event.content)
    known_only("stranger", value, _FIELDS)
    status = next((known for known in STATUSES if known == value.get("status")), None)
    if status is None:
        raise Malformed("stranger: status must be shown, allowed or denied")
    found = Stranger(
        d.removeprefix(D_PREFIX),
        text("stranger: network", value.get("network")),
        text("stranger: id", value.get("id"))[:MAX_ID_CHARS],
        text("stranger: name", value.get("name"))[:MAX_NAME_CHARS],
        status,
        integer("stranger: at", value.get("at")),
    )
    if found.network == "nostr":
        for one in found.people:
            hex32("stranger: id", one)
    if found.network == signal_id.NETWORK:
        signal_id.checked("stranger: id", found.id)
    return found
