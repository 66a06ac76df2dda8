"""Pure: which kinds and which records each standing may write at all, as tables."""

from __future__ import annotations

from nips.kinds import Kind
from nips.nip29 import CREATE_INVITE, DELETE_EVENT, JOIN_REQUEST
from nips.nip62 import VANISH
from nips.own.signal_id import RECORD_PREFIX
from relay_local.groups import MODERATION, REQUESTS, STATE_KINDS
from relay_local.roster import ROSTER_KINDS
from relay_local.viewer import Standing

RELAY_KINDS = frozenset({*STATE_KINDS, 39_004}) | ROSTER_KINDS
ADMIN_KINDS = frozenset(
    {Kind.PUT_USER, Kind.REMOVE_USER, Kind.EDIT_METADATA, DELETE_EVENT, CREATE_INVITE}
)
ROUTER_KINDS = frozenset({Kind.JOB_REQUEST, Kind.JOB_ACCEPTED, Kind.JOB_RESULT, Kind.JOB_ERROR})
# A run, whose gates ask for permission, from its start to its end.
ASKING_KINDS = frozenset({46_001, 46_002, 46_003, 46_005, 46_006, 46_007, 46_010, 46_020})
ANSWERING_KINDS = frozenset({46_030, 46_031})

_CHATTING = frozenset({0, 5, 7, 9, 11, 1111, Kind.TYPING, Kind.BUZZ_CHAT})
# What each standing may write at all; None: whatever the other rules leave it.
REPERTOIRE: dict[Standing, frozenset[int] | None] = {
    Standing.OWNER: None,
    Standing.BOT: None,
    Standing.ROUTER: frozenset(
        {5, 7, 9, Kind.TYPING, Kind.REQUEST, Kind.APP_DATA, Kind.STATUS, Kind.JOB_PROGRESS}
        | {Kind.JOB_CANCEL, Kind.PATCH, Kind.CALENDAR_EVENT}
        | ROUTER_KINDS
        | MODERATION
    ),
    Standing.SIGNER: frozenset({Kind.REQUEST, Kind.APP_DATA}),
    Standing.BRIDGE: frozenset(
        {Kind.GIFT_WRAP, Kind.INBOX_RELAYS, Kind.PUT_USER, Kind.REMOVE_USER, Kind.REQUEST}
        | {Kind.APP_DATA, Kind.STATUS}
    ),
    Standing.CHAT: frozenset({Kind.GIFT_WRAP, Kind.INBOX_RELAYS, Kind.REQUEST}),
    Standing.SESSION: frozenset({Kind.REQUEST, Kind.JOB_PROGRESS}),
    Standing.PUPPET: _CHATTING | {Kind.JOB_CANCEL},
    Standing.MEMBER: _CHATTING
    | {3, 31_922, Kind.CALENDAR_EVENT, 31_925, Kind.RELAY_LIST, Kind.INBOX_RELAYS}
    | {Kind.REQUEST, Kind.JOB_CANCEL, VANISH}
    | ADMIN_KINDS
    | REQUESTS,
    Standing.VISITOR: frozenset(
        {7, 9, 11, 1111, Kind.BUZZ_CHAT, Kind.REQUEST, JOIN_REQUEST, VANISH}
    ),
    Standing.STRANGER: frozenset({Kind.REQUEST}),
}
# Who writes which of the application's records, by how their `d` begins. First match counts.
RECORDS: tuple[tuple[str, frozenset[Standing]], ...] = (
    ("grant/", frozenset({Standing.ROUTER, Standing.OWNER})),
    ("group/", frozenset({Standing.ROUTER, Standing.OWNER})),
    ("owner", frozenset({Standing.SIGNER})),
    ("audit/", frozenset({Standing.SIGNER})),
    ("order/", frozenset({Standing.SIGNER})),
    ("place/", frozenset({Standing.ROUTER, Standing.BRIDGE, Standing.SIGNER})),
    ("delivery/", frozenset({Standing.BRIDGE})),
    ("bound/", frozenset({Standing.BRIDGE})),
    ("health", frozenset({Standing.BRIDGE})),
    (RECORD_PREFIX, frozenset({Standing.BRIDGE})),
    ("", frozenset({Standing.OWNER, Standing.ROUTER, Standing.BOT})),
)
