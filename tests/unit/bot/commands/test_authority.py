"""Whose command it is: by table, and by those who try to give the owner's."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import pytest

from bot.commands import authority
from bot.commands.authority import NO_ORDER, TOO_OLD, Authority, standing
from bot.groups import Group
from nips.event import Event, Tag, Template
from nips.key import SecretKey
from nips.kinds import Kind
from nips.own import order as orders
from nips.own.binding import Binding
from nips.own.order import MAX_AGE_S, Order
from nips.own.roles import Roles


def key(number: int) -> SecretKey:
    return SecretKey(bytes([number]) * 32)


RELAY, SIGNER, ROUTER, BOT, BRIDGE, CHAT, CONSOLE = (key(n) for n in range(1, 8))
OWNER, PUPPET, CHAT_PUPPET, ADMIN, MEMBER, STRANGER, FORMER = (key(n) for n in range(11, 18))
MAIN, FAMILY = "11111111-1111-4111-8111-111111111111", "22222222-2222-4222-8222-222222222222"
RUMOR, OTHER_RUMOR = "a" * 64, "b" * 64
TEXT = "/allow kmpqrs Ann"
NOW = 1_800_000_000
ROLES = Roles(
    relay=RELAY.public, signer=SIGNER.public, router=ROUTER.public, bot=BOT.public, main=MAIN,
    owner=OWNER.public, chat=CHAT.public, console=CONSOLE.public, bridges={"nostr": BRIDGE.public},
)  # fmt: skip
MEMBERS: Mapping[str, tuple[str, ...]] = {
    OWNER.public: ("owner",),
    BOT.public: ("member",),
    PUPPET.public: ("puppet",),
    CHAT_PUPPET.public: ("puppet",),
    ADMIN.public: ("admin",),
    MEMBER.public: ("member",),
}
GROUP = Group(MAIN, MEMBERS, Binding(MAIN, "main"))
OTHER = Group(FAMILY, MEMBERS, Binding(FAMILY, "family"))


def said(
    by: SecretKey, text: str = TEXT, *tags: Tag, group: str = MAIN, at: int = NOW, kind: int = 9
) -> Event:
    return Template(by.public, at, kind, (("h", group), *tags), text).sign(by, bytes(32))


def repeated(by: SecretKey = PUPPET, text: str = TEXT, rumor: str = RUMOR) -> Event:
    return said(by, text, ("proxy", rumor, "nostr"))


def order(
    text: str = TEXT,
    rumor: str = RUMOR,
    owner: SecretKey = OWNER,
    signer: SecretKey = SIGNER,
    at: int = NOW,
) -> Event:
    made = orders.template(Order(rumor, owner.public, text, at), signer.public)
    return made.sign(signer, bytes(32))


def judge(
    event: Event, given: Event | None = None, group: Group | None = GROUP
) -> authority.Standing:
    return standing(event, group, ROLES, OWNER.public, given, NOW)


def test_the_owners_own_key_in_main_is_the_owner() -> None:
    for kind in (Kind.CHAT, Kind.BUZZ_CHAT):
        event = said(OWNER, kind=kind)
        found = judge(event)
        assert (found.whose, found.once) == (Authority.OWNER, event.id)


def test_a_puppet_with_the_order_of_its_message_is_the_owner() -> None:
    found = judge(repeated(), order())
    assert (found.whose, found.once) == (Authority.OWNER, RUMOR)


def test_one_message_of_the_owners_is_one_command_in_whoevers_name_it_is_repeated() -> None:
    # Attack: the bridge repeats the owner's "/budget Ann runs +10" in the terminal's name too.
    assert judge(repeated(), order()).once == judge(repeated(CHAT_PUPPET), order()).once


ATTACKS = [
    ("without an order", repeated(), None, NO_ORDER),
    ("with an order of another text", repeated(), order("/allow zzzzzz"), NO_ORDER),
    ("with more words than the order", repeated(text=TEXT + " too"), order(), NO_ORDER),
    ("with an order of another message", repeated(), order(rumor=OTHER_RUMOR), NO_ORDER),
    ("with an order that the bridge has made", repeated(), order(signer=BRIDGE), NO_ORDER),
    ("with an order that the bot has made", repeated(), order(signer=BOT), NO_ORDER),
    ("with an order of an owner of before", repeated(), order(owner=FORMER), NO_ORDER),
    ("with an order whose signature is another's",
     repeated(), replace(order(), sig=order(TEXT + "x").sig), NO_ORDER),
    ("with an order whose text was changed",
     repeated(text="/pause"), replace(order(), content="/pause"), NO_ORDER),
    ("with an old order", repeated(), order(at=NOW - MAX_AGE_S - 1), TOO_OLD),
    ("with an order from the future", repeated(), order(at=NOW + MAX_AGE_S), TOO_OLD),
    ("that names no message", said(PUPPET), order(), NO_ORDER),
    ("that names two messages",
     said(PUPPET, TEXT, ("proxy", RUMOR, "nostr"), ("proxy", OTHER_RUMOR, "nostr")),
     order(), NO_ORDER),
    ("that names another network's message",
     said(PUPPET, TEXT, ("proxy", RUMOR, "signal")), order(), NO_ORDER),
    ("by the terminal", repeated(CHAT_PUPPET), None, NO_ORDER),
]  # fmt: skip


@pytest.mark.parametrize(
    ("event", "given", "why"), [row[1:] for row in ATTACKS], ids=[row[0] for row in ATTACKS]
)
def test_a_puppet_only_talks(event: Event, given: Event | None, why: str) -> None:
    found = judge(event, given)
    assert found.whose is Authority.TALKER
    assert found.why == why
    # What is not believed does not take the place of what will be.
    assert found.once != RUMOR or "proxy" not in {tag[0] for tag in event.tags}


def test_the_owners_old_words_that_somebody_kept_back_are_not_believed() -> None:
    found = judge(said(OWNER, at=NOW - MAX_AGE_S - 1))
    assert (found.whose, found.why) == (Authority.TALKER, TOO_OLD)
    assert judge(said(OWNER, at=NOW - MAX_AGE_S)).whose is Authority.OWNER


NOBODIES = [
    ("an admin who is not the owner", said(ADMIN), GROUP),
    ("a member", said(MEMBER), GROUP),
    ("a stranger", said(STRANGER), GROUP),
    ("the owner in another group", said(OWNER, group=FAMILY), OTHER),
    ("the owner in two groups", said(OWNER, TEXT, ("h", FAMILY)), GROUP),
    ("a puppet with an order in another group",
     said(PUPPET, TEXT, ("proxy", RUMOR, "nostr"), group=FAMILY), OTHER),
    ("the owner, in a main that is not known", said(OWNER), None),
]  # fmt: skip


@pytest.mark.parametrize(
    ("event", "group"), [row[1:] for row in NOBODIES], ids=[row[0] for row in NOBODIES]
)
def test_nobody_else_commands(event: Event, group: Group | None) -> None:
    assert judge(event, order(), group).whose is Authority.NOBODY


def test_no_part_of_the_house_and_no_agent_is_a_person() -> None:
    for part in (RELAY, SIGNER, ROUTER, BOT, BRIDGE, CHAT, CONSOLE):
        assert not authority.is_said_by_a_person(said(part), GROUP, ROLES)
    labelled = said(OWNER, TEXT, ("L", "agent"), ("l", "ai", "agent"))
    assert not authority.is_said_by_a_person(labelled, GROUP, ROLES)
    assert not authority.is_said_by_a_person(said(OWNER, kind=1), GROUP, ROLES)
    assert authority.is_said_by_a_person(said(OWNER), GROUP, ROLES)
    assert authority.is_said_by_a_person(said(PUPPET), GROUP, ROLES)


def test_who_may_stop_the_work_of_a_group() -> None:
    for by in (OWNER, ADMIN, PUPPET):
        assert authority.may_stop(said(by, "/stop", group=FAMILY), OTHER)
    for by in (MEMBER, STRANGER):
        assert not authority.may_stop(said(by, "/stop", group=FAMILY), OTHER)
    everybody = replace(OTHER, binding=Binding(FAMILY, "family", senders="members"))
    assert authority.may_stop(said(MEMBER, "/stop", group=FAMILY), everybody)
    assert not authority.may_stop(said(STRANGER, "/stop", group=FAMILY), everybody)
    muted = replace(OTHER, binding=Binding(FAMILY, "family", muted=(PUPPET.public,)))
    assert not authority.may_stop(said(PUPPET, "/stop", group=FAMILY), muted)
    assert not authority.may_stop(said(OWNER, "/stop"), replace(OTHER, binding=None))


@pytest.mark.parametrize(
    ("by", "group", "whose"),
    [
        (OWNER, OTHER, Authority.OWNER),
        (ADMIN, OTHER, Authority.OWNER),
        (MEMBER, OTHER, Authority.NOBODY),
        (STRANGER, OTHER, Authority.NOBODY),
        (PUPPET, OTHER, Authority.NOBODY),
        (BOT, OTHER, Authority.NOBODY),
        (ADMIN, replace(OTHER, binding=replace(OTHER.binding or Binding(FAMILY, "family"),
                                               archived=True)), Authority.NOBODY),
        (ADMIN, replace(OTHER, binding=None), Authority.NOBODY),
        # Attack: a puppet that was made an admin: the bridge writes in its name.
        (ADMIN, replace(OTHER, members={ADMIN.public: ("admin", "puppet")}), Authority.NOBODY),
    ],
)  # fmt: skip
def test_whose_word_counts_about_a_groups_tasks(
    by: SecretKey, group: Group, whose: Authority
) -> None:
    event = said(by, "/task new @daily Hi", group=FAMILY)
    found = authority.standing_in(event, group, OWNER.public, NOW)
    assert (found.whose, found.once, found.why) == (whose, event.id, "")
    old = said(by, "/task new @daily Hi", group=FAMILY, at=NOW - MAX_AGE_S - 1)
    judged = authority.standing_in(old, group, OWNER.public, NOW)
    assert judged.whose is not Authority.OWNER
    assert judged.why == (TOO_OLD if whose is Authority.OWNER else "")
    elsewhere = said(by, "/task new @daily Hi", ("h", MAIN), group=FAMILY)
    assert authority.standing_in(elsewhere, group, OWNER.public, NOW).whose is Authority.NOBODY
