"""Pure: events, their canonical bytes, id and signature. Source: NIP-01 "Events and signatures"."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

import orjson

from nips.key import SecretKey, is_hex, verify
from nips.refusal import Malformed

Tag = tuple[str, ...]
Tags = tuple[Tag, ...]

MAX_KIND = 65_535
MAX_CREATED_AT = 2**63 - 1  # what SQLite's integer holds
_WRONG_TAGS = "tags must be an array of non-empty arrays of strings"


def canonical(pubkey: str, created_at: int, kind: int, tags: Tags, content: str) -> bytes:
    """The bytes whose sha256 is the event's id: NIP-01 "no whitespace … UTF-8"."""
    # orjson escapes exactly NIP-01's seven characters and other controls as \u00XX, which the
    # SDKs do too. A lone surrogate has no UTF-8 and is refused at the edge.
    return orjson.dumps([0, pubkey, created_at, kind, tags, content])


class Tagged:
    """What has tags: the look-ups that events and templates share."""

    __slots__ = ()
    tags: Tags

    def tag(self, name: str) -> str | None:
        """The first value of the first tag called `name`, or None."""
        for tag in self.tags:  # a dozen calls an event on its way into a relay
            if len(tag) > 1 and tag[0] == name:
                return tag[1]
        return None

    def values(self, name: str) -> list[str]:
        """The first value of each tag called `name`, in order."""
        return [tag[1] for tag in self.tags if len(tag) > 1 and tag[0] == name]


@dataclass(frozen=True, slots=True)
class Template(Tagged):
    """An event without signature; NIP-59 calls it a rumor. `created_at` in unix seconds."""

    pubkey: str
    created_at: int
    kind: int
    tags: Tags
    content: str

    @property
    def id(self) -> str:
        """The recomputed id: never trust a claimed one."""
        return sha256(
            canonical(self.pubkey, self.created_at, self.kind, self.tags, self.content)
        ).hexdigest()

    def sign(self, key: SecretKey, aux: bytes) -> Event:
        """Sign with `key` (which becomes the author) and 32 random bytes `aux`."""
        own = Template(key.public, self.created_at, self.kind, self.tags, self.content)
        event_id = own.id
        return Event(
            event_id,
            own.pubkey,
            own.created_at,
            own.kind,
            own.tags,
            own.content,
            key.sign(bytes.fromhex(event_id), aux),
        )

    def with_sig(self, sig: str) -> Event:
        """Attach a signature made elsewhere; the caller verifies it."""
        return Event(self.id, self.pubkey, self.created_at, self.kind, self.tags, self.content, sig)

    def to_json(self) -> dict[str, Any]:
        """The rumor's JSON object, with its id."""
        return {
            "id": self.id,
            "pubkey": self.pubkey,
            "created_at": self.created_at,
            "kind": self.kind,
            "tags": [list(tag) for tag in self.tags],
            "content": self.content,
        }

    @classmethod
    def from_json(cls, value: object, *, pubkey: str | None = None) -> Template:
        """Read a template or rumor.

        value: a decoded JSON object; `pubkey`, where given, stands in for a missing one.
        Raises Malformed when a field is missing or of the wrong type, or when a claimed id
        is not the content's own (an attacker's way to answer for another event).
        """
        fields = _fields(value, pubkey)
        template = cls(*fields)
        claimed = value.get("id") if isinstance(value, Mapping) else None
        if claimed is not None and claimed != template.id:
            raise Malformed("id does not match the event's content")
        return template


@dataclass(frozen=True, slots=True)
class Event(Tagged):
    """A signed event. Constructed by `from_json` it is well formed, not yet verified."""

    id: str
    pubkey: str
    created_at: int
    kind: int
    tags: Tags
    content: str
    sig: str

    @classmethod
    def from_json(cls, value: object) -> Event:
        """Read a decoded JSON object. Raises Malformed with the field that is wrong."""
        pubkey, created_at, kind, tags, content = _fields(value, None)
        assert isinstance(value, Mapping)
        event_id, sig = value.get("id"), value.get("sig")
        if not is_hex(event_id, 32):
            raise Malformed("id must be 64 lower-case hex digits")
        if not is_hex(sig, 64):
            raise Malformed("sig must be 128 lower-case hex digits")
        return cls(str(event_id), pubkey, created_at, kind, tags, content, str(sig))

    def to_json(self) -> dict[str, Any]:
        """The object of the wire."""
        return {
            "id": self.id,
            "pubkey": self.pubkey,
            "created_at": self.created_at,
            "kind": self.kind,
            "tags": [list(tag) for tag in self.tags],
            "content": self.content,
            "sig": self.sig,
        }

    @property
    def template(self) -> Template:
        """The event without id and signature."""
        return Template(self.pubkey, self.created_at, self.kind, self.tags, self.content)

    def to_bytes(self) -> bytes:
        """The object of the wire, encoded."""
        return orjson.dumps(self)

    def id_matches(self) -> bool:
        """Say whether the id is the content's own."""
        of_content = canonical(self.pubkey, self.created_at, self.kind, self.tags, self.content)
        return sha256(of_content).hexdigest() == self.id

    def verify(self) -> None:
        """Check id and signature. Raises Malformed naming which one is wrong."""
        if not self.id_matches():
            raise Malformed("id does not match the event's content")
        if not verify(self.pubkey, bytes.fromhex(self.id), self.sig):
            raise Malformed("signature is wrong")


def _fields(value: object, pubkey: str | None) -> tuple[str, int, int, Tags, str]:
    if not isinstance(value, Mapping):
        raise Malformed("an event must be a JSON object")
    author = value.get("pubkey", pubkey)
    if not is_hex(author, 32):
        raise Malformed("pubkey must be 64 lower-case hex digits")
    created_at, kind, content = value.get("created_at"), value.get("kind"), value.get("content")
    if type(created_at) is not int or not 0 <= created_at <= MAX_CREATED_AT:
        raise Malformed("created_at must be unix seconds as an integer")
    if type(kind) is not int or not 0 <= kind <= MAX_KIND:
        raise Malformed("kind must be an integer from 0 to 65535")
    if not isinstance(content, str):
        raise Malformed("content must be a string")
    tags = value.get("tags")
    if not isinstance(tags, list):
        raise Malformed(_WRONG_TAGS)
    texts = [content]
    for tag in tags:
        if not isinstance(tag, list) or not tag:
            raise Malformed(_WRONG_TAGS)
        texts += tag
    try:  # a lone surrogate (JSON's \ud800) has no UTF-8, so no id and no storage
        "".join(texts).encode()
    except TypeError as error:
        raise Malformed(_WRONG_TAGS) from error
    except UnicodeEncodeError as error:
        raise Malformed("a string holds a lone surrogate, which has no UTF-8") from error
    return str(author), created_at, kind, tuple(map(tuple, tags)), content
