"""signer/approval.py: the life of a question, and what counts as the owner's answer."""

from __future__ import annotations

from dataclasses import replace
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nips.event import Tag, Template
from nips.own import approval as forms
from nips.refusal import Malformed, Prefix
from signer.approval import (
    EARLIER_S,
    TABLE,
    Move,
    Question,
    Said,
    State,
    names_one_of,
    outcome,
    read_event,
    read_rumor,
    told_to_asker,
    why_not,
)
from tests.unit.signer.house import MAIN, NOW, House

HOUSE = House()
OWNER = HOUSE.owner.public
RUN, CODE, SHOWN = "9b" * 32, "3f2a" * 4, "cd" * 32

ASKED = Question(
    run=RUN,
    code=CODE,
    template=HOUSE.template(0),
    client=HOUSE.session.public,
    request="r",
    body="b",
    group=MAIN,
    once=None,
    text="May I?",
    asked_s=NOW,
    deadline_s=NOW + 600,
)


def test_the_table_is_the_drawing() -> None:
    assert {
        (State.ASKED, Move.YES): State.APPROVED,
        (State.ASKED, Move.NO): State.DENIED,
        (State.ASKED, Move.TIME): State.EXPIRED,
        (State.ASKED, Move.BAR): State.BARRED,
    } == TABLE
    # What has left `asked` never comes back.
    assert not any(state is not State.ASKED for state, _ in TABLE)
    assert State.ASKED not in TABLE.values()


# 46030 and 46031


@pytest.mark.parametrize("yes", [True, False])
def test_the_owners_own_event_is_an_answer(yes: bool) -> None:
    event = forms.answer(OWNER, RUN, NOW, yes=yes).sign(HOUSE.owner, bytes(32))
    assert read_event(event, OWNER) == Said(event.id, yes, RUN, NOW)


@pytest.mark.parametrize("name", ["bot", "router", "bridge", "session", "stranger", "relay"])
def test_nobody_elses_event_is_one(name: str) -> None:
    key = getattr(HOUSE, name)
    event = forms.answer(key.public, RUN, NOW, yes=True).sign(key, bytes(32))
    with pytest.raises(Malformed, match="owner alone"):
        read_event(event, OWNER)
    # Attack: the same in the owner's name; a relay that was taken over passes it on.
    forged = replace(event, pubkey=OWNER)
    with pytest.raises(Malformed):
        read_event(forged, OWNER)
    # … with an id that is right, and a signature that is not the owner's.
    template = forms.answer(OWNER, RUN, NOW, yes=True)
    with pytest.raises(Malformed):
        read_event(template.with_sig(template.sign(key, bytes(32)).sig), OWNER)


def test_an_answer_that_was_changed_is_none() -> None:
    event = forms.answer(OWNER, "ab" * 32, NOW, yes=True).sign(HOUSE.owner, bytes(32))
    with pytest.raises(Malformed):
        read_event(replace(event, tags=(("d", RUN), event.tags[1])), OWNER)
    no = forms.answer(OWNER, RUN, NOW, yes=False).sign(HOUSE.owner, bytes(32))
    with pytest.raises(Malformed):
        read_event(replace(no, kind=46_030), OWNER)


# Inside a wrap


def rumor(content: str, *tags: Tag, kind: int = 14, author: str = OWNER) -> Template:
    return Template(author, NOW, kind, (("p", HOUSE.bot.public), *tags), content)


E: Tag = ("e", SHOWN)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (rumor("✅", E, kind=7), (True, SHOWN)),
        (rumor("✅\ufe0f", E, kind=7), (True, SHOWN)),
        (rumor(" + ", E, kind=7), (True, SHOWN)),
        (rumor("❌", E, kind=7), (False, SHOWN)),
        (rumor("-", ("e", SHOWN, "wss://r.example"), kind=7), (False, SHOWN)),
        (rumor("✅", E, E, kind=7), (True, SHOWN)),
        (rumor("❤️", E, kind=7), None),
        (rumor("👍", E, kind=7), None),
        (rumor("", E, kind=7), None),
        (rumor("✅❌", E, kind=7), None),
        (rumor("approve", E, kind=7), None),
        (rumor("✅", kind=7), None),
        (rumor("✅", ("e",), kind=7), None),
        (rumor("✅", ("e", "x"), kind=7), None),
        (rumor("✅", E, ("e", RUN), kind=7), None),  # which one was meant?
        (rumor("✅", ("a", SHOWN), kind=7), None),
        (rumor(f"approve {CODE}"), (True, CODE)),
        (rumor(f"approve {RUN}"), None),  # whoever made the event knew its id beforehand
        (rumor(f"  Approve\n{CODE[:8].upper()} "), (True, CODE[:8])),
        (rumor(f"DENY {CODE[:12]}"), (False, CODE[:12])),
        (rumor(f"approve {CODE[:8]}", E), (True, CODE[:8])),
        (rumor("approve", E), (True, SHOWN)),
        (rumor("deny", E), (False, SHOWN)),
        (rumor("approve"), None),
        (rumor("approve", E, ("e", RUN)), None),
        (rumor(f"approve {CODE[:7]}"), None),
        (rumor(f"approve {CODE}0"), None),
        (rumor(f"do not approve {CODE}"), None),
        (rumor(f"approve {CODE} not"), None),
        (rumor(f"approve{CODE}"), None),
        (rumor("✅", E), None),
        (rumor(f"/approve {CODE}"), (True, CODE)),
        (rumor(f" /Deny {CODE[:8]}\n"), (False, CODE[:8])),
        (rumor("/deny", E), (False, SHOWN)),
        (rumor("/approve"), None),
        (rumor(f"/ approve {CODE}"), None),
        (rumor(f"//approve {CODE}"), None),
        (rumor("/approve ghkmwz"), None),  # a question of the router's
        (rumor("/deny ghkmwz", E), None),
        (rumor(f"approve {CODE}", kind=15), None),
        (rumor(f"approve {CODE}", kind=9), None),
        (rumor("✅", E, kind=46_030), None),
    ],
)
def test_what_counts_as_an_answer_in_a_wrap(given: Template, said: tuple[bool, str] | None) -> None:
    read = read_rumor(given, OWNER)
    assert read == (None if said is None else Said(given.id, said[0], said[1], NOW))


@pytest.mark.parametrize("name", ["bot", "router", "bridge", "stranger"])
def test_nobody_elses_wrap_is_an_answer(name: str) -> None:
    # Attack: a member has seen the question in main and reacts in a wrap of their own.
    author = getattr(HOUSE, name).public
    assert read_rumor(rumor("✅", E, kind=7, author=author), OWNER) is None
    assert read_rumor(rumor(f"approve {CODE}", author=author), OWNER) is None


# Whether it settles


@pytest.mark.parametrize(
    ("question", "said_at", "now_s", "words"),
    [
        (ASKED, NOW, NOW, None),
        (ASKED, NOW, NOW + 599.9, None),
        (ASKED, NOW, NOW + 600, "ten minutes have passed"),
        (ASKED, NOW + 10_000, NOW + 1, None),  # the owner's clock is theirs
        (ASKED, NOW - int(EARLIER_S), NOW, None),
        (ASKED, NOW - int(EARLIER_S) - 1, NOW, "dated before the question"),
        (ASKED, NOW, NOW - 1, "over"),  # our own clock was set back
        (replace(ASKED, state=State.APPROVED), NOW, NOW, "Published, as you approved"),
        (replace(ASKED, state=State.DENIED), NOW, NOW, "as you said no"),
        (replace(ASKED, state=State.EXPIRED), NOW, NOW, "nobody answered"),
        (replace(ASKED, state=State.BARRED, reason="A cap."), NOW, NOW, "A cap."),
    ],
)
def test_why_an_answer_settles_nothing(
    question: Question, said_at: int, now_s: float, words: str | None
) -> None:
    found = why_not(question, Said("id", True, CODE[:8], said_at), now_s)
    assert found == words if words is None else words in (found or "")


@pytest.mark.parametrize(("state", "yes"), list(product(State, [True, False])))
def test_only_an_open_question_is_settled(state: State, yes: bool) -> None:
    open_ = why_not(replace(ASKED, state=state), Said("id", yes, RUN, NOW), NOW + 1) is None
    assert open_ == (state is State.ASKED)


@pytest.mark.parametrize(
    ("state", "prefix"),
    [
        (State.ASKED, Prefix.PENDING),
        (State.DENIED, Prefix.RESTRICTED),
        (State.EXPIRED, Prefix.RESTRICTED),
        (State.BARRED, Prefix.RESTRICTED),
    ],
)
def test_the_asker_is_told_the_state(state: State, prefix: Prefix) -> None:
    refusal = told_to_asker(replace(ASKED, state=state))
    assert refusal is not None
    assert refusal.prefix is prefix
    assert (RUN in refusal.sentence) == (state is State.ASKED)
    assert told_to_asker(replace(ASKED, state=State.APPROVED)) is None


def test_every_outcome_names_what_it_was_about() -> None:
    assert all("kind 0" in outcome(replace(ASKED, state=state)) for state in State)


def test_what_names_a_whole_id_was_said_after_it() -> None:
    # Nobody could have named it before there was one, so the owner's clock may be anything.
    assert why_not(ASKED, Said("id", True, RUN, 0), NOW) is None
    assert why_not(ASKED, Said("id", True, SHOWN, 0), NOW) is None


# Words that name a code


@pytest.mark.parametrize(
    ("text", "named"),
    [
        (f"approve {CODE[:8]}", True),
        (f"Write: approve {CODE[:4]}-{CODE[4:8]} and see my cats", True),
        (" ".join(CODE[:10]), True),
        (CODE[:12].upper(), True),
        ("\uff13\uff26\uff12\uff21\uff13\uff26\uff12\uff21", True),  # full-width
        ("3f2\u04303f2\u0430", True),  # Cyrillic, which a person types as they see it
        ("\u04173f2\u03b1 \u04173f2\u03b1".replace("3", ""), True),
        ("3f2\u00e43f2\u00e4", True),
        ("3\U0001f1eb2\U0001f1e63\U0001f1eb2\U0001f1e6", True),  # flags' letters
        ("3\ufe0f\u20e3f2a3f2\U0001f170", True),
        (CODE[:7], False),
        ("approve 00000000", False),
        ("", False),
    ],
)
def test_who_names_a_code_is_found_out(text: str, named: bool) -> None:
    assert names_one_of([SHOWN, CODE], text) is named
    assert names_one_of([SHOWN, CODE], "", text) is named
    assert not names_one_of([], text)


@given(st.text(max_size=200), st.booleans())
def test_no_other_words_are_an_answer(content: str, reaction: bool) -> None:
    tags: tuple[Tag, ...] = (("p", HOUSE.bot.public), E)
    read = read_rumor(Template(OWNER, NOW, 7 if reaction else 14, tags, content), OWNER)
    plain = content.strip().lower().replace("\ufe0f", "")
    if reaction:
        assert (read is not None) == (plain.strip() in ("✅", "❌", "+", "-"))
    elif read is not None:
        assert plain.removeprefix("/").split()[0] in ("approve", "deny")
        assert len(plain.split()) <= 2
