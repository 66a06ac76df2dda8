"""bot/operate/manuscript.py: files as people have them."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.operate.manuscript import Manuscript, article, first_heading, read
from nips.nip23 import Article
from nips.refusal import Malformed

WHOLE = """---
title: My trip
slug: boats
summary: "Three days: by boat"
image: https://example.com/boat.png

tags: [travel, Boats]
---

# My trip

It rained.
"""


def made(text: str, **options: str) -> Article:
    return article(read(text), options)


def test_a_file_that_says_everything() -> None:
    assert made(WHOLE) == Article(
        "boats", "My trip", "It rained.", None, "Three days: by boat",
        "https://example.com/boat.png", ("travel", "boats"),
    )  # fmt: skip
    assert made(WHOLE.replace("\n", "\r\n")) == made(WHOLE)
    assert made("\ufeff" + WHOLE) == made(WHOLE)


def test_what_is_said_beside_it_counts_more() -> None:
    found = made(WHOLE, title="Another", slug="x-y", summary="", tags="one two")
    assert (found.title, found.slug, found.summary, found.topics) == (
        "Another", "x-y", "", ("one", "two"),
    )  # fmt: skip
    assert found.text.startswith("# My trip")  # it is not the title now


@pytest.mark.parametrize(
    ("text", "title", "rest"),
    [
        ("# Why #\n\nBecause.", "Why", "Because."),
        ("Because.\n\n# Why\n\nSo.", "Why", "Because.\n\n# Why\n\nSo."),
        ("```\n# a comment\n```\n# Why\n\nSo.", "Why", "```\n# a comment\n```\n# Why\n\nSo."),
        ("## Part\n# Why\nSo.", "Why", "## Part\n# Why\nSo."),
        ("\n\n# Why\nSo.\n\n", "Why", "So."),
    ],
)
def test_the_title_is_the_first_heading(text: str, title: str, rest: str) -> None:
    found = made(text)
    assert (found.title, found.text, found.slug) == (title, rest, "why")


def test_a_fence_ends_by_its_own_kind() -> None:
    assert first_heading("~~~\n```\n# no\n~~~\n# yes") == "yes"
    assert first_heading("````\n```\n# no\n````\n# yes") == "yes"
    assert first_heading("#hashtag\n#") is None


@pytest.mark.parametrize(
    "text",
    [
        "---\n\nAn old line above.\n\n---\nAnd below.",
        "---\nno end: of it",
        "---",
        "----\ntitle: x\n----",
        "A line\n---\ntitle: x\n---",
    ],
)
def test_a_line_of_hyphens_is_not_always_a_beginning(text: str) -> None:
    assert read(text) == Manuscript({}, text.strip("\n"))


@pytest.mark.parametrize(
    ("line", "number"),
    [("titel: x", 3), ("date: 2026-01-01", 3), ("title: again", 3), ("just words", 3)],
)
def test_what_is_no_field_is_named(line: str, number: int) -> None:
    """Better than to publish for good what its author believes to have said otherwise."""
    with pytest.raises(Malformed, match=f"line {number}, above the text"):
        read(f"---\ntitle: x\n{line}\n---\ntext")


@pytest.mark.parametrize(
    ("text", "options", "words"),
    [
        ("no title", {}, "needs a title"),
        ("x", {"title": "日本"}, "give one with --slug"),
        ("x", {"title": "X", "slug": "Not A Slug"}, "a slug has 1 to 80"),
        ("x", {"title": "X", "slug": "a--b"}, "a slug has 1 to 80"),
        ("x", {"title": "X" * 201}, "a title has 1 to 200"),
        ("x", {"title": "X", "image": "http://a/b.png"}, "https address"),
        ("x", {"title": "X", "image": "file:///etc/passwd"}, "https address"),
        ("# X", {}, "1 to 60000 bytes"),
        ("x" * 60_001, {"title": "X"}, "this has 60001"),
        (
            "x",
            {"title": "X", "tags": "a b c d e f g h i j k l m n o p q r s t u"},
            "20",
        ),
    ],
)
def test_what_is_no_article_is_said(text: str, options: Mapping[str, str], words: str) -> None:
    with pytest.raises(Malformed, match=words):
        article(read(text), options)


@given(text=st.text(st.sampled_from("-#:ab \n\r[]\"'`~é")))
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        found = read(text)
    except Malformed:
        return
    assert set(found.fields) <= {"title", "slug", "summary", "image", "tags"}
    first_heading(found.text)
