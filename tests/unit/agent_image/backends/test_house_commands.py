"""agent_image/agent/backends/house_commands.py: what a message has the agent ask the router."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent_image.agent.backends import house_commands
from agent_image.agent.backends.commands import parse
from agent_image.agent.backends.house_commands import (
    USAGE,
    HouseCommand,
    Incomplete,
    ListGroups,
    MyName,
    NewGroup,
    SendFile,
    SetGroup,
    Tell,
)
from bot.commands.table import AGENTS, TABLE


@pytest.mark.parametrize(
    ("text", "command"),
    [
        ("/sendfile report 1.pdf", SendFile("report 1.pdf")),
        ("/SENDFILE a", SendFile("a")),
        ("/sendfile", Incomplete(USAGE["sendfile"])),
        ("/myname Ada L.", MyName("Ada L.")),
        ("/conversations", ListGroups()),
        ("/newconversation Ann", NewGroup("Ann", "")),
        ("/newconversation Us npub1abc nostr:npub1def", NewGroup("Us", "npub1abc nostr:npub1def")),
        ("/newconversation npub1abc", Incomplete(USAGE["newconversation"])),
        ("/newconversation", Incomplete(USAGE["newconversation"])),
        ("/tell family dinner  at\neight", Tell("family", "dinner  at\neight")),
        ('/tell "Ann and I" hello', Tell("Ann and I", "hello")),
        ("/tell family", Incomplete(USAGE["tell"])),
        ('/rules {"agents": true}', SetGroup("", '{"agents": true}')),
        ('/rules family {"agents": true}', SetGroup("family", '{"agents": true}')),
        ("/rules", Incomplete(USAGE["rules"])),
    ],
)
def test_what_it_asks_for(text: str, command: HouseCommand) -> None:
    assert parse(text) == command


def test_none_of_them_is_the_owners_command() -> None:
    names = {*USAGE, "conversations"}
    assert names <= set(AGENTS)
    assert names.isdisjoint(TABLE)


@given(st.sampled_from([*USAGE, "conversations", "other"]), st.text(max_size=80))
def test_whatever_follows_is_read(name: str, rest: str) -> None:
    found = house_commands.parse(name, rest.strip())
    assert (found is None) == (name == "other")
