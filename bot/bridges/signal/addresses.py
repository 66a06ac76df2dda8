"""Pure: how accounts, people, groups and files of Signal are named, and what is no such name.

What a name looks like is checked before it goes into a path or to a program's arguments.

Attack: a number `../../v1/accounts`, a group id with a line feed, a recipient `--config=…`.
"""

from __future__ import annotations

import base64
import binascii
import re

from nips.own import signal_id

GROUP_PREFIX = "group."
MAX_FILE_ID_BYTES = 255
MIN_DIGITS = 7  # of what people write a telephone number with
_NUMBER = re.compile(r"\+[1-9][0-9]{4,18}", re.ASCII)
_WRITTEN_NUMBER = re.compile(r"[\d\s+().,/\u2010-\u2015-]+")


def is_aci(text: str) -> bool:
    """Say whether this is a person's id for good: a UUID in small letters."""
    return signal_id.is_person(text)


def is_number(text: str) -> bool:
    """Say whether this is a telephone number as Signal has it: `+` and 5 to 19 digits."""
    return _NUMBER.fullmatch(text) is not None


def looks_like_number(text: str) -> bool:
    """Say whether people would read nothing in this but a telephone number, however it is written.

    >>> looks_like_number("+49 (151) 000-0011"), looks_like_number("Agent 007")
    (True, False)
    """
    n_digits = sum(char.isdigit() for char in text)
    return n_digits >= MIN_DIGITS and _WRITTEN_NUMBER.fullmatch(text) is not None


def is_group_id(text: str) -> bool:
    """Say whether this is a group's internal id: 32 bytes as base64, in its one right form."""
    return signal_id.is_group(text)


def group_recipient(internal_id: str) -> str:
    """How the service wants a group as a recipient: base64 of the base64. Raises ValueError."""
    if not is_group_id(internal_id):
        raise ValueError("not a group id of Signal")
    return GROUP_PREFIX + base64.b64encode(internal_id.encode("ascii")).decode("ascii")


def recipient_of(conversation: str) -> str:
    """How the service wants a conversation's id, as a binding has it. Raises ValueError."""
    return conversation if is_aci(conversation) else group_recipient(conversation)


def is_recipient(text: str) -> bool:
    """Say whether messages can be sent to this: an ACI, or `group.` and a group's id."""
    if not text.startswith(GROUP_PREFIX):
        return is_aci(text)
    try:
        internal_id = base64.b64decode(text.removeprefix(GROUP_PREFIX), validate=True).decode()
        return group_recipient(internal_id) == text
    except (binascii.Error, ValueError):
        return False


def is_file_id(text: str) -> bool:
    """Say whether this can be a received file's id: one name, without a way out of its folder.

    The service makes it of Signal's own id and the ending that the sender chose.
    """
    return (
        0 < len(text.encode("utf-8", "replace")) <= MAX_FILE_ID_BYTES
        and text not in {".", ".."}
        and text.isprintable()
        and not set(text) & {"/", "\\"}
    )
