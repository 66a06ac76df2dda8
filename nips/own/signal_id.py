"""Pure: who is meant on Signal, as bindings and strangers name them. Source: PROTOCOL.md "Binding".

    7b1e5c0a-3f52-4d0e-9a86-1c2f0b9d4e77            a person: the account's own id (ACI)
    wLjZ0f2mXo3nT7c9eQ1bVd5uKk8rYy6hAs4iGp0zE2M=    a group: its internal id, base64 of 32 bytes

Each has one form only: another writing of the same id would be another counterpart to us.
"""

from __future__ import annotations

import binascii
import re
from base64 import b64decode, b64encode

from nips.refusal import Malformed

NETWORK = "signal"
PREFIX = f"{NETWORK}:"
RECORD_PREFIX = f"{NETWORK}/"  # of the `d` of what its bridge keeps for itself, and shows nobody
GROUP_BYTES = 32
_SERVICES = "group."  # how signal-cli-rest-api begins a group's id, the base64 of the internal one
_NOBODY = "00000000-0000-0000-0000-000000000000"
_ACI = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")


def is_person(id_: str) -> bool:
    """Say whether an id is an account's: a lower-case UUID."""
    return _ACI.fullmatch(id_) is not None and id_ != _NOBODY


def is_group(id_: str) -> bool:
    """Say whether an id is a group's: standard base64 of 32 bytes, with its padding."""
    try:
        raw = b64decode(id_.encode(), validate=True)
    except (UnicodeEncodeError, binascii.Error, ValueError):
        return False
    # Attack: bits behind the last byte, by which one group would have four names.
    return len(raw) == GROUP_BYTES and b64encode(raw).decode() == id_


def is_of_group(counterpart: str) -> bool:
    """Say whether a counterpart, `<network>:<id>`, is a group of Signal's."""
    return counterpart.startswith(PREFIX) and is_group(counterpart.removeprefix(PREFIX))


def checked(what: str, id_: str) -> str:
    """The same id, where it is one. Raises Malformed."""
    if not is_person(id_) and not is_group(id_):
        raise Malformed(f"{what} must be an account's UUID in lower case, or a group's base64 id")
    return id_


def typed(word: str) -> str:
    """The id that a person's word names, in our form: an account's in any case, a group's, or a
    group's as signal-cli-rest-api shows it. Raises Malformed."""
    if is_person(word.lower()):
        return word.lower()
    if word.startswith(_SERVICES):
        try:
            word = b64decode(word.removeprefix(_SERVICES).encode(), validate=True).decode()
        except (UnicodeError, binascii.Error, ValueError):
            raise Malformed("that is no id of a Signal group") from None
    return checked("what is called on Signal", word)
