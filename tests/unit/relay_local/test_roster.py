"""Who the relay says its members are, and what it tells those who came and went."""

from __future__ import annotations

import json

from nips.event import Event
from nips.kinds import Kind
from relay_local import roster
from relay_local.groups import Groups
from tests.unit.relay_local.cast import (
    MAIN,
    MEMBER,
    NOW,
    OTHER,
    OTHER_MEMBER,
    OWNER,
    PUPPET,
    RELAY,
    ROUTER,
    event,
    put_user,
)

H = ("h", MAIN)


def fold(*events: Event) -> Groups:
    groups = Groups()
    for one in events:
        groups = groups.after(one)
    return groups


BEFORE = fold(
    event(ROUTER, Kind.CREATE_GROUP, H),
    event(ROUTER, Kind.CREATE_GROUP, ("h", OTHER)),
    put_user(MAIN, OWNER, "owner"),
    put_user(MAIN, PUPPET, "puppet"),
    put_user(OTHER, OTHER_MEMBER, "member"),
)


def test_the_roster_names_every_member_once_and_no_puppet() -> None:
    groups = BEFORE.after(put_user(OTHER, OWNER, "member"))
    assert roster.members(groups) == {OWNER.public, OTHER_MEMBER.public}
    made = roster.template(roster.members(groups), RELAY.public, NOW)
    assert made.kind == 13_534
    # NIP-43: "MUST have a NIP-70 `-` tag"
    assert made.tags[0] == ("-",)
    assert sorted(tag[1] for tag in made.tags[1:]) == sorted([OWNER.public, OTHER_MEMBER.public])


def test_who_came_and_who_went() -> None:
    came = BEFORE.after(put_user(MAIN, MEMBER, "member"))
    added = roster.Change(roster.MEMBER_ADDED, MEMBER.public, MAIN)
    removed = roster.Change(roster.MEMBER_REMOVED, MEMBER.public, MAIN)
    assert roster.changes(BEFORE, came, MAIN) == (added,)
    assert roster.changes(came, BEFORE, MAIN) == (removed,)
    assert roster.changes(came, came.after(put_user(MAIN, MEMBER, "admin")), MAIN) == ()
    assert roster.changes(came, came.after(put_user(MAIN, MEMBER, "puppet")), MAIN) == (removed,)
    ended = came.after(event(ROUTER, Kind.DELETE_GROUP, H))
    told = {change.pubkey for change in roster.changes(came, ended, MAIN)}
    assert told == {OWNER.public, MEMBER.public}


def test_a_notice_is_for_one_person_and_names_the_group() -> None:
    change = roster.Change(roster.MEMBER_REMOVED, MEMBER.public, MAIN)
    made = roster.notice(change, OWNER.public, RELAY.public, NOW)
    assert (made.kind, made.pubkey) == (44_101, RELAY.public)
    assert made.values("p") == [MEMBER.public]
    assert made.values("h") == [MAIN]
    assert json.loads(made.content) == {
        "type": "member_removed", "channel_id": MAIN, "actor": OWNER.public,
    }  # fmt: skip
