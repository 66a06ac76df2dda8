"""nips/nip09.py: what a retraction names."""

from __future__ import annotations

import pytest

from nips.event import Event, Template
from nips.nip09 import retraction
from nips.refusal import Malformed

ID, AUTHOR = "ab" * 32, "cd" * 32


def event(kind: int, *tags: tuple[str, ...]) -> Event:
    return Event(ID, AUTHOR, 1, kind, tags, "", "")


def test_it_names_the_event_and_its_kind() -> None:
    made = retraction(event(1, ("d", "x")), 7, (("o", "y"),))
    assert made == Template(AUTHOR, 7, 5, (("e", ID), ("k", "1"), ("o", "y")), "")


def test_every_version_goes_of_what_has_versions() -> None:
    made = retraction(event(30_023, ("d", "my-trip")), 7)
    assert made.tags == (("e", ID), ("a", f"30023:{AUTHOR}:my-trip"), ("k", "30023"))
    assert retraction(event(0), 7).values("a") == [f"0:{AUTHOR}:"]


def test_of_a_draft_only_its_name_is_named() -> None:
    """It stays here, as the draft did; so it names nothing else."""
    made = retraction(event(30_024, ("d", "my-trip")), 0)
    assert made.tags == (("a", f"30024:{AUTHOR}:my-trip"), ("k", "30024"))
    assert made.created_at == 1  # no version is newer


def test_a_retraction_stands() -> None:
    with pytest.raises(Malformed):
        retraction(event(5), 7)
