"""agent_image/agent/backends/commands.py: what a message asks for."""

from __future__ import annotations

from unicodedata import category

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from agent_image.agent.backends.commands import (
    USAGE,
    Command,
    Empty,
    Help,
    React,
    Recall,
    Remember,
    Run,
    Say,
    Sign,
    Text,
    Unknown,
    parse,
)
from agent_image.agent.backends.house_commands import Incomplete
from agent_image.agent.backends.public_commands import USAGE as PUBLIC
from agent_image.agent.backends.public_commands import Note


@pytest.mark.parametrize(
    ("text", "command"),
    [
        ("/help", Help()),
        ("  /HELP \n", Help()),
        ("/help me", Help()),
        ("@claw /help", Help()),
        ("@claw: /help", Help()),
        ("nostr:npub1abc, /say hi", Say("hi")),
        ("/say hello  there\nnext line ", Say("hello  there\nnext line")),
        ("/note\nA note", Note("A note")),
        ("/react 👍", React("👍")),
        ("/remember the cat", Remember("the cat")),
        ("/recall", Recall("")),
        ("/recall the cat", Recall("the cat")),
        ("/run ls -l | wc", Run("ls -l | wc")),
        ("/sign 0 {}", Sign(0, "{}")),
        ("/sign 65535", Sign(65535, "")),
        ("/sign 1 two words", Sign(1, "two words")),
        ("/sign 65536 x", Incomplete(USAGE["sign"])),
        ("/sign -1 x", Incomplete(USAGE["sign"])),
        ("/sign ١ x", Incomplete(USAGE["sign"])),
        ("/sign", Incomplete(USAGE["sign"])),
        ("/sign zero", Incomplete(USAGE["sign"])),
        ("/say", Incomplete("/say TEXT")),
        ("/note  ", Incomplete(PUBLIC["note"])),
        ("/react", Incomplete("/react 👍")),
        ("/remember", Incomplete("/remember TEXT")),
        ("/run", Incomplete("/run COMMAND")),
        ("/dance", Unknown("dance")),
        ("/dance now", Unknown("dance")),
        ("", Empty()),
        (" \n\t ", Empty()),
        ("\u200b\u200d\ufeff", Empty()),
        ("hello", Text(5)),
        ("hello /help", Text(11)),
        ("/etc/passwd is a file", Text(21)),
        ("/", Text(1)),
        ("/ help", Text(6)),
        ("/h3lp", Text(5)),
        ("/" + "a" * 21, Text(22)),
        ("@claw hello", Text(11)),
        ("x" * 40_000, Text(40_000)),
    ],
)
def test_a_message_is_read(text: str, command: Command) -> None:
    assert parse(text) == command


@given(st.text())
@example("/sign 99999999999999999999 x")
@example("@" * 10_000 + " /help")
@example("/run " + "\0" * 10)
def test_every_text_is_something(text: str) -> None:
    command = parse(text)
    # Separators and control, format or unassigned characters show nothing.
    assert isinstance(command, Empty) == all(category(sign)[0] in "ZC" for sign in text)
    match command:
        case Text(n_chars):
            assert n_chars == len(text)
        case Unknown(name):
            assert name.isascii()
            assert name.isalpha()
            assert len(name) <= 20


@given(name=st.sampled_from(["say", "note", "remember", "run"]), text=st.text(min_size=1))
def test_what_stands_after_a_command_is_kept(name: str, text: str) -> None:
    stripped = text.strip()
    command = parse(f"/{name} {text}")
    if not stripped:
        assert command == Incomplete((USAGE | PUBLIC)[name])
    else:
        kinds = {"say": Say, "note": Note, "remember": Remember, "run": Run}
        assert command == kinds[name](stripped)
