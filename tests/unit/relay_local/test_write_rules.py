"""Every rule of writing: an attack that it alone stops, and honest work that it lets through."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from nips.event import Event
from nips.key import SecretKey
from nips.kinds import Kind
from nips.own.job import MAX_LINE_CHARS, progress
from nips.refusal import Prefix
from relay_local import access, group_rules, write_rules
from relay_local.access import may_write
from relay_local.viewer import Viewer
from relay_local.world import World
from relay_local.write_rules import PRIVATE_RULES, PUBLIC_RULES
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
    OWNER,
    PUPPET,
    RELAY,
    ROUTER,
    SESSION,
    SIGNAL,
    SIGNAL_PUPPET,
    SIGNER,
    STRANGER,
    as_,
    binding_event,
    event,
    grant_event,
    inside,
    key_of,
    put_user,
)
from tests.unit.relay_local.cast import WORLD as CAST_WORLD

OTHER_ADMIN = key_of("other admin")
THIRD = "33333333-3333-4333-8333-333333333333"
WORLD = CAST_WORLD
for past in (
    put_user(OTHER, OTHER_ADMIN, "admin"),
    event(ROUTER, Kind.CREATE_GROUP, ("h", THIRD)),
    binding_event(THIRD, "nostr", "signal"),
    put_user(THIRD, PUPPET, "puppet", BRIDGE),
    put_user(THIRD, SIGNAL_PUPPET, "puppet", SIGNAL),
):
    WORLD = WORLD.after(past, NOW)
PUBLIC = World(RELAY.public, public=True)
H = ("h", MAIN)


@dataclass(frozen=True, slots=True)
class Attack:
    """What somebody tries, and the rule that alone is in the way."""

    rule: str
    what: str
    viewer: Viewer
    event: Event
    prefix: Prefix = Prefix.RESTRICTED


FRAME = (("agent", BOT.public), ("frame", "telemetry"))

ATTACKS = [
    Attack("an_auth_answer_is_not_an_event", "an AUTH answer is published to be read and replayed",
           as_(OWNER), event(OWNER, Kind.AUTH, ("challenge", "x")), Prefix.INVALID),
    Attack("the_future_has_not_happened", "an event of next year stays on top of every list",
           as_(OWNER), event(OWNER, 1, created_at=NOW + 901), Prefix.INVALID),
    Attack("the_bot_speaks_through_the_signer", "anybody asks the signer in the bot's name",
           Viewer(), event(BOT, Kind.REQUEST, ("p", SIGNER.public))),
    Attack("only_people_vanish", "an agent has the bot's words forgotten",
           as_(SIGNER), event(BOT, 62, ("relay", "ALL_RELAYS"))),
    Attack("reposts_do_not_carry_protected_events", "what was for here only is carried out",
           as_(OWNER), event(OWNER, 6, content='{"kind":1,"tags":[["-"]]}'), Prefix.BLOCKED),
    Attack("requests_go_between_a_part_and_its_client", "two strangers talk to each other",
           Viewer(), event(STRANGER, Kind.REQUEST, ("p", MEMBER.public))),
    Attack("requests_go_between_a_part_and_its_client", "one request for many",
           Viewer(), event(STRANGER, Kind.REQUEST, ("p", SIGNER.public), ("p", ROUTER.public)),
           Prefix.INVALID),
    Attack("the_relay_describes_its_groups_itself", "the owner's client writes the members",
           as_(OWNER), event(OWNER, Kind.GROUP_MEMBERS, ("d", MAIN))),
    Attack("everybody_keeps_to_their_repertoire", "a taken-over bridge speaks in a group",
           as_(BRIDGE), event(BRIDGE, 9, H)),
    Attack("everybody_keeps_to_their_repertoire", "a session speaks itself and not by the signer",
           inside(SESSION), event(SESSION, 9, H)),
    Attack("everybody_keeps_to_their_repertoire", "the terminal says things in a group",
           as_(CHAT), event(CHAT, 1)),
    Attack("everybody_keeps_to_their_repertoire", "a visitor makes a list of their own",
           as_(STRANGER), event(STRANGER, 10_002)),
    Attack("groups_are_written_by_their_members", "a visitor writes into a group",
           as_(STRANGER), event(STRANGER, 9, ("h", OTHER))),
    Attack("guests_speak_in_groups_only", "a visitor publishes outside every group",
           as_(STRANGER), event(STRANGER, 9)),
    Attack("the_router_alone_decides_jobs", "the bot's own key invents a job",
           as_(SIGNER), event(BOT, Kind.JOB_REQUEST, H)),
    Attack("the_router_alone_decides_jobs", "the owner's client ends a job",
           as_(OWNER), event(OWNER, Kind.JOB_RESULT, H)),
    Attack("permission_is_asked_by_the_bot_and_given_by_the_owner", "the bot says yes to itself",
           as_(SIGNER), event(BOT, 46_030)),
    Attack("permission_is_asked_by_the_bot_and_given_by_the_owner", "a question nobody asked",
           as_(OWNER), event(OWNER, 46_010)),
    Attack("changes_are_proposed_in_main_by_the_router", "the bot signs one for a session",
           as_(SIGNER), event(BOT, Kind.PATCH, H)),
    Attack("changes_are_proposed_in_main_by_the_router", "one of another group's agent",
           as_(ROUTER), event(ROUTER, Kind.PATCH, ("h", OTHER))),
    Attack("changes_are_proposed_in_main_by_the_router", "one of no group",
           as_(ROUTER), event(ROUTER, Kind.PATCH)),
    Attack("groups_are_moderated_by_those_in_charge", "the bot makes a friend a member",
           as_(SIGNER), event(BOT, Kind.PUT_USER, H, ("p", STRANGER.public, "member"))),
    Attack("groups_are_moderated_by_those_in_charge", "a member makes a friend a member",
           as_(MEMBER), put_user(MAIN, STRANGER, "member", MEMBER)),
    Attack("groups_are_moderated_by_those_in_charge", "a member makes an invite code",
           as_(MEMBER), event(MEMBER, 9009, H, ("code", "welcome in"))),
    Attack("groups_are_moderated_by_those_in_charge", "the bot takes itself out of its group",
           as_(SIGNER), event(BOT, 9022, H)),
    Attack("admins_raise_nobody_to_their_own_height", "an admin leaves a second one behind",
           as_(OTHER_ADMIN), put_user(OTHER, STRANGER, "admin", OTHER_ADMIN)),
    Attack("admins_raise_nobody_to_their_own_height", "an admin makes a friend the owner",
           as_(OTHER_ADMIN), put_user(OTHER, STRANGER, "owner", OTHER_ADMIN)),
    Attack("admins_raise_nobody_to_their_own_height", "an admin silences a member as a puppet",
           as_(OTHER_ADMIN), put_user(OTHER, OTHER_MEMBER, "puppet", OTHER_ADMIN)),
    Attack("admins_raise_nobody_to_their_own_height", "an admin puts out another",
           as_(OTHER_ADMIN),
           event(OTHER_ADMIN, Kind.REMOVE_USER, ("h", OTHER), ("p", OTHER_ADMIN.public))),
    Attack("admins_raise_nobody_to_their_own_height", "an admin puts out the assistant",
           as_(OTHER_ADMIN),
           event(OTHER_ADMIN, Kind.REMOVE_USER, ("h", OTHER), ("p", BOT.public))),
    Attack("the_main_group_stays_shut", "the main group is published by a slip",
           as_(OWNER), event(OWNER, Kind.EDIT_METADATA, H, ("name", "x"), ("public",))),
    Attack("the_main_group_stays_shut", "the main group is opened to whoever asks",
           as_(ROUTER), event(ROUTER, Kind.EDIT_METADATA, H, ("open",))),
    Attack("the_main_group_is_never_deleted", "the owner's client deletes the way to the assistant",
           as_(OWNER), event(OWNER, Kind.DELETE_GROUP, H)),
    Attack("bridges_add_puppets_and_nobody_else", "a bridge makes its friend a member",
           as_(BRIDGE), put_user(MAIN, STRANGER, "member", BRIDGE)),
    Attack("bridges_add_puppets_and_nobody_else", "a bridge makes itself a second role",
           as_(BRIDGE), event(BRIDGE, Kind.PUT_USER, H, ("p", STRANGER.public, "puppet", "admin"))),
    Attack("bridges_add_puppets_and_nobody_else", "a bridge leaves the role out",
           as_(BRIDGE), event(BRIDGE, Kind.PUT_USER, H, ("p", STRANGER.public))),
    Attack("bridges_add_puppets_and_nobody_else", "a bridge enters a group bound to no bridge",
           as_(BRIDGE), put_user(OTHER, STRANGER, "puppet", BRIDGE)),
    Attack("bridges_add_puppets_and_nobody_else", "a bridge turns a member into its puppet",
           as_(BRIDGE), put_user(MAIN, MEMBER, "puppet", BRIDGE)),
    Attack("bridges_add_puppets_and_nobody_else", "a bridge turns the owner into its puppet",
           as_(BRIDGE), put_user(MAIN, OWNER, "puppet", BRIDGE)),
    Attack("bridges_add_puppets_and_nobody_else", "a bridge turns the router into its puppet",
           as_(BRIDGE), put_user(MAIN, ROUTER, "puppet", BRIDGE)),
    Attack("bridges_add_puppets_and_nobody_else", "a bridge speaks in the owner's own group, where "
           "its network has nobody",
           as_(SIGNAL), put_user(MAIN, SIGNAL_PUPPET, "puppet", SIGNAL)),
    Attack("bridges_add_puppets_and_nobody_else", "a bridge takes over another's puppet",
           as_(SIGNAL), put_user(THIRD, PUPPET, "puppet", SIGNAL)),
    Attack("bridges_remove_puppets_and_nobody_else", "a bridge puts another's puppet out",
           as_(SIGNAL), event(SIGNAL, Kind.REMOVE_USER, ("h", THIRD), ("p", PUPPET.public))),
    Attack("bridges_remove_puppets_and_nobody_else", "a bridge puts a member out",
           as_(BRIDGE), event(BRIDGE, Kind.REMOVE_USER, H, ("p", MEMBER.public))),
    Attack("bridges_remove_puppets_and_nobody_else", "a bridge puts the owner out with a puppet",
           as_(BRIDGE),
           event(BRIDGE, Kind.REMOVE_USER, H, ("p", PUPPET.public), ("p", OWNER.public))),
    Attack("an_event_belongs_to_one_group", "a member writes into another group beside the own",
           as_(MEMBER), event(MEMBER, 9, H, ("h", OTHER)), Prefix.INVALID),
    Attack("an_event_belongs_to_one_group", "an h tag that names nothing",
           as_(MEMBER), event(MEMBER, 9, H, ("h",)), Prefix.INVALID),
    Attack("mail_and_records_belong_to_no_group", "a wrap shows itself to a group",
           as_(BRIDGE), event(STRANGER, Kind.GIFT_WRAP, ("p", BOT.public), H), Prefix.INVALID),
    Attack("mail_and_records_belong_to_no_group", "a grant shows itself to a group",
           as_(ROUTER), event(ROUTER, Kind.APP_DATA, ("d", "grant/x"), H), Prefix.INVALID),
    Attack("groups_are_written_by_their_members", "a member writes into another group",
           as_(MEMBER), event(MEMBER, 9, ("h", OTHER))),
    Attack("groups_are_written_by_their_members", "a puppet writes into another group",
           as_(BRIDGE, PUPPET), event(PUPPET, 9, ("h", OTHER))),
    Attack("groups_are_written_by_their_members", "a puppet speaks on where it is bound no more",
           as_(BRIDGE, OTHER_PUPPET), event(OTHER_PUPPET, 9, ("h", OTHER))),
    Attack("groups_are_written_by_their_members", "another network's bridge has it speak on",
           as_(SIGNAL, PUPPET), event(PUPPET, 9, H)),
    Attack("groups_are_written_by_their_members", "a member writes into a group that is not",
           as_(MEMBER), event(MEMBER, 9, ("h", "nowhere"))),
    Attack("guests_speak_in_groups_only", "a puppet publishes outside every group",
           as_(BRIDGE, PUPPET), event(PUPPET, 9)),
    Attack("sessions_report_on_their_own_job", "a session ends the job of another",
           inside(SESSION),
           event(SESSION, Kind.JOB_PROGRESS, H, ("e", "cd" * 32), ("status", "done"))),
    Attack("sessions_report_on_their_own_job", "a session names its job and another's",
           inside(SESSION), event(SESSION, Kind.JOB_PROGRESS, H, ("e", JOB), ("e", "cd" * 32))),
    Attack("sessions_report_on_their_own_job", "a session fills the disk with a long line",
           inside(SESSION), event(SESSION, Kind.JOB_PROGRESS, H, ("e", JOB), content="x" * 3_000),
           Prefix.INVALID),
    Attack("sessions_report_on_their_own_job", "a session fills the disk with long tags",
           inside(SESSION), event(SESSION, Kind.JOB_PROGRESS, H, ("e", JOB), ("alt", "x" * 3_000)),
           Prefix.INVALID),
    Attack("sessions_report_on_their_own_job", "a session fills the disk with many tags",
           inside(SESSION), event(SESSION, Kind.JOB_PROGRESS, H, ("e", JOB), *[("x",)] * 9),
           Prefix.INVALID),
    Attack("sessions_report_on_their_own_job", "a session fills the disk with messages' names",
           inside(SESSION), event(SESSION, Kind.JOB_PROGRESS, H, ("e", JOB),
                                  *[("q", f"{n:064x}") for n in range(21)]),
           Prefix.INVALID),
    Attack("sessions_report_on_their_own_job", "a session fills the disk with a long name",
           inside(SESSION), event(SESSION, Kind.JOB_PROGRESS, H, ("e", JOB), ("q", "x" * 3_000)),
           Prefix.INVALID),
    Attack("sessions_report_on_their_own_job", "the owner's client claims a job is done",
           as_(OWNER), event(OWNER, Kind.JOB_PROGRESS, H, ("e", JOB), ("status", "done"))),
    Attack("costs_are_told_by_the_bot", "the owner's other program tells what an answer cost",
           as_(OWNER), event(OWNER, Kind.COST, ("p", OWNER.public), ("agent", BOT.public))),
    Attack("work_is_shown_by_the_bot", "the owner's other program shows steps that no agent took",
           as_(OWNER), event(OWNER, Kind.FRAME, ("p", OWNER.public), ("agent", BOT.public))),
    Attack("work_is_shown_by_the_bot", "the owner's client would steer an agent past the signer",
           as_(OWNER), event(OWNER, Kind.FRAME, ("p", BOT.public), ("agent", BOT.public),
                             ("frame", "control"))),
    Attack("work_is_shown_by_the_bot", "a frame shows somebody else what the owner's agent does",
           as_(SIGNER), event(BOT, Kind.FRAME, ("p", MEMBER.public), *FRAME)),
    Attack("work_is_shown_by_the_bot", "a frame is for the owner and somebody else",
           as_(SIGNER), event(BOT, Kind.FRAME, ("p", OWNER.public), ("p", MEMBER.public), *FRAME),
           Prefix.INVALID),
    Attack("work_is_shown_by_the_bot", "a frame is of another agent",
           as_(SIGNER), event(BOT, Kind.FRAME, ("p", OWNER.public), ("agent", ROUTER.public),
                              ("frame", "telemetry")), Prefix.INVALID),
    Attack("permission_is_asked_by_the_bot_and_given_by_the_owner",
           "a run is said to have failed by who was asked",
           as_(OWNER), event(OWNER, 46_006, H, content='{"run":"x"}')),
    Attack("a_house_names_its_groups_by_uuid", "a group in another's folder, on a Mac",
           as_(OWNER), event(OWNER, Kind.CREATE_GROUP, ("h", OTHER.replace("2", "A"))),
           Prefix.INVALID),
    Attack("nothing_is_said_late", "a member puts words into last week's talk",
           as_(MEMBER), event(MEMBER, 9, H, created_at=NOW - 86_401), Prefix.INVALID),
    Attack("inward_mail_is_for_the_bot", "the terminal uses the house as a mailbox",
           as_(CHAT), event(STRANGER, Kind.GIFT_WRAP, ("p", OWNER.public))),
    Attack("inward_mail_is_for_the_bot", "mail for the bot and somebody else",
           as_(CHAT),
           event(STRANGER, Kind.GIFT_WRAP, ("p", BOT.public), ("p", OWNER.public))),
    Attack("inward_mail_is_for_the_bot", "mail for nobody",
           as_(BRIDGE), event(STRANGER, Kind.GIFT_WRAP), Prefix.INVALID),
    Attack("records_are_written_by_their_keeper", "a bridge names the owner",
           as_(BRIDGE), event(BRIDGE, Kind.APP_DATA, ("d", "owner"), ("p", STRANGER.public))),
    Attack("records_are_written_by_their_keeper", "the router names the owner",
           as_(ROUTER), event(ROUTER, Kind.APP_DATA, ("d", "owner"), ("p", STRANGER.public))),
    Attack("records_are_written_by_their_keeper", "a bridge grants itself everything",
           as_(BRIDGE), grant_event(STRANGER, author=BRIDGE)),
    Attack("records_are_written_by_their_keeper", "a bridge binds a group to itself",
           as_(BRIDGE), event(BRIDGE, Kind.APP_DATA, ("d", f"group/{OTHER}"))),
    Attack("records_are_written_by_their_keeper", "a bridge invents the owner's order",
           as_(BRIDGE), event(BRIDGE, Kind.APP_DATA, ("d", f"order/{'ab' * 32}"),
                              content="/allow ghjkmn")),
    Attack("records_are_written_by_their_keeper", "a router invents the owner's order",
           as_(ROUTER), event(ROUTER, Kind.APP_DATA, ("d", f"order/{'ab' * 32}"),
                              content="/allow ghjkmn")),
    Attack("what_signal_brings_is_kept_by_its_own_bridge", "another bridge hides a record",
           as_(BRIDGE), event(BRIDGE, Kind.APP_DATA, ("d", "signal/x"))),
    Attack("records_are_written_by_their_keeper", "a record without a name",
           as_(OWNER), event(OWNER, Kind.APP_DATA), Prefix.INVALID),
]  # fmt: skip
# Two rules are in the way of these: each is tested against the list without the other.
TWICE_GUARDED = [
    # A router that was taken over puts other words to the run of a real question.
    ("permission_is_asked_by_the_bot_and_given_by_the_owner",
     "everybody_keeps_to_their_repertoire",
     as_(ROUTER), event(ROUTER, 46_010, H, ("p", OWNER.public))),
    ("permission_is_asked_by_the_bot_and_given_by_the_owner",
     "everybody_keeps_to_their_repertoire",
     as_(SIGNER), event(SIGNER, 46_001)),
    # The router keeps something out of its owner's sight.
    ("records_are_written_by_their_keeper", "what_signal_brings_is_kept_by_its_own_bridge",
     as_(ROUTER), event(ROUTER, Kind.APP_DATA, ("d", "signal/x"))),
    ("the_bot_speaks_through_the_signer", "authors_write_for_themselves",
     as_(OWNER), event(BOT, 9, H)),
    # A session that shows its owner, or somebody else, steps in its own name; a member; a bridge.
    *[("everybody_keeps_to_their_repertoire", "work_is_shown_by_the_bot", viewer,
       event(author, Kind.FRAME, *people, *FRAME))
      for viewer, author in (
          (inside(SESSION), SESSION), (as_(MEMBER), MEMBER), (as_(BRIDGE), BRIDGE),
      )
      for people in ([("p", OWNER.public)], [("p", OWNER.public), ("p", MEMBER.public)])],
    # The router keeps something out of its owner's sight.
    ("records_are_written_by_their_keeper", "what_signal_brings_is_kept_by_its_own_bridge",
     as_(ROUTER), event(ROUTER, Kind.APP_DATA, ("d", "signal/x"))),
    ("the_bot_speaks_through_the_signer", "authors_write_for_themselves",
     as_(BOT), event(BOT, 9, H)),
    ("authentication_comes_first", "authors_write_for_themselves", Viewer(), event(MEMBER, 9, H)),
    ("authors_write_for_themselves", "everybody_keeps_to_their_repertoire",
     as_(OTHER_MEMBER), event(MEMBER, 9, H)),
    # A puppet without its bridge on the connection; a session's key away from its socket.
    ("authors_write_for_themselves", "everybody_keeps_to_their_repertoire",
     as_(PUPPET), event(PUPPET, 9, H)),
    ("authors_write_for_themselves", "everybody_keeps_to_their_repertoire",
     as_(SESSION), event(SESSION, Kind.JOB_PROGRESS, H, ("e", JOB))),
    ("authors_write_for_themselves", "everybody_keeps_to_their_repertoire",
     inside(SESSION, MEMBER), event(MEMBER, 9, H)),
    ("everybody_keeps_to_their_repertoire", "changes_are_proposed_in_main_by_the_router",
     inside(SESSION), event(SESSION, Kind.PATCH, H)),
    ("authors_write_for_themselves", "everybody_keeps_to_their_repertoire",
     as_(STRANGER), event(STRANGER, Kind.GIFT_WRAP, ("p", BOT.public))),
]  # fmt: skip

HONEST = [
    (as_(SIGNER), event(BOT, Kind.FRAME, ("p", OWNER.public), *FRAME)),
    (as_(OWNER), event(OWNER, 9, H)),
    (as_(OWNER), event(OWNER, 46_030, ("d", "run"))),
    (as_(SIGNER), event(BOT, 46_001, H)),
    (as_(SIGNER), event(BOT, 46_010, H, ("p", OWNER.public))),
    (as_(OWNER), event(OWNER, Kind.CREATE_GROUP, ("h", "33333333-3333-4333-8333-333333333333"))),
    (as_(OWNER), event(OWNER, Kind.JOB_CANCEL, H, ("e", JOB))),
    (as_(ROUTER), event(ROUTER, 9, H)),
    (as_(ROUTER), event(ROUTER, Kind.PATCH, H)),
    (as_(OWNER), event(OWNER, Kind.PATCH)),
    (as_(ROUTER), event(ROUTER, Kind.JOB_REQUEST, H)),
    (as_(ROUTER), event(ROUTER, Kind.JOB_ERROR, H)),
    (as_(ROUTER), event(ROUTER, Kind.PUT_USER, H, ("p", STRANGER.public, "member"))),
    (as_(ROUTER), event(ROUTER, Kind.APP_DATA, ("d", "place/router"))),
    (as_(ROUTER), grant_event(SESSION)),
    (as_(SIGNER), event(BOT, 9, H)),
    (as_(SIGNER), event(BOT, 9, H, ("-",))),
    (as_(SIGNER), event(BOT, 10_050, ("relay", "wss://a.example"))),
    (as_(SIGNER), event(SIGNER, Kind.APP_DATA, ("d", "owner"), ("p", OWNER.public))),
    (as_(BRIDGE), event(STRANGER, Kind.GIFT_WRAP, ("p", BOT.public), created_at=NOW - 172_800)),
    (as_(BRIDGE), event(STRANGER, Kind.GIFT_WRAP, ("p", OWNER.public))),
    (as_(BRIDGE), event(STRANGER, Kind.INBOX_RELAYS, ("relay", "wss://a.example"))),
    (as_(BRIDGE), put_user(MAIN, STRANGER, "puppet", BRIDGE)),
    (as_(BRIDGE), put_user(MAIN, PUPPET, "puppet", BRIDGE)),
    (as_(BRIDGE), event(BRIDGE, Kind.REMOVE_USER, H, ("p", PUPPET.public))),
    (as_(SIGNAL), put_user(THIRD, STRANGER, "puppet", SIGNAL)),
    (as_(SIGNAL), put_user(THIRD, SIGNAL_PUPPET, "puppet", SIGNAL)),
    (as_(SIGNAL), event(SIGNAL, Kind.REMOVE_USER, ("h", THIRD), ("p", SIGNAL_PUPPET.public))),
    (as_(SIGNAL, SIGNAL_PUPPET), event(SIGNAL_PUPPET, 9, ("h", THIRD), ("-",))),
    (as_(SIGNAL), event(SIGNAL, Kind.APP_DATA, ("d", "delivery/x"))),
    (as_(SIGNAL), event(SIGNAL, Kind.APP_DATA, ("d", "bound/signal-outbox"))),
    (as_(BRIDGE, PUPPET), event(PUPPET, 0, content="{}")),
    (as_(BRIDGE, PUPPET), event(PUPPET, 9, H, ("-",), created_at=NOW - 172_800)),
    (as_(BRIDGE), event(BRIDGE, Kind.APP_DATA, ("d", "delivery/x"))),
    (as_(CHAT), event(STRANGER, Kind.GIFT_WRAP, ("p", BOT.public))),
    (as_(CHAT), event(CHAT, Kind.INBOX_RELAYS, ("relay", "ws://127.0.0.1:1"))),
    (as_(OTHER_ADMIN), put_user(OTHER, STRANGER, "member", OTHER_ADMIN)),
    (as_(OTHER_ADMIN), put_user(OTHER, STRANGER, "agent", OTHER_ADMIN)),
    (as_(OTHER_ADMIN), event(OTHER_ADMIN, 9001, ("h", OTHER), ("p", OTHER_MEMBER.public))),
    (as_(OTHER_ADMIN), event(OTHER_ADMIN, 9009, ("h", OTHER), ("code", "welcome in"))),
    (as_(OTHER_ADMIN), event(OTHER_ADMIN, Kind.EDIT_METADATA, ("h", OTHER), ("public",))),
    (as_(STRANGER), event(STRANGER, 9021, H, ("code", "welcome in"))),
    (as_(MEMBER), event(MEMBER, 9021, ("h", OTHER), ("code", "welcome in"))),
    (as_(MEMBER), event(MEMBER, 9022, H)),
    (as_(MEMBER), event(MEMBER, 9, H)),
    (as_(MEMBER), event(MEMBER, 9, H, created_at=NOW - 86_400)),
    (as_(ROUTER), event(MEMBER, 9, H, created_at=NOW - 864_000)),  # said on another relay
    (as_(MEMBER), event(MEMBER, 0, content="{}", created_at=NOW - 864_000)),
    (as_(OWNER), event(OWNER, 9, H, created_at=NOW - 864_000)),
    (as_(MEMBER), event(MEMBER, Kind.BUZZ_CHAT, ("h", MAIN, "wss://relay"))),
    (as_(MEMBER), event(MEMBER, 0, content="{}")),
    (inside(SESSION), event(SESSION, Kind.JOB_PROGRESS, H, ("e", JOB), ("status", "running"))),
    (
        inside(SESSION),
        event(
            SESSION,
            Kind.JOB_PROGRESS,
            H,
            ("e", JOB),
            ("status", "done"),
            *[("q", f"{n:064x}") for n in range(20)],
        ),
    ),
    (inside(SESSION), event(SESSION, Kind.REQUEST, ("p", SIGNER.public))),
    (Viewer(), event(STRANGER, Kind.REQUEST, ("p", SIGNER.public))),
    (Viewer(), event(SIGNER, Kind.REQUEST, ("p", STRANGER.public))),
    (as_(MEMBER), event(MEMBER, 9, H, created_at=NOW + 900)),
]


def without(monkeypatch: pytest.MonkeyPatch, *names: str) -> None:
    """Switch rules off."""
    rest = tuple(rule for rule in PRIVATE_RULES if rule.__name__ not in names)
    assert len(rest) == len(PRIVATE_RULES) - len(names)
    monkeypatch.setattr(access, "PRIVATE_RULES", rest)


@pytest.mark.parametrize("attack", ATTACKS, ids=lambda attack: f"{attack.rule}: {attack.what}")
def test_an_attack_is_refused_by_its_rule_alone(
    attack: Attack, monkeypatch: pytest.MonkeyPatch
) -> None:
    refusal = may_write(WORLD, attack.viewer, attack.event, NOW)
    assert refusal is not None
    assert refusal.prefix is attack.prefix
    without(monkeypatch, attack.rule)
    assert may_write(WORLD, attack.viewer, attack.event, NOW) is None


@pytest.mark.parametrize(("first", "second", "viewer", "attack"), TWICE_GUARDED)
def test_an_attack_that_two_rules_stop(
    first: str, second: str, viewer: Viewer, attack: Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert may_write(WORLD, viewer, attack, NOW) is not None
    with monkeypatch.context() as patch:
        without(patch, second)
        assert may_write(WORLD, viewer, attack, NOW) is not None
    with monkeypatch.context() as patch:
        without(patch, first)
        assert may_write(WORLD, viewer, attack, NOW) is not None


@pytest.mark.parametrize(("viewer", "work"), HONEST)
def test_honest_work_passes(viewer: Viewer, work: Event) -> None:
    assert may_write(WORLD, viewer, work, NOW) is None


@pytest.mark.parametrize(
    "mail",
    [
        event(STRANGER, Kind.GIFT_WRAP, ("p", OWNER.public)),
        event(STRANGER, Kind.GIFT_WRAP, ("p", BOT.public)),
        event(STRANGER, Kind.INBOX_RELAYS, ("relay", "wss://a.example")),
    ],
)
def test_a_bridge_of_another_network_carries_no_mail(mail: Event) -> None:
    """Attack: it was taken over, and sends messages out, or has them sent to another relay."""
    assert may_write(WORLD, as_(BRIDGE), mail, NOW) is None
    assert may_write(WORLD, as_(SIGNAL), mail, NOW) is not None


def test_a_binding_opens_a_group_to_the_networks_it_names_now() -> None:
    entering = put_user(THIRD, STRANGER, "puppet", SIGNAL)
    assert may_write(WORLD, as_(SIGNAL), entering, NOW) is None
    unbound = WORLD.after(binding_event(THIRD, "nostr"), NOW)
    assert may_write(unbound, as_(SIGNAL), entering, NOW) is not None
    garbled = WORLD.after(
        event(
            ROUTER, Kind.APP_DATA, ("d", f"group/{THIRD}"), content='{"counterparts":"signal:x"}'
        ),
        NOW,
    )
    assert may_write(garbled, as_(SIGNAL), entering, NOW) is not None


def test_without_keys_the_word_is_auth_required() -> None:
    refusal = may_write(WORLD, Viewer(), event(MEMBER, 9, H), NOW)
    assert refusal is not None
    assert refusal.prefix is Prefix.AUTH_REQUIRED


def test_a_protected_event_is_its_authors(monkeypatch: pytest.MonkeyPatch) -> None:
    """In the private house others may bring wraps; on a public relay everything."""
    wrap = event(STRANGER, Kind.GIFT_WRAP, ("p", BOT.public), ("-",))
    assert may_write(WORLD, as_(BRIDGE), wrap, NOW) is not None
    without(monkeypatch, "protected_events_come_from_their_author")
    assert may_write(WORLD, as_(BRIDGE), wrap, NOW) is None
    note = event(STRANGER, 1, ("-",))
    for viewer, prefix in ((Viewer(), Prefix.AUTH_REQUIRED), (as_(OWNER), Prefix.RESTRICTED)):
        refusal = may_write(PUBLIC, viewer, note, NOW)
        assert refusal is not None
        assert refusal.prefix is prefix
    assert may_write(PUBLIC, as_(STRANGER), note, NOW) is None


def test_a_public_relay_takes_what_a_public_relay_takes() -> None:
    for kind in (0, 1, 5, 7, 1059, 10_050, 30_023, 24_133, 9):
        assert may_write(PUBLIC, Viewer(), event(STRANGER, kind, ("d", "x")), NOW) is None
    for bad in (event(STRANGER, Kind.AUTH), event(STRANGER, 1, created_at=NOW + 901)):
        refusal = may_write(PUBLIC, Viewer(), bad, NOW)
        assert refusal is not None
        assert refusal.prefix is Prefix.INVALID


def test_a_session_that_ended_reports_nothing() -> None:
    late = event(SESSION, Kind.JOB_PROGRESS, H, ("e", JOB), created_at=NOW + 601)
    assert may_write(WORLD, inside(SESSION), late, NOW + 599) is None
    assert may_write(WORLD, inside(SESSION), late, NOW + 600) is not None


def test_the_longest_line_of_progress_is_taken() -> None:
    template = progress(SESSION.public, MAIN, JOB, "x" * MAX_LINE_CHARS, NOW, done=True)
    assert may_write(WORLD, inside(SESSION), template.sign(SESSION, bytes(32)), NOW) is None


def test_a_revoked_session_reports_nothing() -> None:
    progress = event(SESSION, Kind.JOB_PROGRESS, H, ("e", JOB))
    revoked = WORLD.after(grant_event(SESSION, revoked=True, created_at=NOW + 1), NOW + 1)
    assert may_write(revoked, inside(SESSION), progress, NOW + 1) is not None


def test_every_rule_is_attacked() -> None:
    attacked = {attack.rule for attack in ATTACKS} | {first for first, *_ in TWICE_GUARDED}
    attacked.add("protected_events_come_from_their_author")
    assert attacked == {rule.__name__ for rule in (*PRIVATE_RULES, *PUBLIC_RULES)}
    assert all(rule.__doc__ for rule in PRIVATE_RULES)
    assert {rule.__module__ for rule in PRIVATE_RULES} == {
        group_rules.__name__, write_rules.__name__,
    }  # fmt: skip


def opened(*words: str) -> World:
    """The world with the other group opened by some words."""
    tags = tuple((word,) for word in words)
    return WORLD.after(event(OWNER, Kind.EDIT_METADATA, ("h", OTHER), *tags), NOW)


def test_a_visitor_writes_where_a_group_is_unrestricted_and_shown() -> None:
    message = event(STRANGER, 9, ("h", OTHER))
    assert may_write(opened("unrestricted", "visible"), as_(STRANGER), message, NOW) is None
    for words in (("unrestricted",), ("visible",), ("public", "open", "visible")):
        assert may_write(opened(*words), as_(STRANGER), message, NOW) is not None
    job = event(STRANGER, Kind.JOB_CANCEL, ("h", OTHER), ("e", JOB))
    assert may_write(opened("unrestricted", "visible"), as_(STRANGER), job, NOW) is not None


@pytest.mark.parametrize("who", [ROUTER, CHAT, SIGNER, BRIDGE, PUPPET, SESSION, BOT])
def test_no_part_of_the_house_joins_a_group(who: SecretKey) -> None:
    """A session's key that was carried out, with a code that the agent read, for one."""
    join = event(who, 9021, ("h", OTHER), ("code", "welcome in"))
    for viewer in (as_(who), as_(who, SIGNER), as_(who, BRIDGE), inside(who)):
        assert may_write(opened("open"), viewer, join, NOW) is not None


@pytest.mark.parametrize("kind", [9, Kind.BUZZ_CHAT])
def test_the_router_carries_what_people_said_on_another_relay(kind: int) -> None:
    carried = as_(ROUTER)
    assert may_write(WORLD, carried, event(OWNER, kind, H), NOW) is None
    assert may_write(WORLD, carried, event(MEMBER, kind, H), NOW) is None
    # Attack: who is no member here, let in elsewhere; and who else may not speak this way.
    for author in (STRANGER, OTHER_MEMBER, PUPPET, SESSION, SIGNER, BRIDGE, CHAT, BOT):
        refusal = may_write(WORLD, carried, event(author, kind, H), NOW)
        assert refusal is not None
        assert refusal.prefix is Prefix.RESTRICTED
    # Attack: any other part that was taken over brings what the owner once said.
    for part in (BRIDGE, SIGNER, CHAT, STRANGER, MEMBER):
        assert may_write(WORLD, as_(part), event(OWNER, kind, H), NOW) is not None


def test_who_may_speak_in_an_open_group_is_not_carried_into_it() -> None:
    """Attack: a guest of the other relay's speaks here in the name of whoever they like."""
    world, guests_words = opened("unrestricted", "visible"), event(STRANGER, 9, ("h", OTHER))
    assert may_write(world, as_(STRANGER), guests_words, NOW) is None
    assert may_write(world, as_(ROUTER), guests_words, NOW) is not None


@pytest.mark.parametrize("kind", [0, 1, 5, 7, 9_000, 9_001, 30_078, 43_005, 46_030, 46_031, 62])
def test_what_people_decide_is_never_carried(kind: int) -> None:
    """Attack: a router that was taken over brings an approval from elsewhere."""
    brought = event(OWNER, kind, H, ("d", "x"), ("p", MEMBER.public))
    assert may_write(WORLD, as_(ROUTER), brought, NOW) is not None
