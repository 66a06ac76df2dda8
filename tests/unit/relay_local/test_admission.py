"""One event after another against a real database, and the world they make."""

from __future__ import annotations

import sqlite3

import pytest

from nips.event import Event, Template
from nips.key import SecretKey
from nips.kinds import Kind
from nips.refusal import Prefix, Refusal
from relay_local.admission import Admission, Known, admit, remove_expired
from relay_local.moderation import Stored
from relay_local.retention import Address
from relay_local.schema import SCHEMA
from relay_local.transaction import Transaction
from relay_local.viewer import Viewer
from relay_local.world import World
from tests.unit.relay_local.cast import (
    BOT,
    BRIDGE,
    JOB,
    MAIN,
    MEMBER,
    NOW,
    OTHER,
    OWNER,
    PUPPET,
    RELAY,
    ROLES,
    ROUTER,
    SESSION,
    SIGNAL,
    SIGNER,
    STRANGER,
    as_,
    binding_event,
    event,
    grant_event,
    put_user,
)

H = ("h", MAIN)
EVERYBODY = as_(OWNER, ROUTER, SIGNER, BRIDGE, SIGNAL, MEMBER, PUPPET)


class House:
    """A database and the world after everything put into it."""

    def __init__(self, *, public: bool = False) -> None:
        connection = sqlite3.connect(":memory:", isolation_level=None)
        connection.executescript(SCHEMA)
        self.transaction = Transaction(connection)
        self.world = World(RELAY.public, None if public else ROLES, public=public)
        self.now_s = NOW

    def put(self, new: Event, viewer: Viewer = EVERYBODY) -> Admission:
        admission = admit(self.transaction, self.world, viewer, new, self.now_s, self.sign)
        self.world = admission.world
        return admission

    def keep(self, *events: Event) -> None:
        for one in events:
            assert isinstance(self.put(one).outcome, Stored)

    def refuse(self, new: Event, viewer: Viewer = EVERYBODY) -> Refusal:
        before = self.world
        admission = self.put(new, viewer)
        assert isinstance(admission.outcome, Refusal)
        assert admission.stored == ()
        assert self.world is before
        assert self.transaction.event(new.id) is None
        return admission.outcome

    def group(self, kind: int, group: str = MAIN) -> Event | None:
        return self.transaction.at(Address(RELAY.public, kind, group))

    def sign(self, template: Template) -> Event:
        return template.sign(RELAY, bytes(32))


@pytest.fixture
def house() -> House:
    house = House()
    house.keep(
        event(ROUTER, Kind.CREATE_GROUP, H),
        put_user(MAIN, MEMBER, "member"),
        binding_event(MAIN),
        put_user(MAIN, PUPPET, "puppet", BRIDGE),
    )
    return house


def test_the_second_time_is_a_duplicate(house: House) -> None:
    message = event(MEMBER, 9, H)
    house.keep(message)
    assert isinstance(house.put(message).outcome, Known)


def test_who_may_not_write_does_not_learn_what_is_here(house: House) -> None:
    message = event(MEMBER, 9, H)
    house.keep(message)
    assert house.put(message, as_(STRANGER)).outcome == house.refuse(
        event(MEMBER, 9, H, content="never here"), as_(STRANGER)
    )


def test_a_once_key_has_one_effect(house: House) -> None:
    """Five relays deliver one message; a restart hands it over with another time."""
    first = event(PUPPET, 9, H, ("o", JOB), content="hi")
    house.keep(first)
    again = event(PUPPET, 9, H, ("o", JOB), content="hi", created_at=NOW + 5)
    assert isinstance(house.put(again).outcome, Known)
    assert house.transaction.event(again.id) is None
    house.keep(event(ROUTER, 9, H, ("o", JOB)))  # another author's is another effect
    for _ in range(2):  # a member's `o` tag is theirs to use as they like
        house.keep(event(MEMBER, 9, H, ("o", JOB), created_at=house.now_s))
        house.now_s += 1


@pytest.mark.parametrize("author", ["", "nobody", "ab" * 31 + "a", "AB" * 32, "zz" * 32])
def test_a_deletion_that_names_no_address_deletes_nothing(house: House, author: str) -> None:
    """Attack: an address whose author is no key, at which the writer of all would stumble."""
    house.keep(event(MEMBER, 5, ("a", f"30023:{author}:x")))


def test_the_bots_once_keys_are_its_groups(house: House) -> None:
    """Attack: an agent uses the once-key of another group's next answer, so that it is dropped."""
    house.keep(event(ROUTER, Kind.CREATE_GROUP, ("h", OTHER)))
    for group in (MAIN, OTHER):
        house.keep(event(BOT, 9, ("h", group), ("o", JOB)))
        again = event(BOT, 9, ("h", group), ("o", JOB), content="again")
        assert isinstance(house.put(again).outcome, Known)
    house.keep(event(BOT, 1, ("o", JOB)))


def test_a_refused_event_uses_up_no_once_key(house: House) -> None:
    house.refuse(event(PUPPET, 9, ("h", OTHER), ("o", JOB)))
    house.keep(event(PUPPET, 9, H, ("o", JOB)))


def test_ids_and_effects_outlive_content(house: House) -> None:
    gone = event(PUPPET, 9, H, ("o", JOB))
    house.keep(gone, event(PUPPET, 5, ("e", gone.id)))
    assert house.transaction.event(gone.id) is None
    assert isinstance(house.put(gone).outcome, Known)
    again = event(PUPPET, 9, H, ("o", JOB), content="in other words")
    assert isinstance(house.put(again).outcome, Known)


def test_replaceable_events_keep_one_version(house: House) -> None:
    old = event(MEMBER, 0, content="old", created_at=NOW - 10)
    new = event(MEMBER, 0, content="new")
    house.keep(old, new)
    assert house.transaction.at(Address(MEMBER.public, 0, "")) == new
    assert isinstance(house.put(old).outcome, Known)
    late = house.refuse(event(MEMBER, 0, content="late", created_at=NOW - 5))
    assert late.prefix is Prefix.BLOCKED
    low, high = sorted((event(MEMBER, 3, content=c) for c in "ab"), key=lambda one: one.id)
    house.keep(high, low)
    house.refuse(event(MEMBER, 3, created_at=NOW - 1))
    assert house.transaction.at(Address(MEMBER.public, 3, "")) == low


def test_addresses_are_apart() -> None:
    house = House(public=True)
    events = [event(STRANGER, 30_023, ("d", d)) for d in ("a", "b", "")]
    house.keep(*events, event(STRANGER, 30_024, ("d", "a")), event(MEMBER, 30_023, ("d", "a")))
    assert [house.transaction.event(one.id) for one in events] == events


def test_a_conflict_is_told(house: House) -> None:
    first = event(OWNER, 31_923, ("d", "x"), H)
    house.keep(first)
    mine = event(OWNER, 31_923, ("d", "x"), H, ("prev", first.id), created_at=NOW + 1)
    theirs = event(OWNER, 31_923, ("d", "x"), H, ("prev", first.id), created_at=NOW + 2)
    house.keep(mine)
    assert "conflict" in house.refuse(theirs).sentence


def test_a_revoked_grant_stays_revoked(house: House) -> None:
    house.keep(grant_event(SESSION))
    assert SESSION.public in house.world.sessions
    house.keep(grant_event(SESSION, revoked=True, created_at=NOW - 99))
    assert SESSION.public not in house.world.sessions
    house.refuse(grant_event(SESSION, created_at=NOW + 99))
    assert SESSION.public not in house.world.sessions


def test_a_grant_names_one_client(house: House) -> None:
    honest = grant_event(SESSION)
    shelved = event(
        ROUTER, Kind.APP_DATA, ("d", f"grant/{STRANGER.public}"), ("p", STRANGER.public),
        content=honest.content,
    )  # fmt: skip
    assert house.refuse(shelved).prefix is Prefix.INVALID
    assert house.refuse(
        event(ROUTER, Kind.APP_DATA, ("d", f"grant/{SESSION.public}"), content="{}")
    )


def test_deletion_by_id_and_address(house: House) -> None:
    own, others = event(MEMBER, 9, H), event(OWNER, 9, H)
    calendar = event(MEMBER, 31_923, ("d", "x"), H)
    house.keep(own, others, calendar)
    deletion = event(
        MEMBER, 5, ("e", own.id), ("e", others.id), ("e", "junk"), ("a", "junk"),
        ("a", f"31923:{MEMBER.public}:x"), ("a", f"31923:{OWNER.public}:x"),
    )  # fmt: skip
    house.keep(deletion)
    assert house.transaction.event(own.id) is None
    assert house.transaction.event(calendar.id) is None
    assert house.transaction.event(others.id) == others
    assert house.transaction.event(deletion.id) == deletion
    # What was deleted before it came stays away, a later version is news.
    older = event(MEMBER, 31_923, ("d", "x"), H, created_at=NOW - 1)
    assert house.refuse(older).prefix is Prefix.BLOCKED
    house.keep(event(MEMBER, 31_923, ("d", "x"), H, created_at=NOW + 1))


def test_what_was_deleted_before_it_came_is_not_taken() -> None:
    house = House(public=True)
    late, others = event(MEMBER, 1), event(OWNER, 1)
    house.keep(event(MEMBER, 5, ("e", late.id), ("e", others.id)))
    assert house.refuse(late).prefix is Prefix.BLOCKED
    house.keep(others)


def test_the_ledger_is_not_taken_back(house: House) -> None:
    job = event(ROUTER, Kind.JOB_REQUEST, H)
    later = event(ROUTER, Kind.JOB_RESULT, H, ("e", job.id))
    record = event(OWNER, Kind.APP_DATA, ("d", "x"))
    house.keep(job, record)
    address_ = f"30078:{OWNER.public}:x"
    house.keep(event(ROUTER, 5, ("e", job.id), ("e", later.id)))
    house.keep(event(OWNER, 5, ("e", record.id), ("a", address_), created_at=NOW + 1))
    assert house.transaction.event(job.id) == job
    assert house.transaction.event(record.id) == record
    house.keep(later)


def test_the_bot_deletes_in_one_group_only(house: House) -> None:
    there = "33333333-3333-4333-8333-333333333333"
    house.keep(event(ROUTER, Kind.CREATE_GROUP, ("h", there)))
    here, elsewhere = event(BOT, 9, H), event(BOT, 9, ("h", there))
    house.keep(here, elsewhere)
    house.refuse(event(BOT, 5, H, ("e", here.id), ("e", elsewhere.id)))
    assert house.transaction.event(here.id) == here
    house.keep(event(BOT, 5, H, ("e", here.id)))
    assert house.transaction.event(here.id) is None


def test_expired_events(house: House) -> None:
    late = event(MEMBER, 9, H, ("expiration", str(NOW)))
    assert house.refuse(late).prefix is Prefix.INVALID
    soon = event(MEMBER, 9, H, ("expiration", str(NOW + 5)))
    later = event(MEMBER, 9, H, ("expiration", str(NOW + 9)))
    house.keep(soon, later)
    assert remove_expired(house.transaction, NOW, 10) == NOW + 5
    assert house.transaction.event(soon.id) == soon
    assert remove_expired(house.transaction, NOW + 5, 10) == NOW + 9
    assert house.transaction.event(soon.id) is None
    assert remove_expired(house.transaction, NOW + 9, 10) is None
    assert isinstance(house.put(soon).outcome, Known)
    assert house.refuse(event(MEMBER, 9, H, ("expiration", "soon"))).prefix is Prefix.INVALID


def test_what_came_from_signal_is_gone_when_it_has_passed_through(house: House) -> None:
    d, o = ("d", f"signal/{'ab' * 32}"), ("o", "ab" * 32)
    soon = ("expiration", str(NOW + 5))
    waiting = event(SIGNAL, Kind.APP_DATA, d, o, soon, content='{"envelope":{}}')
    house.keep(waiting)
    again = event(SIGNAL, Kind.APP_DATA, d, o, soon, content='{"envelope":{"again":1}}')
    assert isinstance(house.put(again).outcome, Known)
    dealt_with = event(SIGNAL, Kind.APP_DATA, d, soon, created_at=NOW + 1)
    house.keep(dealt_with)
    assert house.transaction.event(waiting.id) is None
    assert remove_expired(house.transaction, NOW + 5, 10) is None
    assert house.transaction.event(dealt_with.id) is None
    assert isinstance(house.put(waiting).outcome, Known)


def test_the_relay_describes_its_groups(house: House) -> None:
    members = house.group(Kind.GROUP_MEMBERS)
    assert members is not None
    members.verify()
    assert members.pubkey == RELAY.public
    assert set(members.values("p")) == {MEMBER.public, PUPPET.public}
    admission = house.put(event(ROUTER, Kind.REMOVE_USER, H, ("p", MEMBER.public)))
    kinds = [stored.event.kind for stored in admission.stored]
    assert kinds == [9001, 39_000, 39_001, 39_002, 39_003, 44_101, 13_534]
    seqs = [stored.seq for stored in admission.stored]
    assert seqs == sorted(seqs)
    latest = house.group(Kind.GROUP_MEMBERS)
    assert latest is not None
    assert latest.values("p") == [PUPPET.public]
    # Two changes in one second would tie for every other reader.
    assert latest.created_at > members.created_at


def test_a_deleted_group_is_described_no_more(house: House) -> None:
    there = ("h", OTHER)
    house.keep(event(ROUTER, Kind.CREATE_GROUP, there), put_user(OTHER, MEMBER, "member"))
    places = [Address(RELAY.public, kind, OTHER) for kind in range(39_000, 39_004)]
    assert all(house.transaction.at(place) for place in places)
    house.keep(event(ROUTER, Kind.DELETE_GROUP, there))
    assert not any(house.transaction.at(place) for place in places)
    house.refuse(event(MEMBER, 9, there))
    house.refuse(event(ROUTER, Kind.CREATE_GROUP, there, content="again"))


def test_a_group_change_sent_twice_is_a_duplicate(house: House) -> None:
    """A router that was killed sends the same again: not an error, and nothing twice."""
    assert isinstance(house.put(event(ROUTER, Kind.CREATE_GROUP, H)).outcome, Known)
    assert isinstance(house.put(put_user(MAIN, MEMBER, "member")).outcome, Known)


@pytest.mark.parametrize("author", [OWNER, ROUTER])
def test_the_world_is_the_same_from_its_events_alone(house: House, author: SecretKey) -> None:
    house.keep(
        event(author, Kind.EDIT_METADATA, H, ("name", "Main")),
        grant_event(SESSION),
        event(SIGNER, Kind.APP_DATA, ("d", "owner"), ("p", STRANGER.public)),
        event(author, Kind.PUT_USER, H, ("p", STRANGER.public), created_at=NOW - 1_000),
    )
    again = World(RELAY.public, ROLES)
    for past in house.transaction.of_kinds([*range(9000, 9023), Kind.APP_DATA]):
        again = again.after(past, NOW)
    assert again == house.world


def test_a_deleted_event_is_refused_and_a_deletion_cannot_be_deleted() -> None:
    house = House(public=True)
    note = event(MEMBER, 1)
    deletion = event(MEMBER, 5, ("e", note.id))
    house.keep(note, deletion)
    assert house.put(note).outcome == Refusal(Prefix.BLOCKED, "this event has been deleted")
    house.keep(event(MEMBER, 5, ("e", deletion.id), created_at=NOW + 1))
    assert house.transaction.event(deletion.id) == deletion
    assert isinstance(house.put(deletion).outcome, Known)
    assert isinstance(house.put(note).outcome, Refusal)


def test_a_wrap_is_deleted_by_its_recipient_and_nobody_else() -> None:
    """NIP-09: its author is a key of one use; the `k` tag must say what is meant."""
    house = House(public=True)
    first, second = (
        event(STRANGER, 1059, ("p", MEMBER.public), content=content) for content in "ab"
    )
    house.keep(first, second)
    house.keep(event(OWNER, 5, ("e", first.id), ("k", "1059")))
    house.keep(event(MEMBER, 5, ("e", first.id), ("k", "1")))
    assert house.transaction.event(first.id) == first
    house.keep(event(MEMBER, 5, ("e", first.id), ("k", "1059")))
    assert house.transaction.event(first.id) is None
    assert house.transaction.event(second.id) == second
    assert isinstance(house.put(first).outcome, Refusal)
    late = event(STRANGER, 1059, ("p", MEMBER.public), content="c")
    house.keep(event(OWNER, 5, ("e", late.id), ("k", "1059")))
    house.keep(event(MEMBER, 5, ("e", late.id), ("k", "1059"), created_at=NOW + 1))
    assert house.refuse(late).prefix is Prefix.BLOCKED


def test_an_agent_cannot_make_the_bot_delete_its_mail(house: House) -> None:
    """The bot is the recipient of every wrap: a deletion signed for a group names none."""
    wrap = event(STRANGER, 1059, ("p", BOT.public))
    assert isinstance(house.put(wrap, as_(BRIDGE)).outcome, Stored)
    house.refuse(event(BOT, 5, H, ("e", wrap.id), ("k", "1059")))
    assert house.transaction.event(wrap.id) == wrap
