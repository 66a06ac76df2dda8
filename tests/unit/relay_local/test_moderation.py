"""What follows from moderation, in a real database; and all of it thrown away and made again."""

from __future__ import annotations

from dataclasses import replace

import pytest

from nips.event import Event
from nips.kinds import Kind
from nips.refusal import Prefix, Refusal
from relay_local import moderation
from relay_local.access import may_read
from relay_local.admission import place
from relay_local.groups import STATE_KINDS
from relay_local.moderation import Stored
from relay_local.retention import Address
from relay_local.roster import ROSTER
from relay_local.world import World
from tests.unit.relay_local.cast import (
    BRIDGE,
    JOB,
    MAIN,
    MEMBER,
    NOW,
    OTHER,
    OTHER_MEMBER,
    OWNER,
    PUPPET,
    RELAY,
    ROLES,
    ROUTER,
    SESSION,
    STRANGER,
    as_,
    binding_event,
    event,
    grant_event,
    inside,
    key_of,
    put_user,
)
from tests.unit.relay_local.test_admission import House

H, THERE = ("h", MAIN), ("h", OTHER)
ADMIN = key_of("admin")
INVITE = event(OWNER, 9009, THERE, ("code", "come in, please"))
ALL = as_(OWNER, ROUTER, BRIDGE, MEMBER, PUPPET, ADMIN, STRANGER, OTHER_MEMBER)


class Rooms(House):
    """A house with two groups, everybody authenticated on one connection."""

    def __init__(self) -> None:
        super().__init__()
        self.keep(
            event(ROUTER, Kind.CREATE_GROUP, H),
            event(ROUTER, Kind.CREATE_GROUP, THERE),
            put_user(MAIN, OWNER, "owner"),
            put_user(MAIN, MEMBER, "member"),
            put_user(OTHER, ADMIN, "admin"),
            put_user(OTHER, OTHER_MEMBER, "member"),
            binding_event(MAIN),
            put_user(MAIN, PUPPET, "puppet", BRIDGE),
        )

    def keep(self, *events: Event) -> None:
        for one in events:
            outcome = self.put(one, ALL).outcome
            assert isinstance(outcome, Stored), outcome

    def refused(self, new: Event) -> Prefix:
        outcome = self.put(new, ALL).outcome
        assert isinstance(outcome, Refusal)
        return outcome.prefix

    def notices(self, pubkey: str, group: str) -> list[tuple[int, int]]:
        found = self.transaction.addressed_to(pubkey, [44_100, 44_101], group)
        return [(one.kind, one.created_at) for one in found]

    def roster(self) -> set[str]:
        found = self.transaction.at(Address(RELAY.public, ROSTER, ""))
        assert found is not None
        found.verify()
        return {tag[1] for tag in found.tags if tag[0] == "member"}


@pytest.fixture
def rooms() -> Rooms:
    return Rooms()


def test_an_invited_person_joins_and_is_told(rooms: Rooms) -> None:
    rooms.keep(INVITE)
    join = event(STRANGER, 9021, THERE, ("code", "come in, please"))
    admission = rooms.put(join, ALL)
    kinds = [stored.event.kind for stored in admission.stored]
    assert kinds == [9021, 9000, 39_000, 39_001, 39_002, 39_003, 44_100, 13_534]
    added = admission.stored[1].event
    assert added.pubkey == RELAY.public
    assert rooms.world.groups.by_id[OTHER].is_member(STRANGER.public)
    assert STRANGER.public in rooms.roster()
    assert rooms.notices(STRANGER.public, OTHER) == [(44_100, NOW)]
    # The code is used up, and the second time the person is a member.
    assert rooms.refused(event(MEMBER, 9021, THERE, ("code", "come in, please")))
    assert rooms.refused(event(STRANGER, 9021, THERE)) is Prefix.DUPLICATE


def test_without_a_code_nobody_enters_a_closed_group_and_anybody_an_open_one(rooms: Rooms) -> None:
    join = event(STRANGER, 9021, THERE)
    assert rooms.refused(join) is Prefix.RESTRICTED
    rooms.keep(event(ADMIN, Kind.EDIT_METADATA, THERE, ("open",)))
    rooms.keep(join)
    assert rooms.world.groups.by_id[OTHER].is_member(STRANGER.public)


def test_who_leaves_is_removed_by_the_relay(rooms: Rooms) -> None:
    admission = rooms.put(event(OTHER_MEMBER, 9022, THERE), ALL)
    assert [stored.event.kind for stored in admission.stored][:2] == [9022, 9001]
    assert not rooms.world.groups.has_member(OTHER_MEMBER.public)
    assert OTHER_MEMBER.public not in rooms.roster()
    assert rooms.refused(event(OTHER_MEMBER, 9, THERE)) is Prefix.RESTRICTED


def test_who_was_removed_still_reads_that(rooms: Rooms) -> None:
    admission = rooms.put(event(ROUTER, Kind.REMOVE_USER, H, ("p", MEMBER.public)), ALL)
    told = [stored.event for stored in admission.stored if stored.event.kind == 44_101]
    assert len(told) == 1
    assert may_read(rooms.world, as_(MEMBER), told[0])
    for other in (as_(STRANGER), as_(OTHER_MEMBER), inside(SESSION)):
        assert not may_read(rooms.world, other, told[0])
    assert not may_read(rooms.world, as_(MEMBER), event(OWNER, 9, H, ("p", MEMBER.public)))


def test_the_newest_notice_is_the_truth_within_one_second(rooms: Rooms) -> None:
    """Of two in one second the removal counts: who is added again must be told later."""
    rooms.keep(
        event(ROUTER, Kind.REMOVE_USER, H, ("p", MEMBER.public)),
        event(ROUTER, Kind.PUT_USER, H, ("p", MEMBER.public), content="again"),
    )
    assert rooms.notices(MEMBER.public, MAIN) == [(44_100, NOW + 2)]


def test_invite_codes_are_seen_by_those_in_charge_only(rooms: Rooms) -> None:
    """A member, a puppet's bridge or an agent must not let a friend in with a code it read."""
    rooms.keep(grant_event(SESSION, OTHER))
    join = event(STRANGER, 9021, THERE, ("code", "come in, please"))
    for code in (INVITE, join):
        assert may_read(rooms.world, as_(OWNER), code)
        assert may_read(rooms.world, as_(ADMIN), code)
        for viewer in (as_(OTHER_MEMBER), as_(MEMBER), inside(SESSION), as_(PUPPET)):
            assert not may_read(rooms.world, viewer, code)


def test_an_admin_deletes_in_the_own_group_only(rooms: Rooms) -> None:
    here, there = event(OTHER_MEMBER, 9, THERE), event(MEMBER, 9, H)
    rooms.keep(here, there)
    rooms.keep(event(ADMIN, 9005, THERE, ("e", here.id), ("e", there.id), ("e", JOB)))
    assert rooms.transaction.event(here.id) is None
    assert rooms.transaction.event(there.id) == there
    assert rooms.refused(here) is Prefix.BLOCKED  # and does not come back
    assert rooms.refused(event(ADMIN, 9005, H, ("e", there.id))) is Prefix.RESTRICTED


def test_the_record_is_not_deleted_by_9005(rooms: Rooms) -> None:
    job = event(ROUTER, Kind.JOB_REQUEST, THERE)
    rooms.keep(job, INVITE)
    state = rooms.group(Kind.GROUP_MEMBERS, OTHER)
    assert state is not None
    rooms.keep(event(ADMIN, 9005, THERE, ("e", job.id), ("e", INVITE.id), ("e", state.id)))
    for kept in (job, INVITE, state):
        assert rooms.transaction.event(kept.id) == kept


def test_previous_may_be_missing_and_must_be_true(rooms: Rooms) -> None:
    """A message carried over from a fork of the group names what was never here."""
    first, elsewhere = event(MEMBER, 9, H), event(OTHER_MEMBER, 9, THERE)
    rooms.keep(first, elsewhere)
    rooms.keep(event(MEMBER, 9, H, ("previous", first.id[:8]), content="a"))
    rooms.keep(event(MEMBER, 9, H, ("previous",), content="b"))
    for wrong in (elsewhere.id[:8], "00000000", "xyz", first.id):
        message = event(MEMBER, 9, H, ("previous", first.id[:8], wrong), content="c")
        assert rooms.refused(message) is Prefix.INVALID


def test_the_doors_of_a_group_stand_as_its_metadata_says(rooms: Rooms) -> None:
    message = event(OTHER_MEMBER, 9, THERE)
    rooms.keep(message)
    outside = as_(STRANGER)

    def seen() -> set[str]:
        state = {
            name: rooms.group(kind, OTHER) for name, kind in zip("name", STATE_KINDS, strict=True)
        }
        shown = {name for name, one in state.items() if one and may_read(rooms.world, outside, one)}
        return shown | ({"message"} if may_read(rooms.world, outside, message) else set())

    names = list("name")
    assert seen() == set()
    rooms.keep(event(ADMIN, Kind.EDIT_METADATA, THERE, ("visible",)))
    assert seen() == set(names) - {"m"}  # what it is, not who is in it
    rooms.keep(event(ADMIN, Kind.EDIT_METADATA, THERE, ("visible",), ("public",)))
    assert seen() == {*names, "message"}
    rooms.keep(event(ADMIN, Kind.EDIT_METADATA, THERE, ("name", "Closed again")))
    assert seen() == set()
    assert not may_read(rooms.world, inside(STRANGER), message)


def test_the_main_group_stays_shut_whatever_is_stored(rooms: Rooms) -> None:
    """A 9002 from before the rule, or from an import, must not publish it at the next start."""
    slip = event(OWNER, Kind.EDIT_METADATA, H, ("public",), ("open",), ("visible",), ("name", "x"))
    admission = place(rooms.transaction, rooms.world, slip, NOW, rooms.sign)
    main = admission.world.groups.by_id[MAIN]
    assert main.metadata == (("name", "x"),)
    assert main.flags == {"private", "restricted", "hidden", "closed"}
    assert not may_read(admission.world, as_(STRANGER), event(MEMBER, 9, H))


def test_thrown_away_the_state_is_made_again_from_moderation_alone(rooms: Rooms) -> None:
    rooms.keep(
        INVITE,
        event(OWNER, 9009, THERE, ("code", "unused code")),
        event(STRANGER, 9021, THERE, ("code", "come in, please")),
        event(OTHER_MEMBER, 9022, THERE),
        event(ADMIN, Kind.EDIT_METADATA, THERE, ("name", "There"), ("visible",)),
        event(ROUTER, Kind.REMOVE_USER, H, ("p", MEMBER.public), created_at=NOW - 1_000),
    )

    def derived() -> dict[int, tuple[object, ...]]:
        places = [(kind, group) for kind in STATE_KINDS for group in (MAIN, OTHER)]
        found = [rooms.transaction.at(Address(RELAY.public, *place)) for place in places]
        found.append(rooms.transaction.at(Address(RELAY.public, ROSTER, "")))
        return {n: one.tags for n, one in enumerate(found) if one is not None}

    before, members = derived(), rooms.roster()
    assert len(before) == 9
    for stored in rooms.transaction.of_kinds([*STATE_KINDS, ROSTER]):
        rooms.transaction.remove(stored)
    assert derived() == {}
    world = World(RELAY.public, ROLES)
    for past in rooms.transaction.of_kinds([*range(9000, 9023), Kind.APP_DATA]):
        world = world.after(past, NOW)
    assert world == rooms.world
    moderation.restore(rooms.transaction, world, NOW + 5, rooms.sign)
    assert derived() == before
    assert rooms.roster() == members == {OWNER.public, ADMIN.public, STRANGER.public}
    last = rooms.transaction.last_seq()
    moderation.restore(rooms.transaction, world, NOW + 9, rooms.sign)
    assert rooms.transaction.last_seq() == last  # what is right is left alone


def test_who_made_a_group_is_its_owner() -> None:
    """Clients look there before they offer a group's settings; the router makes them for others."""
    house = House()
    house.world = replace(house.world, roles=None, configured_owner=OWNER.public)
    admission = house.put(event(OWNER, Kind.CREATE_GROUP, ("h", "pizza-lovers_7"), ("name", "P")))
    assert isinstance(admission.outcome, Stored)
    for kind, address in ((39_001, ()), (39_002, ("",))):
        state = house.group(kind, "pizza-lovers_7")
        assert state is not None
        assert ("p", OWNER.public, *address, "owner") in state.tags
    theirs = House()
    theirs.keep(event(ROUTER, Kind.CREATE_GROUP, H))
    admins = theirs.group(39_001)
    assert admins is not None
    assert admins.values("p") == []
