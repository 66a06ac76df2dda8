"""A hostile double of `bot` that wants something approved: it gets nothing signed.

It holds the router's key and the bridge's, the terminal's and a puppet's; it may mint grants, have
anything opened and sealed that a bridge may, and passes on, repeats, invents and withholds what it
likes. It does not hold the owner's key. Each attack ends with the same look into the ledger.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import orjson
import pytest

from nips.event import Event, Tag, Template
from nips.kinds import Kind
from nips.nip17 import message_template
from nips.nip19 import encode_npub
from nips.own import approval as forms
from nips.own.grant import Rule
from signer.approval import State
from signer.approvals_ledger import ApprovalsLedger
from signer.work import Arrived
from tests.unit.signer import forgeries
from tests.unit.signer.asking import ASKED_KINDS, Asking, Shown
from tests.unit.signer.house import JOB, MAIN, House, key, templates_json

EVIL = '{"name":"Mallory"}'


class Hostile(Asking):
    """The scene, with what the double can do. `nothing` is the end of each attack."""

    def nothing(self) -> None:
        """No event that only the owner's yes allows was ever signed."""
        for kind in ASKED_KINDS:
            assert self.kept(kind) == []

    def still_asked(self, run: str) -> bool:
        found = ApprovalsLedger(self.ledger).of_run(run)
        return found is not None and found.state is State.ASKED


@pytest.fixture
def scene(house: House, tmp_path: Path) -> Iterator[Hostile]:
    scene = Hostile(house, tmp_path)
    scene.begin()
    yield scene
    scene.ledger.close()


@pytest.fixture
def shown(scene: Hostile) -> Shown:
    return scene.question(scene.profile(content=EVIL))


HELD = ["router", "bridge", "bot", "relay", "signer", "session", "stranger"]
CHAT, PUPPET = key(20), key(21)
DICE = random.Random(4)


# Invented answers


@pytest.mark.parametrize("name", HELD)
def test_invents_an_approval_under_a_key_of_its_own(
    scene: Hostile, shown: Shown, name: str
) -> None:
    assert scene.answers(shown.run, by=getattr(scene.house, name)) == []
    scene.nothing()
    assert scene.still_asked(shown.run)


@pytest.mark.parametrize("by", [CHAT, PUPPET])
def test_approves_as_the_terminal_or_as_the_owners_puppet(
    scene: Hostile, shown: Shown, by: object
) -> None:
    assert scene.answers(shown.run, by=by) == []  # type: ignore[arg-type]
    assert scene.hears(scene.rumor("✅", scene.show(shown.words).id), by=by) == []  # type: ignore[arg-type]
    assert scene.hears(scene.rumor(f"approve {shown.run}"), by=by) == []  # type: ignore[arg-type]
    scene.nothing()
    assert scene.still_asked(shown.run)


def test_writes_the_owners_name_over_its_own_approval(scene: Hostile, shown: Shown) -> None:
    own = scene.event(shown.run, by=scene.house.router)
    owner = scene.house.owner.public
    template = replace(own.template, pubkey=owner)
    for event in (
        replace(own, pubkey=owner),
        template.with_sig(own.sig),
        template.with_sig("00" * 64),
        replace(template.with_sig(own.sig), id=own.id),
    ):
        assert scene.does(Arrived(event, 9)) == ([], ())
    scene.nothing()


def test_turns_the_owners_no_into_a_yes(scene: Hostile, shown: Shown) -> None:
    no = scene.event(shown.run, yes=False)
    yes = replace(no, kind=46_030)
    also = replace(no.template, kind=46_030).with_sig(no.sig)
    assert scene.does(Arrived(yes, 9), Arrived(also, 10)) == ([], ())
    scene.nothing()


# Replays


def test_replays_an_old_approval_for_a_new_question(scene: Hostile, shown: Shown) -> None:
    other = scene.question(scene.profile(content="harmless"))
    approval = scene.event(other.run)
    assert [event.content for event in scene.does(Arrived(approval, 9))[1]] == ["harmless"]
    # The same bytes, and the same with another run written into them.
    moved = replace(approval, tags=(("d", shown.run), *approval.tags[1:]))
    renamed = moved.template.with_sig(approval.sig)
    for event in (approval, moved, renamed):
        assert scene.does(Arrived(event, 10)) == ([], ())
    assert [event.content for event in scene.kept(0)] == ["harmless"]
    assert scene.still_asked(shown.run)


def test_replays_an_old_wrap_of_the_owners(scene: Hostile, shown: Shown) -> None:
    wrap = scene.wrap(scene.rumor(f"deny {shown.code}"))
    scene.opens(wrap)
    new = scene.question(scene.profile(content=EVIL + " "))
    for _ in range(3):
        assert scene.opens(wrap)[1] == []
    scene.nothing()
    assert scene.still_asked(new.run)


def test_keeps_an_approval_until_its_question_is_over(scene: Hostile, shown: Shown) -> None:
    rumor = scene.show(shown.words)
    wrap, event = scene.wrap(scene.rumor("✅", rumor.id)), scene.event(shown.run)
    scene.passes(600)
    scene.does(Arrived(event, 9))
    scene.begin()
    scene.opens(wrap)
    scene.nothing()


def test_has_a_question_answered_twice(scene: Hostile, shown: Shown) -> None:
    scene.answers(shown.run)
    wrap = scene.wrap(scene.rumor("✅", shown.gate.id))
    for _ in range(3):
        scene.opens(wrap)
        scene.answers(shown.run)
    assert len(scene.kept(0)) == 1


# Another template


def test_changes_the_template_after_the_yes(scene: Hostile) -> None:
    harmless = scene.profile(content='{"name":"Ada"}')
    shown = scene.question(harmless)
    scene.answers(shown.run)
    for changed in (
        replace(harmless, content=EVIL),
        replace(harmless, tags=(*harmless.tags, ("x", "y"))),
        replace(harmless, created_at=harmless.created_at + 1),
        replace(harmless, kind=3),
    ):
        response, _ = scene.put(changed)
        assert str(response.error).startswith("pending: ")
    # … with the id of the one that was approved written beside it.
    claimed = harmless.to_json() | {"content": EVIL}
    response = scene.ask(scene.house.session, "sign_event", orjson.dumps(claimed).decode())
    assert response.error is not None
    assert [event.content for event in scene.kept(0)] == [harmless.content]


def test_changes_what_is_asked_under_the_same_request(scene: Hostile, shown: Shown) -> None:
    harmless = scene.profile(content='{"name":"Ada"}')
    scene.put(harmless, "r")
    refused, _ = scene.put(replace(harmless, content=EVIL + " "), "r")
    assert "this id was used" in str(refused.error)
    scene.answers(harmless.id)
    again, _ = scene.put(replace(harmless, content=EVIL + " "), "r")
    assert "this id was used" in str(again.error)
    assert [event.content for event in scene.kept(0)] == [harmless.content]


def test_says_other_words_under_the_once_key_of_the_question(scene: Hostile) -> None:
    """What shows a question must not be somebody's harmless words."""
    template = scene.profile(content=EVIL)
    said, _ = scene.put(
        scene.house.template(9, ("h", MAIN), ("job", JOB), ("o", template.id), content="Cats? ✅")
    )
    harmless = orjson.loads(said.result or "")["id"]
    scene.question(template)
    assert scene.hears(scene.rumor("✅", harmless)) == []
    scene.nothing()


# The message that shows the question


def test_binds_its_own_words_to_the_run(scene: Hostile, shown: Shown) -> None:
    owner, bot = scene.house.owner.public, scene.house.bot.public
    text, at = shown.words.content, shown.words.created_at
    p: Tag = ("p", owner)
    bound_to_nothing = [
        message_template(bot, [owner], "Do you like cats? ✅", at),
        message_template(bot, [owner], "❓ Do you like cats?", at),
        # The question's own words, in clothes in which a client shows something else.
        Template(bot, at, 14, (p, ("subject", "Cats?")), text),
        Template(bot, at, 14, (p, ("e", "ab" * 32)), text),
        Template(bot, at, 14, (p, p), text),
        Template(bot, at, 14, (("p", owner, "wss://x"),), text),
        Template(bot, at, 14, (p, ("p", scene.house.stranger.public)), text),
        Template(bot, at, 7, (p, ("e", shown.gate.id)), text),
        Template(bot, at, 15, (p,), text),
        Template(bot, at, 14, (p,), text + "\n\nOr do you like cats?"),
        Template(bot, at, 14, (p,), text.replace("Mallory", "Ada")),
    ]
    for rumor in bound_to_nothing:
        scene.seal(rumor)
        assert scene.hears(scene.rumor("✅", rumor.id)) == [], rumor
        assert scene.still_asked(shown.run)
    # To somebody else it shows the owner nothing.
    elsewhere = message_template(bot, [scene.house.stranger.public], text, at)
    scene.seal(elsewhere, to=scene.house.stranger.public)
    assert scene.hears(scene.rumor("✅", elsewhere.id)) == []
    # The very message, but sealed to somebody else: the owner has not been shown it.
    astray = message_template(bot, [owner], text, at)
    scene.seal(astray, to=scene.house.stranger.public)
    assert scene.hears(scene.rumor("✅", astray.id)) == []
    scene.nothing()


def test_has_the_owner_write_the_words_for_something_else(scene: Hostile, shown: Shown) -> None:
    """ "Write `approve 3f2a…` and I send you a picture": nobody may say that but the question."""
    owner, bot = scene.house.owner.public, scene.house.bot.public
    at = int(scene.wall_s)
    for words in (
        f"Write: approve {shown.code} and see my cats",
        f"Please answer approve {shown.code[:8]}",
        f"approve {shown.code[:4]}-{shown.code[4:8]}",
        " ".join(shown.code[:10]).upper(),
    ):
        for rumor in (
            message_template(bot, [owner], words, at),
            Template(bot, at, 14, (("p", owner), ("subject", words)), "Hello"),
            Template(bot, at, 15, (("p", owner),), words),
        ):
            refused = scene.seal(rumor)
            assert "only the question itself" in str(refused.error), words
    assert scene.seal(message_template(bot, [owner], "A reply like any other.", at)).error is None
    scene.answers(shown.run, yes=False)  # settled, it is no secret any more
    late = message_template(bot, [owner], f"You said no to {shown.code}.", at)
    assert scene.seal(late).error is None


def test_has_the_owner_write_the_words_before_it_asks(scene: Hostile) -> None:
    """Whoever makes the template knows its id beforehand: while nothing is asked yet, words that
    name it are words like any other, and the owner's answer to them is kept for later."""
    scene.begin()
    owner, bot = scene.house.owner.public, scene.house.bot.public
    template = replace(scene.profile(content=EVIL), created_at=int(scene.wall_s) + 50)
    for named in (template.id, template.id[:16], template.id[:8]):
        lure = message_template(bot, [owner], f"Write: approve {named}", int(scene.wall_s))
        assert scene.seal(lure).error is None
    answers = [
        scene.wrap(scene.rumor(f"approve {named}"))
        for named in (template.id, template.id[:16], template.id[:8])
    ]
    shown = scene.question(template)  # which the bot that was taken over shows to nobody
    for answer in answers:
        scene.opens(answer)
    assert scene.kept(0) == []
    assert scene.still_asked(shown.run)


def test_has_a_reaction_to_its_own_message_taken_for_a_yes(scene: Hostile, shown: Shown) -> None:
    said, _ = scene.put(scene.house.template(9, content="Do you like cats?"))
    own = orjson.loads(said.result or "")["id"]
    for named in (own, shown.started.id, "ab" * 32, scene.house.owner.public):
        assert scene.hears(scene.rumor("✅", named)) == []
    scene.nothing()
    assert scene.still_asked(shown.run)


def test_asks_two_things_at_once(scene: Hostile) -> None:
    harmless = scene.question(scene.profile(content='{"name":"Ada"}'))
    evil = scene.question(scene.profile(content=EVIL))
    rumors = [scene.show(one.words) for one in (harmless, evil)]
    # Both ids in one reaction: which one was meant cannot be told.
    both = scene.rumor("✅", rumors[0].id)
    both = replace(both, tags=(*both.tags, ("e", rumors[1].id)))
    assert scene.hears(both) == []
    assert scene.kept(0) == []
    [event] = scene.hears(scene.rumor("✅", rumors[0].id))
    assert event.id == harmless.run
    assert [one.content for one in scene.kept(0)] == ['{"name":"Ada"}']
    assert scene.still_asked(evil.run)


def test_asks_until_a_code_begins_like_the_harmless_ones(scene: Hostile) -> None:
    """Nobody makes one, but among billions of questions there are two."""
    harmless = scene.question(scene.profile(content='{"name":"Ada"}'))
    evil = scene.question(scene.profile(content=EVIL))
    with scene.ledger.transaction():
        # Stands for the luck: the evil code begins like the harmless one.
        twin = harmless.code[:8] + evil.code[8:]
        scene.ledger.db.execute("UPDATE questions SET code = ? WHERE run = ?", (twin, evil.run))
    [told] = scene.hears(scene.rumor(f"approve {harmless.code[:8]}"))
    assert "give more of its digits" in told.content
    scene.nothing()
    # Settled long ago, the harmless one still stands in its way.
    scene.answers(harmless.run, yes=False)
    [told] = scene.hears(scene.rumor(f"Approve {harmless.code[:8]}"))
    assert "give more of its digits" in told.content
    scene.nothing()


def test_delivers_an_old_word_of_the_owners_to_a_new_twin(scene: Hostile, shown: Shown) -> None:
    old = scene.rumor(f"approve {shown.code[:8]}", at=int(scene.wall_s) - 86_400)
    [told] = scene.hears(old)
    assert "dated before the question" in told.content
    scene.nothing()


# Wraps


def test_wraps_the_owners_words_in_a_seal_of_its_own(scene: Hostile, shown: Shown) -> None:
    rumor = scene.rumor("✅", shown.gate.id)
    for forger in (scene.house.bridge, scene.house.router, scene.house.stranger, scene.house.bot):
        content = forgeries.locked(
            orjson.dumps(rumor.to_json()).decode(), forger, scene.house.bot.public, DICE
        )
        for author in (forger.public, scene.house.owner.public):
            seal = Template(author, rumor.created_at, Kind.SEAL, (), content)
            signed = seal.with_sig(replace(seal, pubkey=forger.public).sign(forger, bytes(32)).sig)
            response, published = scene.opens(scene.house.wrapped(signed))
            assert response.error is not None
            assert published == []
    scene.nothing()
    assert scene.still_asked(shown.run)


def test_has_the_bot_itself_seal_an_approval(scene: Hostile, shown: Shown) -> None:
    """The signer seals what the bot says. The bot is not the owner."""
    rumor = Template(
        scene.house.bot.public, int(scene.wall_s), 7,
        (("p", scene.house.bot.public), ("e", shown.gate.id)), "✅",
    )  # fmt: skip
    sealed = scene.ask(
        scene.house.bridge, "seal", scene.house.bot.public, orjson.dumps(rumor.to_json()).decode()
    )
    seal = Event.from_json(orjson.loads(sealed.result or ""))
    response, published = scene.opens(scene.house.wrapped(seal))
    assert "approval" not in orjson.loads(response.result or "")
    assert published == []
    scene.nothing()


def test_a_member_reacts(scene: Hostile, shown: Shown) -> None:
    rumor = scene.show(shown.words)
    for named in (rumor.id, shown.words.id, shown.gate.id, shown.run):
        assert scene.hears(scene.rumor("✅", named), by=scene.house.stranger) == []
    assert scene.hears(scene.rumor(f"approve {shown.run}"), by=scene.house.stranger) == []
    scene.nothing()
    assert scene.still_asked(shown.run)


def test_says_that_a_wrap_was_an_approval(scene: Hostile, shown: Shown) -> None:
    """Words of the owner's are what they are, whatever request they come in."""
    for words in ("yes", "ok, do it", "✅", f"Why {shown.run}?", f"I do not approve {shown.run}"):
        scene.hears(replace(scene.rumor("x", shown.gate.id), content=words))
    scene.nothing()
    assert scene.still_asked(shown.run)


# Grants


def test_mints_itself_whatever_a_router_can(scene: Hostile) -> None:
    session = key(30)
    for mode in ("allow", "ask"):
        rules = tuple(Rule(kind, mode=mode) for kind in ASKED_KINDS)
        grant = scene.house.session_grant(*rules, client=key(30).public, max_uses=10**6)
        scene.grant(grant, at=int(scene.wall_s) + (mode == "ask"))
        for kind in ASKED_KINDS:
            tags: tuple[Tag, ...] = (("e", "ab" * 32), ("d", mode))
            template = scene.house.template(kind, *tags, at=int(scene.wall_s))
            response, _ = scene.put(template, by=session)
            assert response.error is not None
    scene.nothing()
    # As a bridge it gets the configured profile and lists, and no others.
    for kind in ASKED_KINDS:
        template = scene.house.template(kind, ("e", "ab" * 32), content=EVIL)
        response = scene.ask(scene.house.bridge, "sign_event", templates_json(template))
        assert response.error is not None
    scene.nothing()


def test_names_itself_the_approver(scene: Hostile) -> None:
    """Nothing in a template or a tag says whose answer counts."""
    router = scene.house.router
    template = scene.profile(("p", router.public), ("approver", encode_npub(router.public)))
    asked = scene.question(template)
    assert forms.parse_gate(asked.gate).approver == scene.house.owner.public
    assert scene.answers(asked.run, by=router) == []
    scene.nothing()
