"""signer/approval_desk.py with a real ledger: asked, answered, signed once."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import orjson
import pytest

from nips.event import Event, Template
from nips.kinds import Kind
from nips.own import approval as forms
from nips.own.grant import Rule
from nips.refusal import Prefix, Refusal
from signer.ceiling import Caps, Ceiling
from signer.work import Arrived, Asked, Settled
from tests.unit.signer.asking import PROFILE, Asking, code_in
from tests.unit.signer.desks import secret_of, signed
from tests.unit.signer.house import JOB, MAIN, NOW, OTHER, House, templates_json


@pytest.fixture
def scene(house: House, tmp_path: Path) -> Iterator[Asking]:
    scene = Asking(house, tmp_path)
    scene.begin()
    yield scene
    scene.ledger.close()


def audit(scene: Asking) -> list[str]:
    with sqlite3.connect(scene.folder / "ledger.sqlite") as db:
        return [row[0] for row in db.execute("SELECT outcome FROM audit ORDER BY n")]


# Asked


def test_the_asker_is_told_at_once_and_the_owner_is_asked(scene: Asking) -> None:
    template = scene.profile(("o", "aa" * 32))
    shown = scene.question(template)
    for event in (shown.started, shown.gate, shown.words):
        event.verify()
        assert event.pubkey == scene.house.bot.public
        assert event.values("h") == [MAIN]
    assert (shown.started.kind, shown.words.kind) == (46_001, 9)
    gate = forms.parse_gate(shown.gate)
    assert (gate.run, gate.approver) == (template.id, scene.house.owner.public)
    assert gate.note in shown.words.content
    assert f"│ {PROFILE}" in shown.words.content
    assert f"\napprove {shown.code}\n" in shown.words.content
    assert len(shown.code) == 16
    assert shown.code not in gate.note
    assert ("L", "agent") in shown.words.tags  # so that no router takes it for work
    assert scene.kept(0) == []


def test_the_same_request_is_told_the_same_and_asks_nobody_again(scene: Asking) -> None:
    template = scene.profile()
    first, published = scene.put(template, "r")
    assert len(published) == 3
    for request_id in ("r", "another"):
        assert scene.put(template, request_id) == (
            replace(first, id=request_id),
            (),
        )
    scene.passes(100)  # when the template's own time would no longer do
    scene.reopen()
    again, published = scene.put(template, "r")
    assert (again.error, published) == (first.error, ())


def test_another_body_under_the_id_of_a_question_is_refused(scene: Asking) -> None:
    scene.put(scene.profile(), "r")
    changed, published = scene.put(scene.profile(content='{"name":"Eve"}'), "r")
    assert "this id was used" in str(changed.error)
    assert published == ()


def test_a_second_attempt_that_comes_to_the_same_call_asks_nobody_again(scene: Asking) -> None:
    first = scene.profile(("o", "aa" * 32))
    scene.question(first)
    scene.passes(5)
    second, published = scene.put(scene.profile(("o", "aa" * 32)))
    assert str(second.error).startswith(f"pending: {first.id} ")
    assert published == ()
    scene.answers(first.id)
    third, _ = scene.put(replace(scene.profile(("o", "aa" * 32)), created_at=int(scene.wall_s) + 1))
    assert signed(third).id == first.id


def test_a_once_key_tells_nothing_of_another_question(scene: Asking) -> None:
    scene.question(scene.profile(("o", "aa" * 32)))
    other = scene.house.template(3, ("job", JOB), ("o", "aa" * 32), at=int(scene.wall_s))
    refused, _ = scene.put(other)
    assert "once-key is used elsewhere" in str(refused.error)


def test_no_more_questions_are_open_than_the_ceiling_says(scene: Asking) -> None:
    scene.configure(ceiling=replace(scene.house.ceiling, caps=Caps(open_questions=2)))
    first = scene.question(scene.profile(content="1"))
    scene.question(scene.profile(content="2"))
    third, published = scene.put(scene.profile(content="3"))
    assert third.error is not None
    assert third.error.prefix is Prefix.RATE_LIMITED
    assert published == ()
    scene.answers(first.run, yes=False)
    scene.question(scene.profile(content="4"))


def test_no_more_are_asked_a_day_whoever_asks(scene: Asking) -> None:
    scene.configure(ceiling=replace(scene.house.ceiling, caps=Caps(questions_per_day=2)))
    for number in range(2):
        shown = scene.question(scene.profile(content=str(number)))
        scene.answers(shown.run, yes=False)
        scene.reopen()
    refused, _ = scene.put(scene.profile(content="one more"))
    assert "asking the owner has used up its 2" in str(refused.error)


def test_what_cannot_be_shown_whole_costs_nothing(scene: Asking) -> None:
    refused, published = scene.put(scene.profile(content="x" * 30_000))
    assert "cannot be shown to the owner whole" in str(refused.error)
    assert published == ()
    assert scene.ledger.spent("questions/day") is None


def test_without_an_owner_nobody_is_asked(house: House, tmp_path: Path) -> None:
    scene = Asking(replace(house, named=False), tmp_path)
    scene.begin()
    refused, published = scene.put(scene.profile())
    assert "no owner is named" in str(refused.error)
    assert published == ()


def test_what_a_retraction_is_about_is_looked_up(scene: Asking) -> None:
    note, _ = scene.put(scene.house.template(1, ("job", JOB), content="My opinion"))
    shown = scene.question(scene.house.template(5, ("e", signed(note).id), ("job", JOB)))
    assert "kind 1, a public note" in shown.words.content
    assert "My opinion" in shown.words.content


def test_what_was_said_in_a_conversation_is_not_retracted_in_public(scene: Asking) -> None:
    # Attack: make another conversation's messages go, under ids that no owner can place.
    said, _ = scene.put(scene.house.template(9, content="in a group"))
    refused, _ = scene.put(scene.house.template(5, ("e", signed(said).id), ("job", JOB)))
    assert "was said in a conversation" in str(refused.error)


# Answered with yes, in every way


def by_event(scene: Asking, run: str, words: Event) -> list[Event]:
    return scene.answers(run)


def by_reaction(scene: Asking, run: str, words: Event) -> list[Event]:
    return scene.hears(scene.rumor("✅", scene.show(words).id))


def by_reaction_to_the_message_in_main(scene: Asking, run: str, words: Event) -> list[Event]:
    return scene.hears(scene.rumor("+", words.id))


def by_words(scene: Asking, run: str, words: Event) -> list[Event]:
    return scene.hears(scene.rumor(f"Approve {code_in(words.content)[:8].upper()}"))


def by_reply(scene: Asking, run: str, words: Event) -> list[Event]:
    return scene.hears(scene.rumor("approve", scene.show(words).id))


WAYS = [by_event, by_reaction, by_reaction_to_the_message_in_main, by_words, by_reply]


@pytest.mark.parametrize("answer", WAYS)
def test_on_yes_exactly_what_was_asked_is_signed_and_published(
    scene: Asking, answer: Callable[[Asking, str, Event], list[Event]]
) -> None:
    template = scene.profile(("o", "aa" * 32))
    shown = scene.question(template)
    scene.passes(500)
    [event] = answer(scene, shown.run, shown.words)
    event.verify()
    assert event.template == template
    assert event.id == shown.run
    assert scene.kept(0) == [event]
    # It is told when the relay has taken it, not before.
    finished, words = scene.told([event])
    assert (finished.kind, json.loads(finished.content)) == (46_005, {"run": shown.run})
    assert words.kind == Kind.CHAT
    assert words.content == (
        "✅ Published, as you approved: kind 0, the assistant's public profile."
    )
    assert scene.told([event]) == []
    assert audit(scene)[-1] == "opened" or audit(scene)[-1] == "signed kind 0, approved"
    assert "signed kind 0, approved" in audit(scene)
    assert scene.ledger.chain.verify().broken_at is None


@pytest.mark.parametrize("answer", WAYS)
def test_who_asks_again_after_a_yes_gets_the_event(
    scene: Asking, answer: Callable[[Asking, str, Event], list[Event]]
) -> None:
    template = scene.profile()
    scene.put(template, "r")
    shown = [event for event in scene.kept(9) if event.kind == 9]
    [event] = answer(scene, template.id, shown[0])
    for request_id in ("r", "another"):
        response, published = scene.put(template, request_id)
        assert signed(response) == event
        assert published == ()
    assert scene.kept(0) == [event]


def test_what_the_relay_does_not_take_is_told_too(scene: Asking) -> None:
    shown = scene.question()
    [event] = scene.answers(shown.run)
    refusal = Refusal(Prefix.BLOCKED, "a newer one is here")
    _, (failed, words) = scene.does(Settled(event.id, refusal))
    assert failed.kind == 46_006
    assert "blocked: a newer one is here" in words.content
    assert words.content.startswith("❌")


# No


@pytest.mark.parametrize(
    "deny",
    [
        lambda scene, shown: scene.answers(shown.run, yes=False),
        lambda scene, shown: scene.hears(scene.rumor("❌", scene.show(shown.words).id)),
        lambda scene, shown: scene.hears(scene.rumor("-", shown.gate.id)),
        lambda scene, shown: scene.hears(scene.rumor(f"deny {shown.code}")),
    ],
)
def test_a_no_is_told_and_final(scene: Asking, deny: Callable[..., list[Event]]) -> None:
    template = scene.profile()
    shown = scene.question(template)
    failed, words = deny(scene, shown)
    assert failed.kind == 46_006
    assert words.content.startswith("❌ Not published, as you said no")
    assert scene.answers(shown.run) == []
    assert scene.kept(0) == []
    asked_again, published = scene.put(template)
    assert "the owner was asked and said no" in str(asked_again.error)
    assert published == ()


def test_silence_is_a_no_after_ten_minutes(scene: Asking) -> None:
    template = scene.profile()
    shown = scene.question(template)
    assert scene.desk.due_in_s() == 600
    scene.passes(599.5)
    assert scene.does() == ([], ())
    scene.passes(0.5)
    assert scene.desk.due_in_s() == 0
    _, (failed, words) = scene.does()
    assert failed.kind == 46_006
    assert "nobody answered within ten minutes" in words.content
    assert scene.desk.due_in_s() == float("inf")
    # An answer in the very batch that is too late is too late.
    assert scene.answers(shown.run) == []
    assert scene.kept(0) == []
    scene.begin()
    asked_again, _ = scene.put(template)
    assert "did not answer within ten minutes" in str(asked_again.error)


def test_the_last_instant_counts_and_the_next_does_not(scene: Asking) -> None:
    one, two = scene.question(scene.profile(content="1")), None
    scene.passes(599.999)
    assert len(scene.answers(one.run)) == 1
    scene.begin()
    two = scene.question(scene.profile(content="2"))
    scene.passes(600)
    assert [event.kind for event in scene.answers(two.run)] == [46_006, 9]
    assert [event.content for event in scene.kept(0)] == ["1"]


def test_time_passes_while_the_signer_is_down(scene: Asking) -> None:
    shown = scene.question()
    scene.passes(601)
    scene.reopen()
    assert scene.desk.due_in_s() == float("inf")  # before its first batch
    published = scene.answers(shown.run)
    assert [event.kind for event in published] == [46_006, 9]
    assert scene.kept(0) == []


def test_a_clock_that_went_back_signs_nothing_and_gives_no_time(scene: Asking) -> None:
    # Attack: set the clock back, and a question of last week may be answered again.
    shown = scene.question()
    scene.wall_s -= 3_600
    assert scene.answers(shown.run) == []
    assert scene.kept(0) == []
    assert scene.desk.due_in_s() == float("inf")
    scene.wall_s += 3_600
    _, published = scene.does()  # it is right again, and the answer was not lost
    assert [event.kind for event in published] == [0]


def test_a_clock_that_is_believed_again_ends_what_was_open(scene: Asking) -> None:
    scene.passes(86_400)
    scene.begin()
    shown = scene.question()
    with scene.ledger.transaction():
        scene.ledger.set_clock(NOW)
    scene.wall_s = NOW
    scene.reopen()
    assert [event.kind for event in scene.answers(shown.run)] == [46_006, 9]
    assert scene.kept(0) == []


def test_while_the_key_is_locked_an_answer_waits(scene: Asking) -> None:
    shown = scene.question()
    scene.desk.lock()
    assert scene.answers(shown.run) == []
    assert scene.desk.due_in_s() == float("inf")
    scene.desk.unlock(secret_of(scene.house.bot))
    _, published = scene.does()
    assert [event.id for event in published] == [shown.run]


# Limits at the signing


def test_the_caps_hold_at_the_signing_too(scene: Asking) -> None:
    scene.configure(ceiling=replace(scene.house.ceiling, caps=Caps(per_day=1)))
    shown = scene.question()
    failed, words = scene.answers(shown.run)
    assert failed.kind == 46_006
    assert "used up its 1 events for today" in words.content
    assert scene.kept(0) == []


def test_the_ceiling_of_today_counts(scene: Asking) -> None:
    template = scene.profile()
    shown = scene.question(template)
    scene.configure(ceiling=Ceiling(ask_kinds=frozenset()))
    failed, _ = scene.answers(shown.run)
    assert "above the ceiling now" in failed.content
    refused, _ = scene.put(template)
    assert "the owner said yes, but" in str(refused.error)


def test_a_public_reaction_that_is_asked_about_needs_the_ceiling_of_today_too(
    scene: Asking,
) -> None:
    now = int(scene.wall_s)
    rule = Rule(7, mode="ask", forbidden=("h",))
    scene.configure(ceiling=replace(scene.house.ceiling, public_reactions=frozenset({MAIN})))
    scene.grant(scene.house.session_grant(rule, now=now, hard_expires_at=now + 10**6), at=now + 1)
    template = scene.house.template(7, ("job", JOB), ("e", "ab" * 32), content="+", at=now)
    shown = scene.question(template)
    assert "It is, as its tags say, to:\n│ an event\n" in shown.words.content
    scene.configure(ceiling=replace(scene.house.ceiling, public_reactions=frozenset()))
    failed, _ = scene.answers(shown.run)
    assert "above the ceiling now" in failed.content
    assert scene.kept(7) == []


def test_a_once_key_used_meanwhile_ends_the_question(scene: Asking) -> None:
    # Attack: sign something else under it, and the yes would break the whole batch, each time.
    shown = scene.question(scene.profile(("o", "aa" * 32)))
    said, _ = scene.put(scene.house.template(9, ("h", MAIN), ("job", JOB), ("o", "aa" * 32)))
    assert signed(said).kind == 9
    failed, _ = scene.answers(shown.run)
    assert failed.kind == 46_006
    assert scene.kept(0) == []
    assert scene.ask(scene.house.session, "ping").result == "pong"


def test_a_question_outlives_the_session_that_asked(scene: Asking) -> None:
    shown = scene.question()
    scene.grant(scene.house.session_grant(revoked=True), at=NOW + 1)
    [event] = scene.answers(shown.run)
    assert event.id == shown.run
    # Its own key learns nothing any more.
    refused, _ = scene.put(scene.profile())
    assert "revoked" in str(refused.error)


# Kills: a new process knows the folder and nothing else


def test_a_kill_after_asking_loses_no_question(scene: Asking) -> None:
    shown = scene.question()
    scene.reopen()
    assert {event.id for event in scene.desk.unpublished()} == {
        shown.started.id, shown.gate.id, shown.words.id,
    }  # fmt: skip
    rumor = scene.show(shown.words)
    scene.reopen()
    [event] = scene.hears(scene.rumor("✅", rumor.id))
    assert event.id == shown.run


def test_a_kill_after_the_yes_neither_signs_twice_nor_loses_it(scene: Asking) -> None:
    shown = scene.question()
    wrap = scene.wrap(scene.rumor("✅", scene.show(shown.words).id))
    response, [event] = scene.opens(wrap, "u")
    scene.reopen()
    assert event in scene.desk.unpublished()
    # The bridge asks again; so does whoever approves twice; and the relay brings a 46030 too.
    again, published = scene.opens(wrap, "u")
    assert orjson.loads(again.result or "") == orjson.loads(response.result or "")
    assert published == []
    assert scene.answers(shown.run) == []
    assert scene.kept(0) == [event]
    # What it led to is told once, by whichever process hears of it.
    assert [one.kind for one in scene.told([event])] == [46_005, 9]
    scene.reopen()
    assert scene.told([event]) == []


def test_a_kill_between_the_relays_answer_and_the_owners_notice(scene: Asking) -> None:
    shown = scene.question()
    [event] = scene.answers(shown.run)
    scene.desk.lock()  # as if it died before it could sign the notice
    assert scene.told([event]) == []
    scene.secret = secret_of(scene.house.bot)
    scene.reopen()
    _, published = scene.does()
    assert [one.kind for one in published] == [46_005, 9]


def test_what_cannot_be_written_is_not_published(scene: Asking) -> None:
    shown = scene.question()
    event = scene.event(shown.run)
    scene.ledger.db.execute("PRAGMA query_only = ON")
    assert scene.does(Arrived(event, 9)) == ([], ())
    _, asked = scene.house.request(
        scene.house.session, "sign_event", templates_json(scene.profile(content="other"))
    )
    [reply], published = scene.does(Asked(asked))
    assert "cannot be written" in str(reply.response.error)
    assert published == ()
    assert scene.desk.due_in_s() >= 1  # not at once, for ever
    scene.ledger.db.execute("PRAGMA query_only = OFF")
    _, published = scene.does()
    assert [one.id for one in published] == [shown.run]  # the answer was not lost


# What an answer is to the bridge


def test_an_answer_is_marked_and_nothing_else(scene: Asking) -> None:
    shown = scene.question()
    assert scene.hears(scene.rumor("What is this?")) == []
    assert scene.was_answer is False
    assert scene.hears(scene.rumor("✅", "cd" * 32)) == []  # to something else that was said
    assert scene.was_answer is False
    assert scene.hears(scene.rumor("✅", shown.gate.id))
    assert scene.was_answer is True


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("approve 00000000", "No question of mine has a code that begins with 00000000"),
        ("deny ffffffffffff", "No question of mine has a code that begins with ffffffffffff"),
    ],
)
def test_an_answer_to_nothing_is_told(scene: Asking, content: str, words: str) -> None:
    scene.question()
    rumor = scene.rumor(content)
    [told] = scene.hears(rumor)
    assert words in told.content
    assert scene.was_answer is True
    # Attack: the same wrap brought again and again, for a signature each time.
    assert scene.hears(rumor) == []
    assert scene.kept(0) == []


def test_a_question_of_before_there_were_codes_has_none(scene: Asking) -> None:
    """A ledger of before is read; to its questions no words are an answer, a sign is."""
    shown = scene.question()
    scene.ledger.db.execute("ALTER TABLE questions DROP COLUMN code")
    scene.reopen()
    scene.hears(scene.rumor(f"approve {shown.run[:16]}"))
    assert scene.kept(0) == []
    [event] = scene.hears(scene.rumor("✅", scene.show(shown.words).id))
    assert event.id == shown.run


def test_who_answers_twice_is_told_how_it_ended(scene: Asking) -> None:
    shown = scene.question()
    scene.hears(scene.rumor(f"deny {shown.code}"))
    [told] = scene.hears(scene.rumor(f"approve {shown.code}"))
    assert "settled already: Not published, as you said no" in told.content
    assert scene.kept(0) == []


# Other askers


def test_what_is_approved_beforehand_is_signed_at_once(scene: Asking) -> None:
    ceiling = replace(scene.house.ceiling, pre_approved=frozenset({30_023}))
    scene.configure(ceiling=ceiling)
    scene.grant(scene.house.session_grant(Rule(30_023)), at=NOW + 1)
    article = scene.house.template(30_023, ("d", "a"), ("job", JOB))
    response, published = scene.put(article)
    assert signed(response).template == article
    assert published == ()


def test_no_other_conversation_has_the_owner_asked(scene: Asking) -> None:
    other = scene.house.stranger
    grant = scene.house.session_grant(Rule(0, mode="ask"), client=other.public, group=OTHER)
    scene.grant(grant)
    refused, published = scene.put(scene.profile(), by=other)
    assert "above this conversation's ceiling" in str(refused.error)
    assert published == ()


def test_a_login_may_be_made_to_ask(scene: Asking) -> None:
    login = scene.house.login
    grant = scene.house.login_grant(Rule(1, mode="ask"))
    scene.grant(grant, by=scene.house.owner)
    note = Template(scene.house.bot.public, NOW, 1, (("o", "aa" * 32),), "Hello")
    response, (_, _, words) = scene.put(note, by=login)
    assert str(response.error).startswith("pending: ")
    assert "An app that is logged in as the assistant" in words.content
    [event] = scene.answers(note.id)
    again, _ = scene.put(note, by=login)
    assert signed(again) == event
