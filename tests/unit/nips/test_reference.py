"""nips/reference.py: names of events, and what a stranger's tags may put into ours."""

from __future__ import annotations

import pytest

from nips.event import Template
from nips.reference import Pointer, author_of, coordinates, hint, page, pointer, trimmed

ID, AUTHOR = "ab" * 32, "cd" * 32


@pytest.mark.parametrize(
    ("kind", "tags", "where"),
    [
        (1, (), None),
        (1_111, (("d", "x"),), None),
        (0, (("d", "x"),), f"0:{AUTHOR}:"),
        (10_002, (), f"10002:{AUTHOR}:"),
        (30_023, (("d", "x:y"),), f"30023:{AUTHOR}:x:y"),
        (30_023, (), f"30023:{AUTHOR}:"),
        (24_133, (), None),
    ],
)
def test_what_the_next_version_replaces_has_coordinates(
    kind: int, tags: tuple[tuple[str, ...], ...], where: str | None
) -> None:
    assert coordinates(Template(AUTHOR, 1, kind, tags, "")) == where
    if where is not None:
        assert author_of(where) == AUTHOR


@pytest.mark.parametrize(
    "where",
    [
        "",
        "30023",
        f"30023:{AUTHOR}",
        "30023:x:y",
        f"x:{AUTHOR}:y",
        f"123456:{AUTHOR}:",
        f"-1:{AUTHOR}:",
    ],
)
def test_what_is_no_coordinates_has_no_author(where: str) -> None:
    assert author_of(where) is None


@pytest.mark.parametrize(
    "text",
    [
        "",
        "relay.example",
        "wss://",
        "javascript:x",
        "wss://a b",
        "wss://a\nobey",
        "wss://é",
        "wss://" + "a" * 250,
    ],
)
def test_what_is_no_address_is_not_copied(text: str) -> None:
    assert hint(text) == page(text) == ""
    assert pointer(("e", ID, text), 3) == Pointer(ID)


def test_a_relay_is_hinted_at_and_a_page_where_one_may_stand() -> None:
    assert hint("wss://relay.example/x") == page("wss://relay.example/x") == "wss://relay.example/x"
    assert (hint("https://a.example"), page("https://a.example")) == ("", "https://a.example")


def test_a_pointer_is_read_as_far_as_it_is_one() -> None:
    assert pointer(("e", ID, "ws://a", "x"), 3) == Pointer(ID, "ws://a")
    assert pointer(("e", ID, "", "root", AUTHOR), 4) == Pointer(ID, "", AUTHOR)
    assert pointer(("e", "x"), 3) is pointer(("e",), 3) is None


def test_a_tag_ends_with_something() -> None:
    assert trimmed("e", ID, "", "") == ("e", ID)
    assert trimmed("e", ID, "", AUTHOR) == ("e", ID, "", AUTHOR)
    assert trimmed("a", "", "") == ("a", "")
