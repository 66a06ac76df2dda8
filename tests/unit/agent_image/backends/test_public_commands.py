"""agent_image/agent/backends/public_commands.py: what a message has the agent say in public."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent_image.agent.backends import public_commands
from agent_image.agent.backends.commands import parse
from agent_image.agent.backends.house_commands import Incomplete
from agent_image.agent.backends.public_commands import (
    USAGE,
    Article,
    Comment,
    Like,
    Note,
    PublicCommand,
    Publish,
    Reply,
    Retract,
)
from bot.commands.table import AGENTS, TABLE


@pytest.mark.parametrize(
    ("text", "command"),
    [
        ("/note to all", Note("to all")),
        ("/article Herons\n\n# Why\nThey wait.", Article("Herons", "# Why\nThey wait.")),
        ("/draft Herons\nThey wait.", Article("Herons", "They wait.", True)),
        ("/draft Herons", Incomplete(USAGE["draft"])),
        ("/draft \nThey wait.", Incomplete(USAGE["draft"])),
        ("/publish herons", Publish("herons")),
        ("/reply note1abc  So they\ndo", Reply("note1abc", "So they\ndo")),
        ("/reply\nnote1abc\nSo", Reply("note1abc", "So")),
        ("/reply note1abc", Incomplete(USAGE["reply"])),
        ("/comment naddr1abc Nice", Comment("naddr1abc", "Nice")),
        ("/comment naddr1abc ", Incomplete(USAGE["comment"])),
        ("/like note1abc", Like("note1abc", "+")),
        ("/like note1abc 🪶", Like("note1abc", "🪶")),
        ("/like", Incomplete(USAGE["like"])),
        ("/retract note1abc", Retract("note1abc")),
        ("/retract", Incomplete(USAGE["retract"])),
    ],
)
def test_what_it_asks_for(text: str, command: PublicCommand | Incomplete) -> None:
    assert parse(text) == command


def test_none_of_them_is_the_owners_command() -> None:
    assert USAGE.keys() <= AGENTS.keys()
    assert USAGE.keys().isdisjoint(TABLE)


@given(st.sampled_from([*USAGE, "other"]), st.text(max_size=80))
def test_whatever_follows_is_read(name: str, rest: str) -> None:
    found = public_commands.parse(name, rest.strip())
    assert (found is None) == (name == "other")
