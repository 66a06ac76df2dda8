"""The fold of moderation events."""

from __future__ import annotations

import pytest

from nips import nip29
from nips.event import Event
from nips.kinds import Kind
from nips.refusal import Prefix
from relay_local.groups import Groups, objection, state_templates
from tests.unit.relay_local.cast import (
    MAIN,
    MEMBER,
    NOW,
    OTHER,
    OWNER,
    PUPPET,
    RELAY,
    ROUTER,
    event,
    put_user,
)

H = ("h", MAIN)
CREATED = event(ROUTER, Kind.CREATE_GROUP, H)


def fold(*events: Event) -> Groups:
    groups = Groups()
    for one in events:
        assert objection(groups, one) is None
        groups = groups.after(one)
    return groups


def test_people_come_change_and_go_in_order_of_arrival() -> None:
    earlier_by_the_clock = event(
        ROUTER, Kind.REMOVE_USER, H, ("p", MEMBER.public), created_at=NOW - 99
    )
    groups = fold(
        CREATED,
        event(ROUTER, Kind.PUT_USER, H, ("p", MEMBER.public), ("p", OWNER.public, "owner")),
        put_user(MAIN, PUPPET, "puppet"),
    )
    group = groups.by_id[MAIN]
    assert group.members == {
        MEMBER.public: ("member",), OWNER.public: ("owner",), PUPPET.public: ("puppet",),
    }  # fmt: skip
    assert group.is_member(MEMBER.public)
    assert not group.is_member(PUPPET.public)
    assert group.is_admin(OWNER.public)
    assert not group.is_admin(MEMBER.public)
    assert groups.after(earlier_by_the_clock).of(MEMBER.public) == frozenset()
    promoted = groups.after(put_user(MAIN, MEMBER, "admin")).by_id[MAIN]
    assert promoted.members[MEMBER.public] == ("admin",)


def test_a_deleted_group_never_comes_back() -> None:
    groups = fold(CREATED, event(ROUTER, Kind.DELETE_GROUP, H))
    assert not groups.by_id
    refusal = objection(groups, event(ROUTER, Kind.CREATE_GROUP, H, content="again"))
    assert refusal is not None
    assert refusal.prefix is Prefix.BLOCKED


@pytest.mark.parametrize(
    ("wrong", "prefix"),
    [
        (event(ROUTER, Kind.CREATE_GROUP), Prefix.INVALID),
        (event(ROUTER, Kind.CREATE_GROUP, ("h", "my group")), Prefix.INVALID),
        (event(ROUTER, Kind.CREATE_GROUP, ("h", "x" * 129)), Prefix.INVALID),
        (event(ROUTER, Kind.CREATE_GROUP, H, content="again"), Prefix.BLOCKED),
        (event(ROUTER, Kind.PUT_USER, ("h", OTHER), ("p", MEMBER.public)), Prefix.INVALID),
        (event(ROUTER, Kind.PUT_USER, H), Prefix.INVALID),
        (event(ROUTER, Kind.PUT_USER, H, ("p", "npub1abc")), Prefix.INVALID),
        (event(ROUTER, Kind.PUT_USER, H, ("p", "f" * 64)), Prefix.INVALID),  # not on the curve
        (event(ROUTER, Kind.REMOVE_USER, H, ("p", "")), Prefix.INVALID),
        (event(ROUTER, 9003, H), Prefix.UNSUPPORTED),
        (event(ROUTER, 9009, H), Prefix.INVALID),
        (event(ROUTER, 9009, H, ("code", "short")), Prefix.INVALID),
        (event(ROUTER, 9009, H, ("code", "x" * 201)), Prefix.INVALID),
        (event(ROUTER, 9009, H, *(("code", f"code {n:09}") for n in range(201))), Prefix.BLOCKED),
        (event(ROUTER, 9005, H), Prefix.INVALID),
        (event(ROUTER, 9005, H, ("e", "AB" * 32)), Prefix.INVALID),
        (event(MEMBER, 9021, H), Prefix.RESTRICTED),
        (event(MEMBER, 9022, H), Prefix.RESTRICTED),
    ],
)
def test_what_does_not_fit_is_refused(wrong: Event, prefix: Prefix) -> None:
    refusal = objection(fold(CREATED), wrong)
    assert refusal is not None
    assert refusal.prefix is prefix


def test_the_state_says_what_the_relay_does() -> None:
    named = event(ROUTER, Kind.EDIT_METADATA, H, ("name", "Main"), ("about", "us"), ("private",))
    groups = fold(CREATED, named, put_user(MAIN, OWNER, "owner"), put_user(MAIN, MEMBER, "member"))
    metadata, admins, members, roles = state_templates(groups.by_id[MAIN], RELAY.public, NOW)
    assert [one.kind for one in (metadata, admins, members, roles)] == [39000, 39001, 39002, 39003]
    assert {one.pubkey for one in (metadata, admins, members, roles)} == {RELAY.public}
    assert metadata.tags[0] == ("d", MAIN)
    assert metadata.tag("name") == "Main"
    flags = {tag[0] for tag in metadata.tags if len(tag) == 1}
    assert flags == {"private", "restricted", "hidden", "closed"}
    assert admins.tags == (("d", MAIN), ("h", MAIN), ("p", OWNER.public, "owner"))
    assert set(members.values("p")) == {OWNER.public, MEMBER.public}
    # Clients of the Buzz dialect read the role behind a relay's address.
    assert ("p", OWNER.public, "", "owner") in members.tags
    assert [one.roles for one in nip29.members(members) if one.pubkey == OWNER.public] == [
        ("owner",)
    ]
    assert [tag[1] for tag in roles.tags[2:]] == ["owner", "admin", "member", "agent", "puppet"]


def flags(groups: Groups) -> set[str]:
    """What the 39000 says in one word each."""
    metadata = state_templates(groups.by_id[MAIN], RELAY.public, NOW)[0]
    return {tag[0] for tag in metadata.tags if len(tag) == 1}


def test_a_group_is_opened_by_words_and_never_by_leaving_one_out() -> None:
    """A client that sends back the name alone must not publish the group."""
    renamed = fold(CREATED, event(ROUTER, Kind.EDIT_METADATA, H, ("name", "Main")))
    assert flags(renamed) == {"private", "restricted", "hidden", "closed"}
    opened = fold(
        CREATED,
        event(
            ROUTER, Kind.EDIT_METADATA, H, ("public",), ("open",), ("visible",), ("unrestricted",)
        ),
    )
    assert flags(opened) == {"public", "open"}
    for flag in ("private", "restricted", "hidden", "closed"):
        assert opened.without_flag(flag) == {MAIN}
    both = fold(CREATED, event(ROUTER, Kind.EDIT_METADATA, H, ("public",), ("private",)))
    assert "private" in flags(both)


def test_a_code_lets_one_person_in() -> None:
    invited = fold(CREATED, event(OWNER, 9009, H, ("code", "a good code"), ("code", "another1")))
    join = event(MEMBER, 9021, H, ("code", "a good code"))
    assert objection(invited, join) is None
    used = invited.after(join)
    assert used.by_id[MAIN].invites == {"another1"}
    refusal = objection(used, event(OWNER, 9021, H, ("code", "a good code")))
    assert refusal is not None
    assert refusal.prefix is Prefix.RESTRICTED


def test_who_is_in_cannot_join_and_the_owner_cannot_leave() -> None:
    groups = fold(CREATED, put_user(MAIN, OWNER, "owner"), put_user(MAIN, MEMBER, "member"))
    again = objection(groups, event(MEMBER, 9021, H))
    assert again is not None
    # NIP-29: "the event MUST be rejected with `duplicate: `"
    assert again.prefix is Prefix.DUPLICATE
    assert objection(groups, event(MEMBER, 9022, H)) is None
    assert objection(groups, event(OWNER, 9022, H)) is not None


def test_a_wrong_code_does_not_tell_whether_there_is_a_group() -> None:
    groups = fold(CREATED, event(OWNER, 9009, H, ("code", "a good code")))
    wrong = objection(groups, event(MEMBER, 9021, H, ("code", "a bad code!")))
    assert wrong is not None
    assert wrong == objection(groups, event(MEMBER, 9021, ("h", OTHER)))
    shown = fold(CREATED, event(ROUTER, Kind.EDIT_METADATA, H, ("visible",)))
    told = objection(shown, event(MEMBER, 9021, H))
    assert told is not None
    assert "invite code" in told.sentence


def test_what_an_edit_leaves_out_is_removed() -> None:
    groups = fold(
        CREATED,
        event(ROUTER, Kind.EDIT_METADATA, H, ("name", "Main"), ("about", "us")),
        event(ROUTER, Kind.EDIT_METADATA, H, ("name", "House")),
    )
    assert groups.by_id[MAIN].metadata == (("name", "House"),)
