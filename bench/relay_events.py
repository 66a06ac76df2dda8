"""Pure: the events that a relay is measured with: signed beforehand, 690 bytes, three tags."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass

import orjson

from nips.event import Event, Template
from nips.key import SecretKey
from nips.kinds import Kind

EVENT_BYTES = 690
AUTHORS = 20  # one connection authenticates them all, and the owner
TOLD = 200  # different p tags
ADDRESSES = 100
COMMENT = 1111
ARTICLE = 30023


@dataclass(frozen=True, slots=True)
class Cast:
    """Who writes. The group is the owner's; the authors are its members."""

    owner: SecretKey
    authors: tuple[SecretKey, ...]
    told: tuple[str, ...]
    group: str


def cast(seed: int) -> Cast:
    """The same keys for the same seed."""
    source = random.Random(seed)
    keys = [SecretKey.generate(source.randbytes) for _ in range(1 + AUTHORS)]
    told = tuple(source.randbytes(32).hex() for _ in range(TOLD))
    text = source.randbytes(16).hex()
    group = "-".join((text[:8], text[8:12], text[12:16], text[16:20], text[20:]))
    return Cast(keys[0], tuple(keys[1:]), told, group)


def set_up(people: Cast, now_s: int) -> list[Event]:
    """The group and its members; a relay without groups takes or refuses them, as it likes."""
    members = tuple(("p", key.public, "member") for key in people.authors)
    group = ("h", people.group)
    return [
        _signed(people.owner, now_s, Kind.CREATE_GROUP, (group,), ""),
        _signed(people.owner, now_s, Kind.PUT_USER, (group, *members), ""),
    ]


def messages(people: Cast, n: int, now_s: int, seed: int, kind: int = Kind.CHAT) -> Iterator[Event]:
    """Messages in the group, of the last half day: a group takes none that is late."""
    source = random.Random(seed)
    for number in range(n):
        tags = (("h", people.group), ("p", source.choice(people.told)), ("t", f"t{number % 50}"))
        key = source.choice(people.authors)
        yield _padded(key, now_s - 43_200 + number % 43_200, kind, tags, source)


def replacements(people: Cast, n: int, now_s: int, seed: int) -> Iterator[Event]:
    """The owner's articles, each a newer version of one of the addresses."""
    source = random.Random(seed)
    for number in range(n):
        place = number % ADDRESSES
        tags = (("d", f"a{place}"), ("p", people.told[place]), ("t", "article"))
        at_s = now_s - 86_400 + number // ADDRESSES
        yield _padded(people.owner, at_s, ARTICLE, tags, source)


def with_wrong_signature(event: Event) -> Event:
    """The same event under a signature that is well formed and wrong."""
    digit = "0" if event.sig[-1] != "0" else "1"
    return event.template.with_sig(event.sig[:-1] + digit)


def publish(event: Event) -> bytes:
    """The message that brings it."""
    return b'["EVENT",' + orjson.dumps(event.to_json()) + b"]"


def _padded(
    key: SecretKey, at_s: int, kind: int, tags: tuple[tuple[str, ...], ...], source: random.Random
) -> Event:
    bare = len(
        orjson.dumps(Template(key.public, at_s, kind, tags, "").with_sig("0" * 128).to_json())
    )
    missing = max(8, EVENT_BYTES - bare)
    return _signed(key, at_s, kind, tags, source.randbytes(missing // 2 + 1).hex()[:missing])


def _signed(
    key: SecretKey, at_s: int, kind: int, tags: tuple[tuple[str, ...], ...], content: str
) -> Event:
    return Template(key.public, at_s, int(kind), tags, content).sign(key, bytes(32))
