"""Pure: the forms that fields of our own events may have. Each check raises Malformed."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from typing import Any

import orjson

from nips.event import Event, Template
from nips.key import is_hex
from nips.refusal import Malformed

GROUP_ID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
MAX_SECONDS = 2**53 - 1  # what every JSON reader keeps exactly
# Attack: a zone such as ../../etc/passwd is a file's name to whoever looks it up.
_ZONE = re.compile(r"[A-Za-z][A-Za-z0-9_+-]{0,31}(?:/[A-Za-z][A-Za-z0-9_+-]{0,31}){0,2}")


def known_only(what: str, mapping: Mapping[str, Any], known: Collection[str]) -> None:
    """Refuse unknown names: a restriction that we do not know must not be passed over."""
    for name in mapping:
        if name not in known:
            raise Malformed(f"{what}: there is no field {str(name)[:40]!r}")


def json_object(what: str, text: str) -> dict[str, Any]:
    """Decode a JSON object."""
    try:
        value = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise Malformed(f"{what}: the content is not JSON") from error
    if not isinstance(value, dict):
        raise Malformed(f"{what}: the content must be a JSON object")
    return value


def integer(what: str, value: object, least: int = 0, most: int = MAX_SECONDS) -> int:
    """A whole number within bounds; true and 1.0 are none."""
    if type(value) is not int or not least <= value <= most:
        raise Malformed(f"{what} must be a whole number from {least} to {most}")
    return value


def text(what: str, value: object) -> str:
    """A string."""
    if not isinstance(value, str):
        raise Malformed(f"{what} must be a string")
    return value


def hex32(what: str, value: object) -> str:
    """32 bytes in lower-case hex: an id or a public key."""
    if not is_hex(value, 32):
        raise Malformed(f"{what} must be 64 lower-case hex digits")
    return str(value)


def group_id(what: str, value: object) -> str:
    """A group's id: a lower-case UUID."""
    if not isinstance(value, str) or not GROUP_ID.fullmatch(value):
        raise Malformed(f"{what} must be a lower-case UUID")
    return value


def zone_name(what: str, value: object) -> str:
    """The name of a time zone in the IANA database; whether there is such a zone, the reader's
    machine knows."""
    if not isinstance(value, str) or not _ZONE.fullmatch(value):
        raise Malformed(f"{what} must be a zone's name such as Europe/Berlin")
    return value


def only_tag(what: str, event: Event | Template, name: str) -> str:
    """The value of the one tag called `name`. Two of them read differently to two readers, so
    they are refused, as is none."""
    match event.values(name):
        case [value]:
            return value
        case values:
            raise Malformed(f"{what}: needs exactly one {name!r} tag, has {len(values)}")


def of_kind(what: str, event: Event | Template, kind: int) -> None:
    """Refuse an event of another kind."""
    if event.kind != kind:
        raise Malformed(f"{what}: has kind {int(kind)}, not {event.kind}")
