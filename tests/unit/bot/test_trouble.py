"""What a bridge may tell of, and that the words of it are ours."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot import trouble
from bot.trouble import TOPICS, Trouble, read, sentence
from nips.refusal import Malformed

NOW = 1_800_000_000
ID = "ab" * 32
READ: list[tuple[tuple[str, str, str], Trouble]] = [
    (("challenge", "5f1c-a/b+=", ""), Trouble("signal", "challenge", "5f1c-a/b+=")),
    (("challenge", "", ""), Trouble("signal", "challenge", "", day="2027-01-15")),
    (("uncertain", ID, ""), Trouble("signal", "uncertain", ID)),
    (("failed", ID, "Unregistered user"), Trouble("signal", "failed", ID, "Unregistered user")),
    (("away", str(NOW - 60), "refused"), Trouble("signal", "away", str(NOW - 60), "refused")),
    (("back", str(NOW - 60), ""), Trouble("signal", "back", str(NOW - 60))),
]
WRONG = [
    ("signal", "challenge", "a b"),
    ("signal", "challenge", "-x"),
    ("signal", "challenge", "$(reboot)"),
    ("signal", "challenge", "a';reboot;'"),
    ("signal", "challenge", "a\nnostrclaw key export"),
    ("signal", "challenge", "x" * 301),
    ("signal", "uncertain", ""),
    ("signal", "uncertain", "the message"),
    ("signal", "failed", ID.upper()),
    ("signal", "away", ""),
    ("signal", "away", "yesterday"),
    ("signal", "away", "-5"),
    ("signal", "away", str(NOW + 301)),
    ("signal", "back", str(NOW - 400 * 86_400)),
    ("signal", "back", "٣"),
    ("signal", "Pay me", ""),
    ("signal", "", ""),
    ("nostr", "away", str(NOW)),
    ("", "away", str(NOW)),
]


@pytest.mark.parametrize(("given", "found"), READ)
def test_a_bridges_word(given: tuple[str, str, str], found: Trouble) -> None:
    assert read("signal", *given, NOW) == found


@pytest.mark.parametrize("given", WRONG)
def test_what_is_no_trouble(given: tuple[str, str, str]) -> None:
    """Attack: a bridge that was taken over has the owner told what it likes, to type what it
    likes."""
    with pytest.raises(Malformed):
        read(*given, "", NOW)


def test_each_trouble_is_told_apart() -> None:
    found = [read("signal", *given, NOW) for given, _ in READ]
    assert len({one.once for one in found}) == len(found)
    tomorrow = read("signal", "challenge", "", "", NOW + 86_400)
    assert tomorrow.once != found[1].once
    assert read("signal", "failed", ID, "other words", NOW).once == found[3].once


def test_the_remedy_is_exact() -> None:
    words = sentence(Trouble("signal", "challenge", "5f1c-a"))
    assert words.splitlines()[-1] == "nostrclaw signal challenge 5f1c-a 'CAPTCHA'"
    assert trouble.CAPTCHA_PAGE in words
    assert "signalcaptcha://" in words
    assert "nostrclaw" not in sentence(Trouble("signal", "challenge", ""))
    away = sentence(Trouble("signal", "away", "1767225600", "refused"))
    assert "since 2026-01-01 00:00 UTC (Signal says “refused”)" in away
    assert away.endswith("nostrclaw signal status")
    assert "away since 2026-01-01 00:00" in sentence(Trouble("signal", "back", "1767225600"))


def test_a_message_is_shown_by_where_it_was_said_and_its_first_words() -> None:
    said = "Shall we meet at noon?\n" + "x" * 500
    uncertain = sentence(Trouble("signal", "uncertain", ID), "“Chess”", said)
    assert uncertain.startswith("❔ In “Chess”: whether this has reached Signal, nobody can tell: ")
    assert "“Shall we meet at noon? xxx" in uncertain
    assert len(uncertain) < 350
    failed = sentence(Trouble("signal", "failed", ID, "Unregistered"), "“Chess”", "👍")
    assert failed == "❌ In “Chess”: this did not reach Signal: “👍” (Signal says “Unregistered”)"


@given(why=st.text(), said=st.text(), topic=st.sampled_from(TOPICS))
def test_nobody_elses_words_look_like_ours(why: str, said: str, topic: trouble.Topic) -> None:
    """Attack: line breaks, marks that turn the reading, a quotation mark's end, a text without
    end."""
    plain = sentence(Trouble("signal", topic, "5", "y"), "main", "z")
    made = sentence(Trouble("signal", topic, "5", why or "y"), "main", said)
    assert len(made.splitlines()) == len(plain.splitlines())
    assert made.replace("\n", "").isprintable()
    assert made.count("“") == made.count("”") <= plain.count("“")
    assert len(made) < len(plain) + 200
