"""signer/question.py: what the owner is asked."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nips import nip10, nip19, nip22, nip25
from nips.event import Event, Tag, Template
from nips.refusal import Refusal
from signer.question import (
    HEAD_CHARS,
    MAX_SHOWN_TAGS,
    MAX_TEXT_BYTES,
    TAIL_CHARS,
    asker,
    name_of,
    note,
    text,
)
from tests.unit.signer.house import MAIN, NOW, OTHER, House

HOUSE = House()


def asked(template: Template, group: str | None = MAIN) -> str:
    made = note(template, asker(group, MAIN), {})
    assert isinstance(made, str), made
    return made


def test_the_question_is_the_events() -> None:
    own: tuple[Tag, ...] = (("job", "ab" * 32), ("o", "cd" * 32), ("L", "agent"))
    template = HOUSE.template(0, *own, ("l", "ai", "agent"), content='{"name":"A"}')
    assert asked(template) == (
        "The agent in your own conversation asks to publish in the assistant's name, for everybody "
        "to read: kind 0, the assistant's public profile.\n"
        "It replaces the profile that is there now.\n"
        "Tags: none\n"
        "Content:\n"
        '│ {"name":"A"}'
    )


def test_the_ways_to_answer_stand_below() -> None:
    whole = text("the question", "0123456789abcdef", 1_800_000_600)
    assert whole.startswith("❓ the question\n")
    assert "08:10:00 UTC" in whole
    assert whole.endswith("approve 0123456789abcdef\nor\ndeny 0123456789abcdef")


@pytest.mark.parametrize(
    ("group", "who"),
    [
        (MAIN, "The agent in your own conversation"),
        (OTHER, f"The agent in the conversation {OTHER}"),
        (None, "An app that is logged in as the assistant"),
    ],
)
def test_it_says_who_asks(group: str | None, who: str) -> None:
    assert asked(HOUSE.template(0), group).startswith(who)


@pytest.mark.parametrize("kind", [0, 3, 5, 10_002, 10_050, 30_023])
def test_what_always_asks_has_a_name_and_an_effect(kind: int) -> None:
    lines = asked(HOUSE.template(kind)).split("\n")
    assert name_of(kind) in lines[0]
    assert name_of(kind) != f"kind {kind}"
    assert lines[1][0] == "I"


@pytest.mark.parametrize(
    "tag",
    [
        ("l", "nsfw", "content-warning"),
        ("L", "org.example.confession"),
        ("l", "ai", "agent", "and what nobody was to read"),
        ("o", "https://a.example"),
        ("o", "ab" * 32, "words"),
        ("job", "words"),
        ("o",),
    ],
)
def test_what_only_looks_like_our_own_tag_is_shown(tag: Tag) -> None:
    # Attack: what the owner would never say yes to, in tags that they are not shown.
    shown = asked(HOUSE.template(1, ("L", "agent"), tag))
    assert "Tags: none" not in shown
    assert all(part.replace("://", "⟨://⟩") in shown for part in tag)


def test_every_tag_that_is_not_our_own_is_shown() -> None:
    person = HOUSE.stranger.public
    tags: tuple[Tag, ...] = (
        ("p", person, "wss://r.example", "bob"),
        ("p", "no key"),
        ("d",),
        ("title", "a\nTags: none"),
    )
    shown = asked(HOUSE.template(3, *tags)).split("\n")
    assert f"│ p | {nip19.encode_npub(person)} | wss⟨://⟩r.example | bob" in shown
    assert "│ p | no key" in shown
    assert "│ d" in shown
    assert "│ title | a⟨U+000A⟩Tags: none" in shown


def test_what_a_retraction_names_is_quoted() -> None:
    known = HOUSE.template(1, content="My \u202eopinion " + "x" * 300).sign(HOUSE.bot, bytes(32))
    template = HOUSE.template(5, ("e", known.id), ("e", "ab" * 32))
    made = note(template, asker(MAIN, MAIN), {known.id: known})
    assert isinstance(made, str)
    assert f"│ e | {known.id}\n│   (kind 1, a public note, of 2027-01-15: My ⟨U+202E⟩opin" in made
    assert "x…)" in made
    assert f"│ e | {'ab' * 32}\n│   (an event that this signer has not signed)" in made


def test_a_retraction_of_what_is_addressable_says_what_goes() -> None:
    where = f"30023:{HOUSE.bot.public}:my-\u202etrip"
    shown = asked(HOUSE.template(5, ("a", where), ("a", "no place"), ("k", "30023")))
    named = "kind 30023, a public article, named my-⟨U+202E⟩trip"
    assert f"│   ({named}, every version until now)" in shown
    assert "│ a | no place" in shown


AUTHOR = HOUSE.stranger
NPUB = nip19.encode_npub(AUTHOR.public)
ARTICLE = Event("cd" * 32, AUTHOR.public, NOW, 30_023, (("d", "herons"),), "", "")
PHOTO = Event("ef" * 32, AUTHOR.public, NOW, 1_063, (), "", "")


def test_a_comment_says_what_it_is_on() -> None:
    template = nip22.comment(ARTICLE, "Nice!", HOUSE.bot.public, NOW)
    lines = asked(template).split("\n")
    assert lines[0].endswith("for everybody to read: kind 1111, a public comment.")
    assert lines[1:4] == [
        "It is, as its tags say, on:",
        f"│ kind 30023, a public article, named herons, by {NPUB}",
        "Tags:",
    ]
    assert lines[-2:] == ["Content:", "│ Nice!"]
    first = replace(PHOTO, kind=1_111, tags=nip22.comment(PHOTO, "", AUTHOR.public, NOW).tags)
    assert asked(nip22.comment(first, "And this", HOUSE.bot.public, NOW)).split("\n")[1:5] == [
        "It is, as its tags say, on:",
        f"│ kind 1063, by {NPUB}",
        "and answers:",
        f"│ kind 1111, a public comment, by {NPUB}",
    ]
    page = (("I", "https://a.example/x"), ("K", "web"), ("i", "https://a.example/x"), ("k", "web"))
    assert "│ https⟨://⟩a.example/x\nTags:" in asked(HOUSE.template(1_111, *page))


def test_a_reaction_and_a_reply_say_to_what() -> None:
    liked = asked(nip25.reaction(ARTICLE, "+", HOUSE.bot.public, NOW)).split("\n")
    assert liked[1:3] == [
        "It is, as its tags say, to:",
        f"│ kind 30023, a public article, named herons, by {NPUB}",
    ]
    photo = asked(nip25.reaction(PHOTO, "🪶", HOUSE.bot.public, NOW)).split("\n")
    assert photo[2] == f"│ kind 1063, by {NPUB}"
    note = replace(PHOTO, kind=1)
    said = asked(nip10.reply(note, "Yes", HOUSE.bot.public, NOW)).split("\n")
    assert said[1:3] == ["It answers, as its tags say:", f"│ kind 1, a public note, by {NPUB}"]
    # Nothing is made up where the tags say nothing.
    for kind in (1, 7, 1_111):
        assert asked(HOUSE.template(kind, ("E", "x"))).split("\n")[1] == "Tags:"


def test_a_draft_is_for_nobody_else() -> None:
    lines = asked(HOUSE.template(30_024, ("d", "x"))).split("\n")
    assert "for you to read: kind 30024, a draft of an article." in lines[0]
    assert lines[1].endswith("is sent to nobody.")


def test_what_it_is_on_forges_no_line() -> None:
    where = f"30023:{AUTHOR.public}:x\nTags: none\nnostr:npub1 https://a.example"
    tags = (("A", where), ("K", "30023"), ("a", where), ("k", "30023"))
    shown = asked(HOUSE.template(1_111, *tags)).split("\n")
    assert shown.count("Tags:") == 1
    assert "Tags: none" not in shown
    assert "https://" not in "".join(shown)
    reacted = (("e", "cd" * 32), ("a", where), ("k", "30023"))
    assert "Tags: none" not in asked(HOUSE.template(7, *reacted)).split("\n")


def test_the_middle_of_an_article_is_left_out_and_that_is_said() -> None:
    article = HOUSE.template(30_023, content="a" * HEAD_CHARS + "MIDDLE" + "z" * TAIL_CHARS)
    shown = asked(article)
    assert "MIDDLE" not in shown
    assert "[6 characters are left out here; you would publish them unread]" in shown
    assert f"Content, {HEAD_CHARS + TAIL_CHARS + 6} characters:" in shown
    whole = HOUSE.template(30_023, content="a" * HEAD_CHARS + "z" * TAIL_CHARS)
    assert "left out" not in asked(whole)


@pytest.mark.parametrize(
    "template",
    [
        HOUSE.template(0, content="x" * (MAX_TEXT_BYTES + 1)),
        HOUSE.template(0, content="\u202e" * (MAX_TEXT_BYTES // 10)),
        HOUSE.template(0, content='"' * (MAX_TEXT_BYTES // 2 + 1)),
        HOUSE.template(3, *[("p", "x")] * (MAX_SHOWN_TAGS + 1)),
        HOUSE.template(3, ("p", "x" * MAX_TEXT_BYTES)),
    ],
)
def test_what_cannot_be_shown_whole_is_not_asked(template: Template) -> None:
    # Attack: the owner says yes to the beginning, and what matters comes after it.
    made = note(template, asker(MAIN, MAIN), {})
    assert isinstance(made, Refusal)
    assert "cannot be shown to the owner whole" in made.sentence


ANY = st.text(st.characters(exclude_categories=["Cs"]) | st.sampled_from("\n\r\u2028"), max_size=80)
OWN_WORDS = ("Tags:", "Content", "The agent", "It ", "❓", "approve", "deny", "or", "[")


@given(ANY, st.lists(st.tuples(st.sampled_from(["p", "e", "title"]), ANY), max_size=3))
def test_no_content_forges_the_questions_own_words(content: str, tags: list[Tag]) -> None:
    template = HOUSE.template(30_023, *tags, content=content)
    made = text(asked(template), template.id, NOW)
    own = [line for line in made.splitlines() if line and not line.startswith("│")]
    clean = HOUSE.template(30_023, *([("t", "x")] if tags else []), content="x" if content else "")
    usual = text(asked(clean), template.id, NOW)
    assert own == [line for line in usual.splitlines() if line and not line.startswith("│")]
    assert len(json.dumps(made, ensure_ascii=False).encode()) < 28_000
