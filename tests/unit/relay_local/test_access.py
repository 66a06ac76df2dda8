"""Who sees what, by table; and what a REQ is told at once."""

from __future__ import annotations

from dataclasses import replace

import pytest

from nips.event import Event
from nips.filter import Filter
from nips.kinds import Kind
from nips.refusal import Prefix
from relay_local.access import keeps_once, listens_for, may_ask, may_read, scope_of
from relay_local.viewer import Viewer
from relay_local.world import World
from tests.unit.relay_local.cast import (
    BOT,
    BRIDGE,
    CHAT,
    JOB,
    MAIN,
    MEMBER,
    NOW,
    OTHER,
    OTHER_MEMBER,
    OTHER_PUPPET,
    OTHER_SESSION,
    OWNER,
    PUPPET,
    RELAY,
    ROLES,
    ROUTER,
    SESSION,
    SIGNAL,
    SIGNAL_PUPPET,
    SIGNER,
    STRANGER,
    WORLD,
    as_,
    binding_event,
    event,
    grant_event,
    inside,
    put_user,
    stage,
)

H = ("h", MAIN)
VIEWERS = {
    "nobody": Viewer(),
    "stranger": as_(STRANGER),
    "owner": as_(OWNER),
    "router": as_(ROUTER),
    "signer": as_(SIGNER),
    "bridge": as_(BRIDGE, PUPPET),
    "signal bridge": as_(SIGNAL, SIGNAL_PUPPET),
    "chat": as_(CHAT),
    "member": as_(MEMBER),
    "other member": as_(OTHER_MEMBER),
    "session": inside(SESSION),
    # A session's key that somebody carried out of its container, and one not yet authenticated.
    "session outside": as_(SESSION),
    "session before AUTH": Viewer(session=SESSION.public),
    "puppet alone": as_(PUPPET),
    "bot's key": as_(BOT),
}
# Mail is read by the bridge that carries it. Attack: whoever takes over another reads all of it.
HOUSE = {"owner", "router", "signer", "bridge"}
PARTS = HOUSE | {"signal bridge"}
SEEN: list[tuple[str, Event, set[str]]] = [
    ("a message in main", event(MEMBER, 9, H), HOUSE | {"member", "session"}),
    ("a message in the other group", event(OTHER_MEMBER, 9, ("h", OTHER)),
     HOUSE | {"other member"}),
    ("a message in main that names somebody else",
     event(MEMBER, 9, H, ("p", OTHER_MEMBER.public)), HOUSE | {"member", "session"}),
    ("main's members", event(RELAY, Kind.GROUP_MEMBERS, ("d", MAIN)),
     HOUSE | {"member", "session"}),
    ("the other's name", event(RELAY, Kind.GROUP_METADATA, ("d", OTHER)),
     HOUSE | {"other member"}),
    ("a job of main", event(ROUTER, Kind.JOB_REQUEST, H), HOUSE | {"member", "session"}),
    ("a wrap for the bot", event(STRANGER, 1059, ("p", BOT.public)), {"signer", "bridge"}),
    ("a wrap for the owner", event(STRANGER, 1059, ("p", OWNER.public)),
     {"owner", "signer", "bridge"}),
    ("a wrap for the terminal", event(STRANGER, 1059, ("p", CHAT.public)),
     {"chat", "signer", "bridge"}),
    ("a wrap for a member", event(STRANGER, 1059, ("p", MEMBER.public)),
     {"member", "signer", "bridge"}),
    ("a wrap that a member wrote", event(MEMBER, 1059, ("p", BOT.public)), {"signer", "bridge"}),
    ("a request to the signer", event(SESSION, 24_133, ("p", SIGNER.public)), {"signer"}),
    ("an answer to the session", event(SIGNER, 24_133, ("p", SESSION.public)), {"session"}),
    ("what a turn did, for the owner", event(BOT, 24_200, ("p", OWNER.public), H), {"owner"}),
    ("what a turn cost", event(BOT, 44_200, ("p", OWNER.public), H), {"owner"}),
    ("told to a member", event(RELAY, 44_100, ("p", MEMBER.public), H), {"member"}),
    ("a session's grant", grant_event(SESSION), {"owner", "router", "signer", "session"}),
    ("a place", event(ROUTER, Kind.APP_DATA, ("d", "place/router")), PARTS),
    # What came from Signal, and whose business it is has not been judged: its bridge alone.
    ("what came from Signal", event(SIGNAL, Kind.APP_DATA, ("d", "signal/x")), {"signal bridge"}),
    ("what came from Signal, naming who would read it",
     event(SIGNAL, Kind.APP_DATA, ("d", "signal/x"), ("p", OWNER.public), ("p", MEMBER.public)),
     {"signal bridge"}),
    ("a binding", event(ROUTER, Kind.APP_DATA, ("d", f"group/{MAIN}")), PARTS),
    ("the bot's profile", event(BOT, 0), PARTS | {"chat", "member", "other member", "session"}),
    ("the name of somebody in main", event(PUPPET, 0),
     PARTS | {"chat", "member", "other member", "session"}),
    ("the name of somebody in the other group", event(OTHER_PUPPET, 0),
     PARTS | {"chat", "member", "other member"}),
    ("whom somebody in main follows", event(PUPPET, 3),
     PARTS | {"chat", "member", "other member"}),
    ("the bot's note", event(BOT, 1), PARTS),
    ("somebody's mailboxes", event(STRANGER, 10_050),
     PARTS | {"chat", "member", "other member"}),
    ("a note of a member's own", event(MEMBER, 5), PARTS | {"member"}),
]  # fmt: skip


@pytest.mark.parametrize("what", SEEN, ids=lambda row: row[0])
@pytest.mark.parametrize("who", VIEWERS)
def test_who_sees_what(who: str, what: tuple[str, Event, set[str]]) -> None:
    _, shown, to_whom = what
    assert may_read(WORLD, VIEWERS[who], shown) is (who in to_whom)


def test_a_bridge_without_mail_sees_the_groups_of_its_network() -> None:
    """Attack: whoever takes it over reads what the owner and others talk of elsewhere."""
    viewer, h = as_(SIGNAL, SIGNAL_PUPPET), ("h", OTHER)
    shown = event(OTHER_MEMBER, 9, h)
    assert not may_read(WORLD, viewer, shown)
    bound = WORLD.after(binding_event(OTHER, "signal"), NOW)
    assert may_read(bound, viewer, shown)
    assert not may_read(bound, viewer, event(MEMBER, 9, H))
    # As long as it has puppets there it is to see them go.
    spoken = bound.after(put_user(OTHER, SIGNAL_PUPPET, "puppet", SIGNAL), NOW)
    unbound = spoken.after(binding_event(OTHER, "nostr"), NOW)
    assert may_read(unbound, viewer, shown)
    removed = event(SIGNAL, Kind.REMOVE_USER, h, ("p", SIGNAL_PUPPET.public))
    assert not may_read(unbound.after(removed, NOW), viewer, shown)
    # A connection that shows itself to be more than that sees more.
    assert may_read(WORLD, as_(SIGNAL, ROUTER), shown)


def test_a_removed_member_sees_nothing_more_not_even_their_own() -> None:
    own = event(MEMBER, 9, H)
    gone = WORLD.after(event(ROUTER, Kind.REMOVE_USER, H, ("p", MEMBER.public)), NOW)
    assert may_read(WORLD, as_(MEMBER), own)
    assert not may_read(gone, as_(MEMBER), own)


def test_a_revoked_session_sees_nothing_more() -> None:
    shown = event(MEMBER, 9, H)
    revoked = WORLD.after(grant_event(SESSION, revoked=True), NOW)
    assert may_read(WORLD, inside(SESSION), shown)
    assert not may_read(revoked, inside(SESSION), shown)


def test_another_key_on_a_sessions_socket_adds_nothing() -> None:
    scope = scope_of(WORLD, inside(SESSION, OWNER))
    assert scope == scope_of(WORLD, inside(SESSION))


def test_a_session_that_is_a_member_as_well_reads_by_its_socket_only() -> None:
    world = WORLD.after(put_user(OTHER, SESSION, "member"), NOW)
    shown = event(OTHER_MEMBER, 9, ("h", OTHER))
    assert not may_read(world, as_(SESSION), shown)
    assert not may_read(world, inside(SESSION), shown)


def test_a_member_who_is_made_a_puppet_reads_through_the_bridge_only() -> None:
    world = WORLD.after(put_user(MAIN, MEMBER, "puppet"), NOW)
    assert not may_read(world, as_(MEMBER), event(OWNER, 9, H))


def test_the_owner_whom_pairing_named_is_the_owner() -> None:
    world = stage(replace(ROLES, owner=None))
    shown = event(ROUTER, 9, ("h", OTHER))
    named = event(SIGNER, Kind.APP_DATA, ("d", "owner"), ("p", STRANGER.public))
    forged = event(ROUTER, Kind.APP_DATA, ("d", "owner"), ("p", STRANGER.public))
    assert not may_read(world, as_(STRANGER), shown)
    assert not may_read(world.after(forged, NOW), as_(STRANGER), shown)
    assert may_read(world.after(named, NOW), as_(STRANGER), shown)
    # Where the file names the owner no pairing does.
    assert WORLD.after(named, NOW).owner == OWNER.public


def ask(viewer: Viewer, *filters: dict[str, object], world: World = WORLD) -> Prefix | None:
    refusal = may_ask(world, viewer, [Filter.from_json(one) for one in filters])
    return refusal.prefix if refusal else None


def test_what_a_req_is_told_at_once() -> None:
    assert ask(Viewer(), {}) is Prefix.AUTH_REQUIRED
    assert ask(Viewer(), {"limit": 0}) is Prefix.AUTH_REQUIRED
    assert ask(as_(STRANGER), {}) is Prefix.RESTRICTED
    assert ask(as_(SESSION), {}) is Prefix.RESTRICTED
    assert ask(as_(BOT), {}) is Prefix.RESTRICTED
    assert ask(as_(MEMBER), {}) is None
    assert ask(inside(SESSION), {}) is None
    assert ask(as_(OWNER), {"search": "x"}) is None
    assert ask(as_(STRANGER), {"search": "x"}) is Prefix.RESTRICTED
    assert ask(as_(ROUTER), {"search": "x", "after_seq": 0}) is Prefix.INVALID
    many = [f"{n:064x}" for n in range(5_000)]
    wide: dict[str, object] = {"ids": many, "authors": many, "#p": many, "#e": many}
    assert ask(as_(OWNER), wide) is None
    assert ask(as_(OWNER), {**wide, "#t": ["one more"]}) is Prefix.INVALID


def test_requests_are_open_to_everybody_and_nothing_beside_them() -> None:
    listening: dict[str, object] = {"kinds": [24_133], "#p": [STRANGER.public]}
    assert ask(Viewer(), listening) is None
    assert ask(Viewer(), {"kinds": [24_133]}) is Prefix.AUTH_REQUIRED
    assert ask(Viewer(), {"kinds": [24_133], "#p": []}) is Prefix.AUTH_REQUIRED
    assert ask(Viewer(), {"kinds": [24_133, 9], "#p": [STRANGER.public]}) is Prefix.AUTH_REQUIRED
    assert ask(Viewer(), listening, {"kinds": [9]}) is Prefix.AUTH_REQUIRED
    assert listens_for([Filter.from_json(listening)]) == {STRANGER.public}


def test_what_is_sent_to_a_part_or_a_session_is_heard_by_it_alone() -> None:
    """Attack: who asks the signer, when, and how much shows when which agent works."""
    for part in (SIGNER, ROUTER, BRIDGE, SIGNAL):
        listening: dict[str, object] = {"kinds": [24_133], "#p": [part.public]}
        beside = {"kinds": [24_133], "#p": [STRANGER.public, part.public]}
        for asked in (listening, beside):
            assert ask(Viewer(), asked) is Prefix.AUTH_REQUIRED
            assert ask(as_(STRANGER), asked) is Prefix.RESTRICTED
            assert ask(inside(SESSION), asked) is Prefix.RESTRICTED
        assert ask(as_(part), listening) is None
    own: dict[str, object] = {"kinds": [24_133], "#p": [SESSION.public]}
    assert ask(inside(SESSION), own) is None
    assert ask(inside(OTHER_SESSION), own) is Prefix.RESTRICTED
    assert ask(Viewer(), own) is Prefix.AUTH_REQUIRED
    assert ask(as_(SESSION), own) is Prefix.AUTH_REQUIRED  # its key counts on its socket only


def test_arrival_order_is_for_the_parts() -> None:
    for viewer in (as_(ROUTER), as_(SIGNER), as_(BRIDGE)):
        assert ask(viewer, {"after_seq": 0}) is None
    for viewer in (as_(OWNER), as_(MEMBER), as_(CHAT), inside(SESSION), as_(STRANGER)):
        assert ask(viewer, {"after_seq": 0}) is Prefix.INVALID
    assert ask(as_(ROUTER), {"after_seq": 0}, {"kinds": [1]}) is Prefix.INVALID
    assert ask(as_(ROUTER), {"after_seq": 0, "limit": 10}) is Prefix.INVALID
    assert ask(as_(ROUTER), {"after_seq": 0, "limit": 0}) is None


def test_a_public_relay_guards_gift_wraps_alone() -> None:
    world = World(RELAY.public, public=True)
    wrap = event(STRANGER, 1059, ("p", OWNER.public))
    assert ask(Viewer(), {"kinds": [1]}, world=world) is None
    assert ask(Viewer(), {}, world=world) is None
    assert ask(Viewer(), {"kinds": [1059]}, world=world) is Prefix.AUTH_REQUIRED
    assert ask(Viewer(), {"kinds": [1]}, {"kinds": [1, 1059]}, world=world) is Prefix.AUTH_REQUIRED
    assert ask(as_(MEMBER), {"kinds": [1059]}, world=world) is None
    assert not may_read(world, Viewer(), wrap)
    assert not may_read(world, as_(MEMBER, STRANGER), wrap)
    assert may_read(world, as_(OWNER), wrap)
    assert may_read(world, Viewer(), event(STRANGER, 30_078, ("d", "grant/x")))


def test_once_keys_are_the_parts_the_bots_and_the_puppets() -> None:
    for author in (ROUTER, SIGNER, BRIDGE, BOT, PUPPET):
        assert keeps_once(WORLD, event(author, 9, ("o", JOB)))
    for author in (OWNER, MEMBER, STRANGER, SESSION, CHAT):
        assert not keeps_once(WORLD, event(author, 9, ("o", JOB)))
