"""What becomes of a message, by table: each rule has a message that it alone decides about."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot import routing
from bot.groups import Group
from bot.routing import RULES, Around, Context, Ignored, Later, Outcome, Rule, Work, route
from nips.event import Event, Tag, Template
from nips.key import SecretKey
from nips.kinds import Kind
from nips.nip19 import encode_nprofile, encode_npub
from nips.own.binding import Binding, Quiet
from nips.own.roles import Roles

KEYS = {name: SecretKey(bytes([n]) * 32) for n, name in enumerate(
    ("relay", "signer", "router", "bot", "owner", "chat", "bridge", "model", "former",
     "ownerpuppet", "alice", "bob", "carol", "robot", "stranger"), 1
)}  # fmt: skip
P = {name: key.public for name, key in KEYS.items()}
MAIN = "00000000-0000-4000-8000-000000000001"
FAMILY = "00000000-0000-4000-8000-000000000002"
ROLES = Roles(
    relay=P["relay"],
    signer=P["signer"],
    router=P["router"],
    bot=P["bot"],
    main=MAIN,
    owner=P["owner"],
    chat=P["chat"],
    model=P["model"],
    bridges={"nostr": P["bridge"]},
    former=(P["former"],),
)
MEMBERS = {
    P["owner"]: ("owner",),
    P["bot"]: ("member",),
    P["ownerpuppet"]: ("puppet",),
    P["alice"]: ("puppet",),
    P["bob"]: ("member",),
    P["carol"]: ("admin",),
    P["robot"]: ("agent",),
    P["router"]: ("admin",),
}
NIGHT = Quiet("22:00", "07:00", "Europe/Berlin")
BERLIN = ZoneInfo("Europe/Berlin")


def at(hour: int, minute: int = 0) -> int:
    return int(datetime(2026, 11, 22, hour, minute, tzinfo=BERLIN).timestamp())


NOON = at(12)
SEVEN = at(7) + 86_400
AROUND = Around(NOON, "Claw", frozenset({P["owner"], P["ownerpuppet"]}), BERLIN)
H: Tag = ("h", FAMILY)
LABEL: Tag = ("L", "agent")
PROXY: Tag = ("proxy", "0a" * 32, "nostr")


def bound(**fields: Any) -> Group:
    return Group(FAMILY, MEMBERS, Binding(FAMILY, "family", **fields))


OPEN = bound()


def said(by: str, text: str = "hello", *tags: Tag, kind: int = Kind.CHAT, h: str = FAMILY) -> Event:
    return Template(P[by], 1, kind, (("h", h), *tags), text).sign(KEYS[by], bytes(32))


@pytest.mark.parametrize("by", ["owner", "ownerpuppet", "alice", "carol"])
@pytest.mark.parametrize("kind", [Kind.CHAT, Kind.BUZZ_CHAT])
def test_who_is_answered(by: str, kind: Kind) -> None:
    event = said(by, kind=kind)
    assert route(event, OPEN, ROLES, AROUND) == Work(FAMILY, event.id)


@pytest.mark.parametrize(
    ("event", "group", "may"),
    [
        (said("bob"), OPEN, True),
        (said("alice", "hello", PROXY), OPEN, True),
        (said("bob", kind=Kind.REACTION), OPEN, True),
        # Attacks: the muted, other assistants, our own words brought back, a group that is gone.
        (said("bob"), bound(muted=(P["bob"],)), False),
        (said("robot"), OPEN, False),
        (said("bob", "hello", LABEL), OPEN, False),
        (said("bob", "hello", PROXY), OPEN, False),
        (said("bob"), None, False),
    ],
)
def test_who_may_set_off_a_task(event: Event, group: Group | None, may: bool) -> None:
    assert routing.may_set_off(event, group) is may


Row = tuple[str, Rule, Event, Group | None, Around, Outcome]
TABLE: list[Row] = [
    (
        "a reaction",
        routing.it_is_a_message,
        said("owner", "+", kind=Kind.REACTION),
        OPEN,
        AROUND,
        Ignored("not a message"),
    ),
    (
        "archived",
        routing.its_group_is_not_archived,
        said("owner"),
        bound(archived=True),
        AROUND,
        Ignored("its group is archived"),
    ),
    (
        "the owner took the assistant out of the group",
        routing.the_assistant_is_in_its_group,
        said("owner"),
        replace(OPEN, members={P["owner"]: ("owner",)}),
        AROUND,
        Ignored("the assistant is no member of its group"),
    ),
    *[
        (
            f"by the {part}",
            routing.the_house_does_not_answer_itself,
            said(part),
            replace(OPEN, members={**MEMBERS, P[part]: ("admin",)}),
            AROUND,
            Ignored("by a part of the house"),
        )
        for part in ("bot", "router", "bridge", "signer", "relay", "chat", "model", "former")
    ],
    (
        "a message of the bot's, come back as somebody's",
        routing.it_is_no_echo,
        said("alice", "hello", PROXY),
        OPEN,
        replace(AROUND, echoes_us=True),
        Ignored("an echo of a message of the house"),
    ),
    (
        "a second bridge's copy",
        routing.it_is_no_echo,
        said("carol", "hello", PROXY),
        OPEN,
        AROUND,
        Ignored("brought by somebody else's bridge"),
    ),
    (
        "labelled, by a puppet",
        routing.agents_do_not_keep_each_other_busy,
        said("alice", "hello", LABEL, ("l", "ai", "agent")),
        OPEN,
        AROUND,
        Context("by an agent"),
    ),
    (
        "labelled by the mark alone, by the owner's own key",
        routing.agents_do_not_keep_each_other_busy,
        said("owner", "hello", ("l", "ai", "agent")),
        OPEN,
        AROUND,
        Context("by an agent"),
    ),
    (
        "an agent by its role, where members may",
        routing.agents_do_not_keep_each_other_busy,
        said("robot"),
        bound(senders="members"),
        AROUND,
        Context("by an agent"),
    ),
    (
        "a fourth one in a row",
        routing.agents_do_not_keep_each_other_busy,
        said("robot"),
        bound(agents=True),
        replace(AROUND, agents_before=3),
        Context("agents have been among themselves for too long"),
    ),
    (
        "muted",
        routing.its_author_is_not_muted,
        said("alice", "@Claw hello"),
        bound(muted=(P["alice"],)),
        AROUND,
        Context("its author is muted"),
    ),
    (
        "a member where only trusted ones may",
        routing.its_author_may_have_work_done,
        said("bob"),
        OPEN,
        AROUND,
        Context("its author may not have work done here"),
    ),
    (
        "no member where members may",
        routing.its_author_may_have_work_done,
        said("stranger"),
        bound(senders="members"),
        AROUND,
        Context("its author may not have work done here"),
    ),
    (
        "a labelled one that may not, where agents may",
        routing.its_author_may_have_work_done,
        said("bob", "hello", LABEL),
        bound(agents=True),
        AROUND,
        Context("its author may not have work done here"),
    ),
    (
        "paused, for the owner too",
        routing.its_group_is_not_paused,
        said("owner", "@Claw hello"),
        bound(paused=True),
        AROUND,
        Context("its group is paused"),
    ),
    (
        "not called",
        routing.the_assistant_is_called,
        said("alice", "hello claw"),
        bound(trigger=""),
        AROUND,
        Context("the trigger is not in it"),
    ),
    (
        "another word than the name",
        routing.the_assistant_is_called,
        said("alice", "hello @Claw"),
        bound(trigger="!ask"),
        AROUND,
        Context("the trigger is not in it"),
    ),
    (
        "nobody is called @",
        routing.the_assistant_is_called,
        said("alice", "meet me @ 5"),
        bound(trigger=""),
        replace(AROUND, name=""),
        Context("the trigger is not in it"),
    ),
]


@pytest.mark.parametrize(
    ("event", "group", "around", "outcome"), [row[2:] for row in TABLE], ids=[r[0] for r in TABLE]
)
def test_what_starts_nothing(
    event: Event, group: Group | None, around: Around, outcome: Outcome
) -> None:
    assert route(event, group, ROLES, around) == outcome


@pytest.mark.parametrize(("rule", "event", "group", "around"), [row[1:5] for row in TABLE],
                         ids=[row[0] for row in TABLE])  # fmt: skip
def test_without_its_rule_it_would_be_work(
    rule: Rule, event: Event, group: Group | None, around: Around, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each guard switched off once: the message that only it stops becomes work."""
    assert rule in RULES
    monkeypatch.setattr(routing, "RULES", tuple(other for other in RULES if other is not rule))
    assert isinstance(route(event, group, ROLES, around), Work)


def test_every_rule_has_a_message_that_it_alone_stops() -> None:
    registered = routing.its_group_is_a_conversation  # without it there is nothing to judge by
    assert {row[1] for row in TABLE} | {registered} == set(RULES)


@pytest.mark.parametrize("group", [None, replace(OPEN, binding=None)])
def test_what_is_not_registered_is_ignored(group: Group | None) -> None:
    outcome = route(said("owner", "@Claw"), group, ROLES, AROUND)
    assert outcome == Ignored("its group is no registered conversation")


# Who calls

CALLS: list[tuple[str, Event, Around]] = [
    ("its name", said("alice", "well, @claw: hello"), AROUND),
    ("its name, already with the sign", said("alice", "@Claw?"), replace(AROUND, name="@Claw")),
    ("its npub", said("alice", f"nostr:{encode_npub(P['bot'])} hello"), AROUND),
    ("its nprofile", said("alice", encode_nprofile(P["bot"], ["wss://relay.example"])), AROUND),
    ("a tag", said("alice", "hello", ("p", P["bot"])), AROUND),
    ("an answer to it", said("alice", "why?"), replace(AROUND, answers_us=True)),
]


@pytest.mark.parametrize(("event", "around"), [c[1:] for c in CALLS], ids=[c[0] for c in CALLS])
@pytest.mark.parametrize("trigger", ["", "@Claw"])
def test_what_calls_the_assistant(event: Event, around: Around, trigger: str) -> None:
    assert isinstance(route(event, bound(trigger=trigger), ROLES, around), Work)


@pytest.mark.parametrize("tag", [("p", P["alice"]), ("p",), ("q", P["bot"]), ("P", P["bot"])])
def test_what_does_not_call_it(tag: Tag) -> None:
    assert isinstance(route(said("carol", "x", tag), bound(trigger=""), ROLES, AROUND), Context)


def test_members_may_where_the_owner_says_so() -> None:
    assert isinstance(route(said("bob"), bound(senders="members"), ROLES, AROUND), Work)


@pytest.mark.parametrize("before", [0, 1, 2])
def test_agents_may_three_times_where_the_owner_says_so(before: int) -> None:
    around = replace(AROUND, agents_before=before)
    assert isinstance(route(said("robot"), bound(agents=True), ROLES, around), Work)
    labelled = said("alice", "hello", LABEL)
    assert isinstance(route(labelled, bound(agents=True), ROLES, around), Work)


# The owner's answer to a question of the agent's

ANSWER: tuple[Tag, ...] = (("p", P["bot"]), ("owner-answer", "no"), LABEL)


def test_the_owners_answer_wakes_the_agent_that_asked() -> None:
    answer = said("router", "no", *ANSWER)
    group = bound(trigger="", quiet=NIGHT)
    at_night = replace(AROUND, now_s=at(23, 30))
    assert route(answer, group, ROLES, at_night) == Work(FAMILY, answer.id)
    assert isinstance(route(answer, bound(paused=True), ROLES, AROUND), Context)
    assert isinstance(route(answer, bound(archived=True), ROLES, AROUND), Ignored)


@pytest.mark.parametrize("by", ["bot", "bridge", "signer", "relay", "bob", "robot", "stranger"])
def test_nobody_else_answers_for_the_owner(by: str) -> None:
    assert not isinstance(route(said(by, "yes", *ANSWER), OPEN, ROLES, AROUND), Work)


def test_the_routers_other_words_wake_nobody() -> None:
    assert isinstance(route(said("router", "x", *ANSWER[::2]), OPEN, ROLES, AROUND), Ignored)


# Quiet hours


@pytest.mark.parametrize("by", ["alice", "carol"])
def test_others_wait_for_the_end_of_the_quiet_hours(by: str) -> None:
    event = said(by)
    outcome = route(event, bound(quiet=NIGHT), ROLES, replace(AROUND, now_s=at(23, 30)))
    assert outcome == Later(FAMILY, event.id, SEVEN)


@pytest.mark.parametrize("by", ["owner", "ownerpuppet"])
def test_the_owner_does_not_wait(by: str) -> None:
    around = replace(AROUND, now_s=at(23, 30))
    assert isinstance(route(said(by), bound(quiet=NIGHT), ROLES, around), Work)


def test_main_is_never_quiet() -> None:
    main = Group(MAIN, MEMBERS, Binding(MAIN, "main", quiet=NIGHT))
    around = replace(AROUND, now_s=at(23, 30))
    assert isinstance(route(said("carol", h=MAIN), main, ROLES, around), Work)


def test_by_day_nobody_waits() -> None:
    assert isinstance(route(said("alice"), bound(quiet=NIGHT), ROLES, AROUND), Work)


def test_what_starts_nothing_does_not_start_later_either() -> None:
    group = bound(quiet=NIGHT, trigger="")
    outcome = route(said("alice"), group, ROLES, replace(AROUND, now_s=at(23)))
    assert isinstance(outcome, Context)


# Anything at all


def tags_of(draw: Callable[..., Any]) -> tuple[Tag, ...]:
    names = st.sampled_from(["p", "e", "q", "L", "l", "proxy", "x"])
    values = st.sampled_from([*P.values(), "agent", "", "0a" * 32])
    return tuple(
        (name, *rest)
        for name, rest in draw(st.lists(st.tuples(names, st.lists(values, max_size=3)), max_size=4))
    )


@st.composite
def cases(draw: Callable[..., Any]) -> tuple[Event, Group, Around]:
    by = draw(st.sampled_from(sorted(KEYS)))
    text = draw(st.sampled_from(["", "@Claw", "hello @claw!", "x@claw", encode_npub(P["bot"])]))
    event = said(by, text, *tags_of(draw), kind=draw(st.sampled_from([7, 9, 40002])))
    group = bound(
        trigger=draw(st.sampled_from([None, "", "!ask"])),
        archived=draw(st.booleans()),
        paused=draw(st.booleans()),
        senders=draw(st.sampled_from(["trusted", "members"])),
        muted=draw(st.sampled_from([(), (P["alice"],), (P["owner"],)])),
        agents=draw(st.booleans()),
        quiet=draw(st.sampled_from([None, NIGHT])),
    )
    around = replace(
        AROUND,
        now_s=NOON + draw(st.integers(0, 86_400)),
        answers_us=draw(st.booleans()),
        echoes_us=draw(st.booleans()),
        agents_before=draw(st.integers(0, 5)),
    )
    return event, group, around


@given(cases())
def test_whatever_is_work_breaks_none_of_the_promises(case: tuple[Event, Group, Around]) -> None:
    """The promises, said once more without the rules' help."""
    event, group, around = case
    binding = group.binding
    assert binding is not None
    outcome = route(event, group, ROLES, around)
    if not isinstance(outcome, Work | Later):
        return
    parts = set(P.values()) - {
        P[name] for name in ("owner", "ownerpuppet", "alice", "bob", "carol", "robot", "stranger")
    }
    assert event.kind in (9, 40002)
    assert event.pubkey not in parts, "the house answers itself"
    assert event.pubkey in group.members, "a stranger has work done"
    assert event.pubkey not in binding.muted
    assert not any((binding.archived, binding.paused, around.echoes_us))
    if event.pubkey == P["bob"]:
        assert binding.senders == "members"
    if event.pubkey == P["robot"] or any(t[:2] == ("L", "agent") for t in event.tags):
        assert binding.agents
        assert around.agents_before < 3
    if isinstance(outcome, Later):
        assert binding.quiet is not None
        assert event.pubkey not in around.owners
        assert (
            timedelta(0) < timedelta(seconds=outcome.until_s - around.now_s) <= timedelta(hours=9)
        )
        shown = datetime.fromtimestamp(outcome.until_s, UTC).astimezone(BERLIN)
        assert (shown.hour, shown.minute) == (7, 0)
