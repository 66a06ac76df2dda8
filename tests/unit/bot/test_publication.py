"""bot/publication.py: what of the bot's leaves, and what stays here."""

from __future__ import annotations

import pytest

from bot.publication import leaves
from nips.event import Event, Tags

ID, BOT = "ab" * 32, "cd" * 32


@pytest.mark.parametrize(
    ("kind", "tags", "goes"),
    [
        (1, (), True),
        (7, (("e", ID),), True),
        (1_111, (("E", ID),), True),
        (30_023, (("d", "x"),), True),
        (5, (("e", ID), ("k", "1")), True),
        (5, (("e", ID),), True),
        # Attack: a group's word, wherever its h stands.
        (7, (("e", ID), ("h", "a-group")), False),
        (1, (("h",),), False),
        (9, (), False),
        (30_024, (("d", "x"),), False),
        # A draft's name, in what takes it back.
        (5, (("a", f"30024:{BOT}:x"), ("k", "30024")), False),
        (5, (("a", f"30024:{BOT}:x"),), False),
        (5, (("a", f"30024:{BOT}:x"), ("a", f"30023:{BOT}:x"), ("k", "30024")), True),
        # Attack: what is out is taken back here alone, as if it were a draft.
        (5, (("e", ID), ("k", "30024")), True),
        (5, (("e", ID), ("a", f"30024:{BOT}:x"), ("k", "30024")), True),
    ],
)
def test_what_is_for_everybody_leaves(kind: int, tags: Tags, goes: bool) -> None:
    assert leaves(Event(ID, BOT, 1, kind, tags, "", "")) == goes
