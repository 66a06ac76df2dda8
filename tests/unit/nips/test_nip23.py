"""NIP-23 by its own example, and what an article of ours cannot be."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nips import nip23
from nips.event import Template
from nips.nip23 import MAX_TEXT_BYTES, Article, checked, parse, slug_of, topics_of
from nips.refusal import Malformed

AUTHOR = "f7234bd4c1394dda46d09f35bd384dd30cc552ad5541990f98844fb06676e9ca"
ARTICLE = Article(
    "lorem-ipsum", "Lorem Ipsum", "Lorem [ipsum][4] dolor", 1_296_962_229, topics=("placeholder",)
)
# The example of NIP-23.
TAGS = (
    ("d", "lorem-ipsum"),
    ("title", "Lorem Ipsum"),
    ("published_at", "1296962229"),
    ("t", "placeholder"),
)
MORE = (
    ("e", "b3e392b11f5d4f28321cedd09303a748acfd0487aea5a7450b3481c60b6e4f87", "wss://relay.x.com"),
    ("a", f"30023:{AUTHOR}:ipsum", "wss://relay.nostr.org"),
)


def test_the_nip_s_example_is_written_and_read() -> None:
    made = nip23.template(ARTICLE, AUTHOR, 1_675_642_635, MORE)
    assert made == Template(AUTHOR, 1_675_642_635, 30_023, TAGS + MORE, ARTICLE.text)
    assert parse(made) == ARTICLE


def test_a_draft_has_the_same_form_and_no_date_before_it_was_published() -> None:
    draft = replace(ARTICLE, published_at=None)
    made = nip23.template(draft, AUTHOR, 7, draft=True)
    assert made.kind == 30_024
    assert made.tags == (*TAGS[:2], TAGS[3])
    assert parse(made) == draft
    of_published = nip23.template(ARTICLE, AUTHOR, 7, draft=True)
    assert of_published.tags == TAGS
    assert parse(of_published) == ARTICLE


def test_what_is_empty_has_no_tag_and_what_is_not_has() -> None:
    full = replace(ARTICLE, summary="In short.", image="https://example.com/a.png")
    made = nip23.template(full, AUTHOR, 1)
    assert made.values("summary") == ["In short."]
    assert made.values("image") == ["https://example.com/a.png"]
    assert parse(made) == full


def test_an_article_of_somebody_elses_may_lack_all_but_its_name() -> None:
    assert parse(Template(AUTHOR, 7, 30_023, (("d", ""),), "x")) == Article("", "", "x", 7)
    odd = (("d", "x"), ("published_at", "yesterday"))
    assert parse(Template(AUTHOR, 7, 30_023, odd, "")).published_at == 7
    for kind, tags in ((1, (("d", "x"),)), (30_023, ())):
        with pytest.raises(Malformed):
            parse(Template(AUTHOR, 7, kind, tags, ""))


@pytest.mark.parametrize(
    ("title", "slug"),
    [
        ("Why relays matter", "why-relays-matter"),
        ("  Ça va, naïve Zoë?! ", "ca-va-naive-zoe"),
        ("2026 – a year", "2026-a-year"),
        ("日本語", ""),
        ("../../etc/passwd", "etc-passwd"),
    ],
)
def test_a_slug_is_made_of_a_title(title: str, slug: str) -> None:
    assert slug_of(title) == slug


@given(st.text(max_size=300))
def test_a_slug_that_was_made_is_one(title: str) -> None:
    if slug := slug_of(title):
        checked(replace(ARTICLE, slug=slug))


def test_topics_are_told_apart() -> None:
    assert topics_of("#Nostr relays, nostr  #") == ("nostr", "relays")
    assert topics_of("") == ()


@pytest.mark.parametrize(
    "change",
    [
        {"slug": ""},
        {"slug": "a--b"},
        {"slug": "Upper"},
        {"slug": "a" * 81},
        {"title": ""},
        {"title": "two\nlines"},
        {"title": "right\u202eleft"},
        {"title": "x" * 201},
        {"summary": "x" * 1_001},
        {"summary": "two\nlines"},
        {"image": "http://example.com/a.png"},
        {"image": "data:image/png;base64,AAAA"},
        {"image": "https://example.com/a b"},
        {"image": "https://"},
        {"topics": ("x",) * 21},
        {"topics": ("two words",)},
        {"topics": ("x" * 65,)},
        {"text": " \n"},
        {"text": "é" * MAX_TEXT_BYTES},
    ],
)
def test_what_is_no_article_is_not_made(change: dict[str, object]) -> None:
    with pytest.raises(Malformed):
        nip23.template(replace(ARTICLE, **change), AUTHOR, 1)  # type: ignore[arg-type]
