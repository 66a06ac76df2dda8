"""Logins whose words are published, through the desk: on the relay first, once, and taken back only
with the owner's yes; and every attack on that."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import orjson
import pytest

from nips.event import Tag, Template
from nips.key import SecretKey
from nips.own.grant import Rule
from nips.own.once import in_group
from signer.ceiling import NEVER_UNASKED, Ceiling
from tests.unit.signer.asking import Asking
from tests.unit.signer.desks import refusal, signed
from tests.unit.signer.house import JOB, MAIN, NOW, House, key, templates_json
from tests.unit.signer.test_logins import connect, invite

ONCE: Tag = ("o", "aa" * 32)
NOTE_ID = "cd" * 32
LOGIN_S = 900


@pytest.fixture
def scene(house: House, tmp_path: Path) -> Iterator[Asking]:
    scene = Asking(house, tmp_path)
    scene.begin()
    yield scene
    scene.ledger.close()


def log_in(scene: Asking, number: int, *kinds: int, publishes: bool = True) -> SecretKey:
    """A new client, as each publication has one, with one use."""
    client = key(number)
    secret, _ = invite(scene, *kinds, ttl_s=LOGIN_S, max_uses=1, publishes=publishes)
    assert connect(scene, client, secret).result == "ack"
    return client


def said(scene: Asking, kind: int, *tags: Tag, content: str = "hi") -> Template:
    return scene.house.template(kind, *tags, content=content, at=int(scene.wall_s))


def retraction(scene: Asking, *tags: Tag) -> Template:
    return said(scene, 5, *(tags or (("e", NOTE_ID), ("k", "1"))), content="")


def kept(scene: Asking) -> int:
    with sqlite3.connect(scene.folder / "ledger.sqlite") as db:
        return int(db.execute("SELECT count(*) FROM signed").fetchone()[0])


# On the relay first


def test_what_it_has_signed_is_published_before_it_is_answered(scene: Asking) -> None:
    reply = scene.reply(log_in(scene, 300, 1), "sign_event", templates_json(said(scene, 1, ONCE)))
    assert reply.publish == signed(reply.response)
    scene.reopen()  # killed before the relay has it: it goes out at the next start
    assert scene.desk.unpublished() == [reply.publish]


def test_a_plain_login_gets_no_publishing(scene: Asking) -> None:
    # Attack: whoever may sign for an hour, elsewhere, speaks on the private relay, unseen.
    client = log_in(scene, 300, 1, 5, publishes=False)
    reply = scene.reply(client, "sign_event", templates_json(said(scene, 1, ONCE)))
    assert signed(reply.response).kind == 1
    assert reply.publish is None
    assert kept(scene) == 0
    # Nor is it remembered under its once-key.
    other = scene.reply(log_in(scene, 301, 1), "sign_event", templates_json(said(scene, 1, ONCE)))
    assert other.publish is not None


def test_an_invitation_of_before_publishes_nothing(scene: Asking) -> None:
    secret, made = invite(scene, 1)
    old = {name: value for name, value in made.terms.to_json().items() if name != "publishes"}
    with sqlite3.connect(scene.folder / "ledger.sqlite") as db:
        db.execute("UPDATE invitations SET terms = ?", (orjson.dumps(old).decode(),))
    scene.reopen()
    client = key(300)
    assert connect(scene, client, secret).result == "ack"
    reply = scene.reply(client, "sign_event", templates_json(said(scene, 1)))
    assert (signed(reply.response).kind, reply.publish) == (1, None)


def test_no_long_answer_is_refused_to_who_reads_it(scene: Asking) -> None:
    """It is ours, so it reads the longer form, whatever the length of its request."""
    content = '"' * 16_290
    reply = scene.reply(
        log_in(scene, 300, 1), "sign_event", templates_json(said(scene, 1, content=content))
    )
    assert not reply.classic
    assert signed(reply.response).content == content


# Once


def test_the_same_once_key_is_the_same_event_for_every_such_login(scene: Asking) -> None:
    first = scene.ask(log_in(scene, 300, 1), "sign_event", templates_json(said(scene, 1, ONCE)))
    scene.passes(30)
    scene.reopen()
    again = scene.reply(log_in(scene, 301, 1), "sign_event", templates_json(said(scene, 1, ONCE)))
    assert signed(again.response) == signed(first)
    assert again.publish == signed(first)  # should the relay not have it yet
    assert kept(scene) == 1
    third = scene.ask(
        log_in(scene, 302, 1), "sign_event", templates_json(said(scene, 1, ("o", "bb" * 32)))
    )
    assert signed(third).id != signed(first).id


def test_a_once_key_of_another_kind_tells_nothing(scene: Asking) -> None:
    # Attack: read what another login had signed by naming its once-key.
    scene.ask(log_in(scene, 300, 30_024), "sign_event",
              templates_json(said(scene, 30_024, ("d", "secret-plan"), ONCE)))  # fmt: skip
    words = refusal(
        scene.ask(log_in(scene, 301, 1), "sign_event", templates_json(said(scene, 1, ONCE)))
    )
    assert "once-key is used elsewhere" in words


def test_an_agents_once_keys_are_others(scene: Asking) -> None:
    # Attack: an agent uses up the once-key of what its owner publishes next, or takes that for its.
    note = said(scene, 1, ("job", JOB), ONCE)
    agents = scene.ask(scene.house.session, "sign_event", templates_json(note))
    mine = scene.ask(log_in(scene, 300, 1), "sign_event", templates_json(said(scene, 1, ONCE)))
    assert signed(mine).id != signed(agents).id
    assert signed(mine).tags == (ONCE,)
    # Nor is the agent's had by the name under which the signer keeps it.
    named = said(scene, 1, ("o", in_group(ONCE[1], MAIN)))
    other = scene.ask(log_in(scene, 301, 1), "sign_event", templates_json(named))
    assert signed(other).id not in (signed(mine).id, signed(agents).id)


def test_two_once_keys_are_refused(scene: Asking) -> None:
    template = said(scene, 1, ONCE, ("o", "bb" * 32))
    words = refusal(scene.ask(log_in(scene, 300, 1), "sign_event", templates_json(template)))
    assert "one once-key" in words


# Narrow


def test_the_invitations_secret_is_good_for_one(scene: Asking) -> None:
    secret, _ = invite(scene, 1, ttl_s=120, max_uses=1, publishes=True)
    assert connect(scene, key(300), secret).result == "ack"
    assert "good for one login" in refusal(connect(scene, key(301), secret))
    assert signed(scene.ask(key(300), "sign_event", templates_json(said(scene, 1)))).kind == 1
    other = templates_json(said(scene, 1, content="another"))
    assert "used up" in refusal(scene.ask(key(300), "sign_event", other))


@pytest.mark.parametrize("kind", [0, 1, 5, 7, 30_023, 30_078])
def test_another_kind_than_it_was_invited_to_is_refused(scene: Asking, kind: int) -> None:
    invited = 1_111
    words = refusal(
        scene.ask(log_in(scene, 300, invited), "sign_event", templates_json(said(scene, kind)))
    )
    assert f"kind {kind} is not allowed" in words
    assert kept(scene) == 0


def test_no_invitation_gives_what_a_login_never_gets(scene: Asking) -> None:
    # Attack: an invitation that was put into the ledger past the command that makes them.
    scene.configure(ceiling=Ceiling(bunker_kinds=frozenset(range(65_536))))
    for number, kind in enumerate(sorted(NEVER_UNASKED - {5}), 300):
        template = said(scene, kind, ("d", "x"))
        words = refusal(
            scene.ask(log_in(scene, number, kind), "sign_event", templates_json(template))
        )
        assert "never signed for a login" in words


@pytest.mark.parametrize("tags", [(("h", MAIN),), (("h",),), (("t", "x"), ("h", MAIN))])
def test_it_speaks_in_no_group(scene: Asking, tags: tuple[Tag, ...]) -> None:
    # Attack: the bot's word in a conversation, now that it would be published there too.
    for number, kind in ((300, 1), (301, 7), (302, 5)):
        template = said(scene, kind, ("e", NOTE_ID), *tags)
        words = refusal(
            scene.ask(log_in(scene, number, kind), "sign_event", templates_json(template))
        )
        assert "h tag" in words or "forbids the tag h" in words
    assert kept(scene) == 0


# Taken back


def test_a_retraction_waits_for_the_owners_yes(scene: Asking) -> None:
    client, template = log_in(scene, 300, 5), retraction(scene)
    response, shown = scene.put(template, "r", by=client)
    assert str(response.error).startswith(f"pending: {template.id} ")
    assert {event.kind for event in shown} == {46_001, 46_010, 9}
    assert scene.kept(5) == []
    scene.passes(300)
    again, shown = scene.put(template, "r", by=client)
    assert (again.error, shown) == (response.error, ())
    published = scene.answers(template.id)
    assert [event.template for event in published if event.kind == 5] == [template]
    asked_last, _ = scene.put(template, "r", by=client)
    assert signed(asked_last).template == template


@pytest.mark.parametrize("ends", ["no", "silence"])
def test_without_a_yes_it_is_never_signed(scene: Asking, ends: str) -> None:
    client, template = log_in(scene, 300, 5), retraction(scene)
    scene.put(template, "r", by=client)
    if ends == "no":
        scene.answers(template.id, yes=False)
    else:
        scene.passes(601)
    response, _ = scene.put(template, "r", by=client)
    assert "the owner was asked and" in str(response.error)
    assert scene.answers(template.id) == []  # too late
    assert scene.kept(5) == []


def test_who_is_told_no_may_ask_another_time_but_not_twice_at_once(scene: Asking) -> None:
    first = retraction(scene)
    first = replace(first, tags=(*first.tags, ONCE))
    scene.put(first, by=log_in(scene, 300, 5))
    scene.passes(5)  # a command that was killed, and given again
    second = replace(first, created_at=int(scene.wall_s))
    response, shown = scene.put(second, by=log_in(scene, 301, 5))
    assert (str(response.error)[:74], shown) == (f"pending: {first.id} ", ())
    scene.answers(first.id, yes=False)
    scene.passes(5)
    third = replace(first, created_at=int(scene.wall_s))
    response, shown = scene.put(third, by=log_in(scene, 302, 5))
    assert str(response.error).startswith(f"pending: {third.id} ")
    assert len(shown) == 3
    # While that is open nobody asks a third time, and its yes is for it alone.
    scene.passes(5)
    response, shown = scene.put(
        replace(first, created_at=int(scene.wall_s)), by=log_in(scene, 303, 5)
    )
    assert (str(response.error)[:74], shown) == (f"pending: {third.id} ", ())
    scene.answers(third.id)
    assert [event.id for event in scene.kept(5)] == [third.id]


def test_whoever_joins_a_question_gets_its_end(scene: Asking) -> None:
    """A command that was killed, and given again: the second waits for as long as the first."""
    first = retraction(scene)
    first = replace(first, tags=(*first.tags, ONCE))
    scene.put(first, by=log_in(scene, 300, 5))
    scene.passes(5)
    client, second = log_in(scene, 301, 5), replace(first, created_at=int(scene.wall_s))
    scene.put(second, "r", by=client)
    scene.passes(300)  # its template is too old by now
    response, shown = scene.put(second, "r", by=client)
    assert (str(response.error)[:74], shown) == (f"pending: {first.id} ", ())
    scene.answers(first.id)
    response, _ = scene.put(second, "r", by=client)
    assert signed(response).id == first.id


def test_a_no_is_one_for_whoever_waits_for_it(scene: Asking) -> None:
    # Attack: the one who joined asks anew at once, with what it had sent before.
    first = retraction(scene)
    first = replace(first, tags=(*first.tags, ONCE))
    scene.put(first, by=log_in(scene, 300, 5))
    scene.passes(5)
    client, second = log_in(scene, 301, 5), replace(first, created_at=int(scene.wall_s))
    scene.put(second, "r", by=client)
    scene.answers(first.id, yes=False)
    response, shown = scene.put(second, "r", by=client)
    assert "said no" in str(response.error)
    assert shown == ()


def test_an_agent_that_was_told_no_stays_so(scene: Asking) -> None:
    # Attack: an agent wears its owner down, now that a person may ask again.
    tags = (("e", NOTE_ID), ("job", JOB), ONCE)
    first = scene.question(said(scene, 5, *tags, content=""))
    scene.answers(first.run, yes=False)
    scene.passes(5)
    another = key(310)  # of a later attempt
    rule = Rule(5, mode="ask", forbidden=("h",))
    scene.grant(scene.house.session_grant(rule, client=another.public, now=int(scene.wall_s)))
    response, shown = scene.put(said(scene, 5, *tags, content=""), by=another)
    assert "said no" in str(response.error)
    assert shown == ()


@pytest.mark.parametrize(
    ("tags", "words"),
    [
        ((("a", f"30023:{key(8).public}:slug"),), "the bot retracts its own events only"),
        ((("a", f"30023:{key(4).public}:mine"), ("a", f"30023:{key(8).public}:x")), "its own"),
        ((("a", "30023"),), "its own"),
        ((("e", "short"),), "an event's id in hex"),
        ((("k", "1"),), "names what it retracts"),
        ((("e",),), "names what it retracts"),
    ],
)
def test_it_takes_back_the_bots_own_alone(scene: Asking, tags: tuple[Tag, ...], words: str) -> None:
    response, shown = scene.put(retraction(scene, *tags), by=log_in(scene, 300, 5))
    assert words in str(response.error)
    assert shown == ()


def test_what_was_said_in_a_conversation_is_not_taken_back_in_public(scene: Asking) -> None:
    message = signed(scene.sign(said(scene, 9)).response)
    response, shown = scene.put(retraction(scene, ("e", message.id)), by=log_in(scene, 300, 5))
    assert "not retracted in public" in str(response.error)
    assert shown == ()


def test_the_ceiling_may_forbid_even_asking(scene: Asking) -> None:
    scene.configure(ceiling=replace(scene.house.ceiling, ask_kinds=frozenset({0})))
    response, _ = scene.put(retraction(scene), by=log_in(scene, 300, 5))
    assert "never signed for a login" in str(response.error)


def test_a_plain_login_has_nobody_asked(scene: Asking) -> None:
    # Attack: an app has its owner asked for this and that until they say yes.
    client = log_in(scene, 300, 5, publishes=False)
    response, shown = scene.put(retraction(scene), by=client)
    assert "never signed for a login" in str(response.error)
    assert shown == ()


def test_before_the_owner_is_known_nothing_is_published(scene: Asking) -> None:
    scene.configure(named=False)
    words = refusal(scene.ask(log_in(scene, 300, 1), "sign_event", templates_json(said(scene, 1))))
    assert "no owner is named" in words
    assert scene.wall_s == NOW
