"""Who is answered, by table; each rule has a message that only it leaves alone."""

from __future__ import annotations

from dataclasses import replace

import pytest

from bot.groups import Group
from bot.routing import RULES, Ignored, Work, route
from nips.event import Event, Tag, Template
from nips.key import SecretKey
from nips.kinds import Kind
from nips.own.binding import Binding
from nips.own.roles import Roles

KEYS = {name: SecretKey(bytes([n]) * 32) for n, name in enumerate(
    ("relay", "signer", "router", "bot", "owner", "chat", "bridge", "alice", "bob", "carol"), 1
)}  # fmt: skip
MAIN = "00000000-0000-4000-8000-000000000001"
ROLES = Roles(
    relay=KEYS["relay"].public,
    signer=KEYS["signer"].public,
    router=KEYS["router"].public,
    bot=KEYS["bot"].public,
    main=MAIN,
    owner=KEYS["owner"].public,
    chat=KEYS["chat"].public,
    bridges={"nostr": KEYS["bridge"].public},
)
GROUP = Group(
    MAIN,
    {
        KEYS["owner"].public: ("owner",),
        KEYS["bot"].public: ("member",),
        KEYS["alice"].public: ("puppet",),
        KEYS["bob"].public: ("member",),
        KEYS["carol"].public: ("admin",),
        KEYS["router"].public: ("admin",),
    },
    Binding(MAIN, "main", (f"nostr:{KEYS['owner'].public}",)),
)
H: Tag = ("h", MAIN)


def said(
    by: str, text: str = "hello", kind: int = Kind.CHAT, tags: tuple[Tag, ...] = (H,)
) -> Event:
    return Template(KEYS[by].public, 1, kind, tags, text).sign(KEYS[by], bytes(32))


def triggered(trigger: str | None) -> Group:
    assert GROUP.binding is not None
    return replace(GROUP, binding=replace(GROUP.binding, trigger=trigger))


@pytest.mark.parametrize("by", ["owner", "alice", "carol"])
@pytest.mark.parametrize("kind", [Kind.CHAT, Kind.BUZZ_CHAT])
def test_who_is_answered(by: str, kind: Kind) -> None:
    event = said(by, kind=kind)
    assert route(event, GROUP, ROLES) == Work(MAIN, event.id)


@pytest.mark.parametrize(
    ("event", "group", "reason"),
    [
        (said("owner", kind=Kind.REACTION), GROUP, "not a message"),
        (said("owner"), None, "its group is no registered conversation"),
        (said("owner"), replace(GROUP, binding=None), "its group is no registered conversation"),
        (said("bot"), GROUP, "by a part of the house"),
        (said("router"), GROUP, "by a part of the house"),
        (said("bridge"), GROUP, "by a part of the house"),
        (said("signer"), GROUP, "by a part of the house"),
        (said("chat"), GROUP, "by a part of the house"),
        (said("owner", tags=(H, ("L", "agent"))), GROUP, "by an agent"),
        (said("alice", tags=(H, ("L", "agent"), ("l", "ai", "agent"))), GROUP, "by an agent"),
        (said("bob"), GROUP, "its author may not have work done here"),
        (said("alice"), replace(GROUP, members={}), "its author may not have work done here"),
        (said("alice", "hello"), triggered("@claw"), "the trigger is not in it"),
        (said("alice", "x@claws"), triggered("@claw"), "the trigger is not in it"),
    ],
)
def test_what_is_left_alone(event: Event, group: Group | None, reason: str) -> None:
    assert route(event, group, ROLES) == Ignored(reason)


@pytest.mark.parametrize("text", ["@claw hello", "hello @Claw", "well, @CLAW: hello", "@claw"])
def test_the_trigger_is_a_word_anywhere(text: str) -> None:
    assert isinstance(route(said("alice", text), triggered("@claw"), ROLES), Work)


def test_a_trigger_is_no_expression() -> None:
    """Attack: a pattern whose matching takes for ever, by whoever may set a trigger."""
    evil = triggered("(a+)+$")
    assert isinstance(route(said("alice", "a" * 50_000 + "!"), evil, ROLES), Ignored)
    assert isinstance(route(said("alice", "see (a+)+$ here"), evil, ROLES), Work)


def test_every_rule_has_a_message_that_only_it_leaves_alone() -> None:
    assert [rule.__name__ for rule in RULES] == [
        "it_is_a_message",
        "its_group_is_a_conversation",
        "the_house_does_not_answer_itself",
        "its_author_may_have_work_done",
        "the_trigger_is_said",
    ]
