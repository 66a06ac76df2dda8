"""The examples in PROTOCOL.md, read from the document."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from bot.bridges.nostr.puppets import counterpart
from bot.bridges.puppets import puppet_key
from nips.event import Event, Template
from nips.key import SecretKey
from nips.kinds import Kind
from nips.own.roles import Roles

ROOT = Path(__file__).resolve().parents[1]
PROTOCOL = (ROOT / "PROTOCOL.md").read_text("utf-8")
ALICE = "7b1e5c0a-3f52-4d0e-9a86-1c2f0b9d4e77"  # her account's id on Signal
CHESS = "RWft4yVQMw/IprA6aLeIw2iNTaKEzwSqyZfR9Auxs6k="  # a group there
UNSIGNED = frozenset({Kind.DIRECT_MESSAGE, Kind.FILE_MESSAGE})  # rumors


def secret_key(role: str) -> SecretKey:
    """The documented test key of a role."""
    if role == "puppet":
        return puppet_key(secret_key("bridge-nostr"), counterpart(secret_key("owner").public))
    if role == "puppet-signal":
        return puppet_key(secret_key("bridge-signal"), f"signal:{ALICE}")
    return SecretKey(sha256(f"nostrclaw example key: {role}".encode()).digest())


KEYS = dict(re.findall(r"^\| `([a-z-]+)` \| `([0-9a-f]{64})` \|$", PROTOCOL, re.MULTILINE))


@dataclass(frozen=True, slots=True)
class Example:
    """One JSON block: the title of its section, and the object in it."""

    title: str
    value: dict[str, object]

    @property
    def event(self) -> Event | Template:
        """The event; a rumor is a template."""
        if self.value["kind"] in UNSIGNED:
            return Template.from_json(self.value)
        return Event.from_json(self.value)


def read_examples(text: str) -> Iterator[Example]:
    """Every JSON block of the document with the nearest title above it."""
    for title, block in re.findall(
        r"^#{2,4} (.+?)$|^```json\n(.*?)^```$", text, re.MULTILINE | re.DOTALL
    ):
        if title:
            section = title
        else:
            yield Example(section, json.loads(block))


EXAMPLES = tuple(read_examples(PROTOCOL))
SIGNED = tuple(event for one in EXAMPLES if isinstance(event := one.event, Event))
IDS = [f"{one.title} {str(one.value['id'])[:8]}" for one in EXAMPLES]


def of_kind(kind: Kind, *, by: str | None = None, d: str = "", h: str = "") -> list[Event]:
    """The signed examples of a kind, of an author's role, a beginning of their d, a group."""
    return [
        event
        for event in SIGNED
        if event.kind == kind
        and (by is None or event.pubkey == KEYS[by])
        and (event.tag("d") or "").startswith(d)
        and h in ("", event.tag("h"))
    ]


def the(kind: Kind, *, by: str | None = None, d: str = "", h: str = "") -> Event:
    """The one example of that sort."""
    (event,) = of_kind(kind, by=by, d=d, h=h)
    return event


def roles() -> Roles:
    """The examples' roles.toml, without an owner: a pairing names one."""
    return Roles(
        **{name: KEYS[name] for name in ("relay", "signer", "router", "bot", "chat")},
        main=of_kind(Kind.CREATE_GROUP, by="router")[0].tag("h") or "",
        bridges={"nostr": KEYS["bridge-nostr"], "signal": KEYS["bridge-signal"]},
    )
