"""Pure: filters and their match. Source: NIP-01 "Communication between clients and relays"."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from nips.event import MAX_CREATED_AT, MAX_KIND, Event, Template
from nips.key import is_hex
from nips.refusal import Malformed

MAX_VALUES = 5_000  # in one list of one filter; a longer one is a load, not a question


@dataclass(frozen=True, slots=True)
class Filter:
    """One filter of a REQ. None means unrestricted; an empty set matches nothing.

    `tags` maps a single letter to its values. `after_seq` is our own extension for role keys
    (PROTOCOL.md "Arrival order"). Unknown fields are refused: a restriction that we do not
    know, ignored, would serve more than was asked for.
    """

    ids: frozenset[str] | None = None
    authors: frozenset[str] | None = None
    kinds: frozenset[int] | None = None
    tags: Mapping[str, frozenset[str]] = field(default_factory=dict)
    since: int | None = None
    until: int | None = None
    limit: int | None = None
    search: str | None = None
    after_seq: int | None = None

    @classmethod
    def from_json(cls, value: object) -> Filter:
        """Read a decoded JSON object. Raises Malformed with the field that is wrong."""
        if not isinstance(value, Mapping):
            raise Malformed("a filter must be a JSON object")
        known: dict[str, Any] = {}
        tags: dict[str, frozenset[str]] = {}
        for name, given in value.items():
            match name:
                case "ids" | "authors":
                    known[name] = frozenset(_list(name, given, lambda v: is_hex(v, 32)))
                case "kinds":
                    known[name] = frozenset(_list(name, given, _is_kind))
                case "since" | "until" | "limit" | "after_seq":
                    if type(given) is not int or not 0 <= given <= MAX_CREATED_AT:
                        raise Malformed(f"{name} must be a non-negative integer")
                    known[name] = given
                case "search":
                    if not isinstance(given, str):
                        raise Malformed("search must be a string")
                    known[name] = given
                case str() if (
                    len(name) == 2 and name[0] == "#" and name[1].isascii() and (name[1].isalpha())
                ):
                    tags[name[1]] = frozenset(_list(name, given, lambda v: isinstance(v, str)))
                case _:
                    raise Malformed(f"a filter has no field {str(name)[:40]!r}")
        return cls(tags=tags, **known)

    def to_json(self) -> dict[str, Any]:
        """The object of the wire, its lists sorted."""
        out: dict[str, Any] = {}
        for name in ("ids", "authors", "kinds"):
            if (values := getattr(self, name)) is not None:
                out[name] = sorted(values)
        out |= {f"#{letter}": sorted(values) for letter, values in self.tags.items()}
        for name in ("since", "until", "limit", "search", "after_seq"):
            if (value := getattr(self, name)) is not None:
                out[name] = value
        return out

    def matches(self, event: Event | Template) -> bool:
        """Say whether all of the filter's conditions hold; `limit` and `after_seq` are not
        conditions on an event, and `search` is the store's."""
        if self.ids is not None and event.id not in self.ids:
            return False
        if self.kinds is not None and event.kind not in self.kinds:
            return False
        if self.authors is not None and event.pubkey not in self.authors:
            return False
        # NIP-01: "since <= created_at <= until"
        if self.since is not None and event.created_at < self.since:
            return False
        if self.until is not None and event.created_at > self.until:
            return False
        # NIP-01: "only the first value in any given tag is indexed"
        return all(
            any(len(tag) > 1 and tag[0] == letter and tag[1] in values for tag in event.tags)
            for letter, values in self.tags.items()
        )


def _is_kind(value: object) -> bool:
    return type(value) is int and 0 <= value <= MAX_KIND


def _list(name: str, given: object, valid: Any) -> list[Any]:
    if not isinstance(given, list) or not all(valid(item) for item in given):
        raise Malformed(f"{name} must be an array of valid values")
    if len(given) > MAX_VALUES:
        raise Malformed(f"{name} holds more than {MAX_VALUES} values")
    return given
