"""Pure: the tags that events about a job share. Source: PROTOCOL.md "Jobs"."""

from __future__ import annotations

from nips.event import Event, Template
from nips.own.fields import group_id, hex32, only_tag
from nips.own.once import once_key
from nips.refusal import Malformed

MAX_COUNT = 99  # attempts, positions
MAX_NAMED = 64  # messages that one event about a job may name


def group_of(what: str, event: Event | Template) -> str:
    """The group of its one `h`. Raises Malformed."""
    return group_id(f"{what}: h", only_tag(what, event, "h"))


def job_of(what: str, event: Event | Template) -> str:
    """The id of the job, its one `e`. Raises Malformed."""
    return hex32(f"{what}: e", only_tag(what, event, "e"))


def key_of(message: str, after: str | None) -> str:
    """The once-key under which a message gets one job, or is handed to one. after: the job that
    ended without it."""
    return once_key("job", message) if after is None else once_key("job", message, after)


def count_of(what: str, event: Event | Template, name: str) -> int:
    """The number in a tag, from 1. Raises Malformed."""
    number = only_tag(what, event, name)
    if not (number.isascii() and number.isdigit() and 1 <= len(number) <= 2 and number[0] != "0"):
        raise Malformed(f"{what}: {name} must be a number from 1 to {MAX_COUNT}")
    return int(number)


def named_by(what: str, event: Event | Template, name: str) -> tuple[str, ...]:
    """The ids in all tags of a name, each another one. Raises Malformed."""
    ids = tuple(hex32(f"{what}: {name}", value) for value in event.values(name))
    if len(ids) > MAX_NAMED or len(set(ids)) < len(ids):
        raise Malformed(f"{what}: at most {MAX_NAMED} {name!r} tags, each another one")
    return ids
