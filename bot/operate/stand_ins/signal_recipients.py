"""Pure: to whom a send goes: groups, numbers and ACIs, or names, and never two of these at once.

Source: signal-cli-rest-api, client/client.go (getRecipientType, SendV2).
"""

from __future__ import annotations

import base64
import re
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

GROUP = "group."
GROUP_BYTES = 32
MOST_OF_A_NAME = 10
Kind = Literal["group", "number", "name"]
_NUMBER = re.compile(r"(\+[0-9 ]*)?")


class InvalidRecipient(ValueError):
    """Nobody is named so; the message is the service's."""


@dataclass(frozen=True, slots=True)
class Recipients:
    """Those of one send; a group by the id that signal-cli knows it by."""

    kind: Kind
    ids: tuple[str, ...]


def sorted_recipients(given: Sequence[str]) -> Recipients:
    """Read the recipients of a send. Raises InvalidRecipient."""
    kinds = [kind(recipient) for recipient in given]
    names = {
        "group": "Signal Messenger Groups", "number": "phone numbers", "name": "usernames"
    }  # fmt: skip
    for first, second, words in (
        ("number", "group", f"{names['group']} and {names['number']}"),
        ("name", "group", f"{names['group']} and {names['name']}"),
        ("number", "name", f"Signal Messenger {names['number']} and {names['name']}"),
    ):
        if first in kinds and second in kinds:
            raise InvalidRecipient(
                f"{words} cannot be specified together in one request! Please split them up into "
                "multiple REST API calls."
            )
    if kinds[0] == "group" and len(kinds) > 1:
        raise InvalidRecipient(
            "A signal message cannot be sent to more than one group at once! Please use multiple "
            "REST API calls for that."
        )
    ids = [internal(one) if kinds[0] == "group" else one for one in given]
    return Recipients(kinds[0], tuple(ids))


def kind(recipient: str) -> Kind:
    """What a recipient is. Raises InvalidRecipient."""
    if recipient.startswith(GROUP):
        rest = recipient.removeprefix(GROUP)
        try:
            inner = base64.b64decode(rest, validate=True)
        except ValueError:
            if len(rest) <= MOST_OF_A_NAME:
                return "name"
            raise InvalidRecipient(f"Invalid identifier {recipient}") from None
        try:
            n_bytes = len(base64.b64decode(inner, validate=True))
        except ValueError:
            raise InvalidRecipient(f"Invalid identifier {recipient}") from None
        if n_bytes != GROUP_BYTES:
            raise InvalidRecipient(f"Invalid Signal group size ({n_bytes}")
        return "group"
    if _NUMBER.fullmatch(recipient):
        return "number"
    try:
        uuid.UUID(recipient)
    except ValueError:
        return "name"
    return "number"


def internal(group: str) -> str:
    """The id that signal-cli knows a group by. Raises InvalidRecipient."""
    try:
        return base64.b64decode(group.removeprefix(GROUP), validate=True).decode()
    except ValueError:
        raise InvalidRecipient("Invalid group id") from None
