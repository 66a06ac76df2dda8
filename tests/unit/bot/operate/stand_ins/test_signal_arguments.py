"""bot/operate/stand_ins/signal_arguments.py"""

from __future__ import annotations

import pytest

from bot.operate.stand_ins.signal_arguments import UsageError, parsed

BEFORE = ["--config", "/data", "--output", "json", "-a", "+49"]


def test_one_letter_means_another_thing_after_the_command() -> None:
    options = parsed([*BEFORE, "send", "--message-from-stdin", "+1", "+2", "-a", "x", "y"])
    assert (options.command, options.account) == ("send", "+49")
    assert options.many("recipient") == ["+1", "+2"]
    assert options.many("attachment") == ["x", "y"]
    assert options.has("message-from-stdin")
    assert options.one("quote-message") is None


@pytest.mark.parametrize("value", ["-", "--", "---", "-5", "-.5", "a-b", ""])
def test_what_only_looks_like_an_option(value: str) -> None:
    line = [*BEFORE, "send", "+1", "--quote-message", value]
    if value == "--":  # this ends the options, and is one
        with pytest.raises(UsageError):
            parsed(line)
    else:
        assert parsed(line).one("quote-message") == value


@pytest.mark.parametrize(
    ("line", "what"),
    [
        (["send", "--quote-message", "-x"], "argument --quote-message: expected one argument"),
        (["send", "--quote-message"], "argument --quote-message: expected one argument"),
        (["send", "--end-session"], "unrecognized arguments: '--end-session'"),
        (["sing"], "invalid choice: 'sing'"),
        ([], "invalid choice: ''"),
    ],
)
def test_what_it_refuses(line: list[str], what: str) -> None:
    with pytest.raises(UsageError, match=what):
        parsed([*BEFORE, *line])
