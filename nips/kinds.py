"""Pure: every kind spoken here, and the storage class of any kind. Source: NIP-01 "Kinds"."""

from __future__ import annotations

from enum import Enum, IntEnum


class Kind(IntEnum):
    """The kinds that this project reads or writes; PROTOCOL.md has an example of each."""

    PROFILE = 0
    NOTE = 1
    DELETION = 5
    REACTION = 7
    CHAT = 9
    SEAL = 13
    DIRECT_MESSAGE = 14
    FILE_MESSAGE = 15
    GIFT_WRAP = 1059
    COMMENT = 1111
    PATCH = 1617
    PUT_USER = 9000
    REMOVE_USER = 9001
    EDIT_METADATA = 9002
    CREATE_GROUP = 9007
    DELETE_GROUP = 9008
    RELAY_LIST = 10002
    INBOX_RELAYS = 10050
    TYPING = 20002
    ECHO = 20613
    AUTH = 22242
    REQUEST = 24133
    FRAME = 24200
    ARTICLE = 30023
    DRAFT = 30024
    APP_DATA = 30078
    STATUS = 30315
    CALENDAR_EVENT = 31923
    GROUP_METADATA = 39000
    GROUP_ADMINS = 39001
    GROUP_MEMBERS = 39002
    GROUP_ROLES = 39003
    BUZZ_CHAT = 40002
    JOB_REQUEST = 43001
    JOB_ACCEPTED = 43002
    JOB_PROGRESS = 43003
    JOB_RESULT = 43004
    JOB_CANCEL = 43005
    JOB_ERROR = 43006
    COST = 44200
    RUN_STARTED = 46001
    RUN_FINISHED = 46005
    RUN_FAILED = 46006
    APPROVAL_ASKED = 46010
    APPROVED = 46030
    DENIED = 46031


class Storage(Enum):
    """What a relay keeps of a kind."""

    REGULAR = "regular"
    REPLACEABLE = "replaceable"
    EPHEMERAL = "ephemeral"
    ADDRESSABLE = "addressable"


def storage(kind: int) -> Storage:
    """The storage class of a kind; 40000 and above, which NIP-01 leaves open, are regular."""
    if kind in (0, 3) or 10_000 <= kind < 20_000:
        return Storage.REPLACEABLE
    if 20_000 <= kind < 30_000:
        return Storage.EPHEMERAL
    if 30_000 <= kind < 40_000:
        return Storage.ADDRESSABLE
    return Storage.REGULAR
