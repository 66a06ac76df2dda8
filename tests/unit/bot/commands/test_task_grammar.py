"""bot/commands/task_grammar.py: where a time ends and the prompt begins, and all else of /task."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.commands import asked
from bot.commands.asked import Bad, NewTask
from bot.commands.grammar import parse
from bot.tasks.wanted import Wanted


def new(when: str, prompt: str, group: str | None = None, **more: str) -> NewTask:
    return NewTask(Wanted(when=when, prompt=prompt, **more), group)


NEW = [
    ("0 16 * * 1-5 Water the plants", new("0 16 * * 1-5", "Water the plants")),
    ("0 16 * * mon-fri: Water them", new("0 16 * * mon-fri", "Water them")),
    ("*/5 * * * * Look", new("*/5 * * * *", "Look")),
    ("@daily Good morning", new("@daily", "Good morning")),
    ("@daily, good morning", new("@daily", "good morning")),
    ("every 15m Say hello", new("every 15m", "Say hello")),
    ("Every 15 minutes say hello", new("Every 15 minutes", "say hello")),
    ("every 1h 30m 5 cats need food", new("every 1h 30m", "5 cats need food")),
    ("every day: water them", new("every day", "water them")),
    ("every 2 hours, look", new("every 2 hours", "look")),
    ("in 20m tell me", new("in 20m", "tell me")),
    ("in 1h30m: tell me", new("in 1h30m", "tell me")),
    ("2026-12-24T18:00 Merry", new("2026-12-24T18:00", "Merry")),
    ("2026-12-24 18:00 Merry", new("2026-12-24 18:00", "Merry")),
    ("2026-12-24 18:00+01:00 Merry", new("2026-12-24 18:00+01:00", "Merry")),
    ("2026-12-24T18:00:00Z: Merry", new("2026-12-24T18:00:00Z", "Merry")),
    ("24.12.2026 18:00 Merry", new("24.12.2026 18:00", "Merry")),
    ("“0 16 * * 1-5” Water them", new("0 16 * * 1-5", "Water them")),
    ('"0 16 * * 1-5" "Water them"', new("0 16 * * 1-5", "Water them")),
    ("@daily “Water them”", new("@daily", "Water them")),
    # What begins on a line of its own is left as it is.
    ("@daily\n“Water them”", new("@daily", "“Water them”")),
    ('@daily\nOne.\n\n  Two “and"', new("@daily", 'One.\n\n  Two “and"')),
    ('@daily Buy a 5" screw', new("@daily", 'Buy a 5" screw')),
    ("@daily " + "word " * 500, new("@daily", ("word " * 500).strip())),
    ("for Family @daily Hi", new("@daily", "Hi", "Family")),
    ("for “Our family” @daily Hi", new("@daily", "Hi", "Our family")),
    ("tz Europe/Berlin @daily Hi", new("@daily", "Hi", tz="Europe/Berlin")),
    (
        "title “Good morning” late 2h times 5 until 2026-12-24 18:00 @daily Hi",
        new("@daily", "Hi", title="Good morning", late="2h", times="5", until="2026-12-24 18:00"),
    ),
    ("until in 30d late no every 1d Hi", new("every 1d", "Hi", until="in 30d", late="no")),
    ("until none @daily Hi", new("@daily", "Hi", until="none")),
    ("on mention Answer if it is a question", new("on mention", "Answer if it is a question")),
    ("On call: say who is there", new("On call", "say who is there")),
    (
        'on {"kinds":[9], "#h":["here"]} Sum it up',
        new('on {"kinds":[9], "#h":["here"]}', "Sum it up"),
    ),
    ('on {"kinds":[1],"#t":["a b"]}\n{"x"}', new('on {"kinds":[1],"#t":["a b"]}', '{"x"}')),
    ("gate “test -e dry” @daily Water", new("@daily", "Water", gate="test -e dry")),
    # The prompt's own words are never taken for options.
    ("@daily title until for late", new("@daily", "title until for late")),
    # What is wrong with these their reader says, who knows how to write it right.
    ("every Monday water them", new("every Monday", "water them")),
    ("99 99 * * * Look", new("99 99 * * *", "Look")),
    ("2026-12-24 Merry", new("2026-12-24", "Merry")),
]


@pytest.mark.parametrize(("text", "command"), NEW, ids=[text[:40] for text, _ in NEW])
def test_a_time_is_told_from_what_is_to_be_done(text: str, command: NewTask) -> None:
    assert parse(f"/task new {text}") == command


READ: list[tuple[str, asked.Command]] = [
    ("", asked.ListTasks()),
    ("3f2a", asked.ShowTask("3f2a")),
    ("show 3f2a", asked.ShowTask("3f2a")),
    ("show Water the plants", asked.ShowTask("Water the plants")),
    ("Water the plants", asked.ShowTask("Water the plants")),
    ("pause Water the plants", asked.PauseTask("Water the plants")),
    ("Resume 3f2a", asked.PauseTask("3f2a", on=False)),
    ("3f2a pause", asked.PauseTask("3f2a")),
    ("3f2a runs", asked.TaskRuns("3f2a")),
    ('"pause"', asked.ShowTask("pause")),
    ("cancel “run”", asked.CancelTask("run")),
    ("run 3f2a", asked.RunTask("3f2a")),
    ("runs 3f2a 20", asked.TaskRuns("3f2a", 20)),
    ("runs 2026", asked.TaskRuns("2026")),
    ("edit 3f2a when 0 9 * * *", asked.EditTask("3f2a", Wanted(when="0 9 * * *"))),
    ("edit 3f2a title Water the plants", asked.EditTask("3f2a", Wanted(title="Water the plants"))),
    ("edit 3f2a gate none", asked.EditTask("3f2a", Wanted(gate="none"))),
    ("edit 3f2a when on mention", asked.EditTask("3f2a", Wanted(when="on mention"))),
    ("edit “Water them” times none", asked.EditTask("Water them", Wanted(times="none"))),
    ("edit 3f2a prompt Be “brief” now", asked.EditTask("3f2a", Wanted(prompt="Be “brief” now"))),
    ("edit 3f2a prompt\n“Brief”\n", asked.EditTask("3f2a", Wanted(prompt="“Brief”"))),
    (
        "edit 3f2a when every 1d until in 30d title A b c late 2h version 0a1b2c3d prompt Go on",
        asked.EditTask(
            "3f2a",
            Wanted(when="every 1d", until="in 30d", title="A b c", late="2h", prompt="Go on"),
            "0a1b2c3d",
        ),
    ),
]


@pytest.mark.parametrize(("text", "command"), READ, ids=[text[:40] for text, _ in READ])
def test_every_other_form(text: str, command: asked.Command) -> None:
    assert parse(f"/task {text}") == command


BAD = [
    ("new", "Say when, and what is to be done: 0 16"),
    ("new title A", "Say when"),
    ("new title", "after title comes a value"),
    ("new title A title B @daily Hi", "title is said twice"),
    ("new tomorrow at nine: swim", '"tomorrow" is no time. First say when: 0 16'),
    ("new Water the plants at 0 16 * * *", '"Water" is no time'),
    ("new @daily", "Say what is to be done"),
    ("new 0 16 * * 1-5", "Say what is to be done"),
    ('new "0 16 * * 1-5', "is not closed"),
    ("edit", "Say which task"),
    ("edit 3f2a", "Say what is to change: when, prompt, title"),
    ("edit 3f2a version 0a1b2c3d", "Say what is to change"),
    ("edit 3f2a when", "Say when"),
    ("edit 3f2a prompt", "the new prompt after the word"),
    ("edit 3f2a titel B", "Did you mean title?"),
    ("edit 3f2a colour red", 'has no "colour"; it has when'),
    ("edit 3f2a when @daily when @daily", "said twice"),
    ("pause", "Say which task"),
    ("runs", "Say which task"),
    ("runs 3f2a 99", "1 to 50 runs"),
    ("3f2a edit", "what to do comes first"),
    ("cancle 3f2a", "Did you mean cancel?"),
]


@pytest.mark.parametrize(("text", "words"), BAD, ids=[text for text, _ in BAD])
def test_what_is_wrong_is_said(text: str, words: str) -> None:
    read = parse(f"/task {text}")
    assert isinstance(read, Bad)
    assert words.casefold() in read.sentence.casefold()
    assert read.about == "task"


def test_a_prompt_of_10_kilobytes_is_read_so_that_its_own_sentence_is_said() -> None:
    read = parse("/task new @daily " + "x" * 10_000)
    assert isinstance(read, NewTask)
    assert len(read.wanted.prompt or "") == 10_000


@given(st.text(max_size=120), st.sampled_from(["", "new ", "new @daily ", "edit 3f2a ", "runs "]))
def test_any_text_is_read_or_refused_in_words(text: str, head: str) -> None:
    read = parse(f"/task {head}{text}")
    assert read is not None
    assert not isinstance(read, Bad) or read.sentence
