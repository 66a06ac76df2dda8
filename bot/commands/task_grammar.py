"""Pure: what `/task …` may say after its name.

    new [for GROUP] [title T] [tz ZONE] [late 2h|no] [until TIME] [times N] [gate C] WHEN PROMPT
    edit ID when|title|tz|late|until|times|gate VALUE … prompt TEXT
    show|pause|resume|cancel|run ID, runs ID [N]

WHEN is told from the prompt by its form: five fields, `@daily`, `every` or `in` and a span, a date
and a time, `on` and a word or a filter; or it stands between quotation marks. The prompt is all
that follows, lines and all; one that begins on a line of its own is left as it is. Nothing after it
is read, so a prompt may hold quotation marks that nobody closes.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping

from bot.commands import asked, terms
from bot.commands.asked import Bad, Command
from bot.commands.table import nearest
from bot.commands.terms import WrongTerm
from bot.commands.words import Word, rest, split, spoken, taken
from bot.schedule import duration
from bot.tasks.occasions import ON
from bot.tasks.wanted import ALL_FORMS, Wanted
from nips.refusal import Malformed

ABOUT = "task"
VERBS = ("new", "show", "edit", "pause", "resume", "cancel", "run", "runs")
OPTIONS = ("title", "tz", "late", "until", "times", "gate")
MAX_LISTED = 50
MAX_SPAN_WORDS = 8
CRON_FIELDS = 5
_ID = re.compile(r"[0-9a-f]{4,8}(?:-?[0-9a-f-]{0,28})", re.IGNORECASE)
_DATE = re.compile(r"\d{1,4}([-./])\d{1,2}\1\d{1,4}(?!\d)")
_TIME = re.compile(r"\d{1,2}:\d\d(:\d\d)?(Z|[+-]\d\d(:?\d\d)?)?[,:;]?", re.IGNORECASE)
_HEAD = re.compile(r"[@*\d]|(?:every|in|on)$", re.IGNORECASE)
_ENDING = ",:;"  # that people put between when and what


def read(text: str) -> Command | Bad:
    """Read what follows `/task`. Raises WrongTerm, Unreadable."""
    if (found := taken(text, 0)) is None:
        return asked.ListTasks()
    verb, at = found
    match verb.key:
        case "new":
            return _new(text, at)
        case "edit":
            return _edit(text, at)
        case key if key in VERBS:
            return _of_one(key, split(text[at:]))
    words = split(text)
    if len(words) == 2 and words[1].key in VERBS and _ID.fullmatch(words[0].text):
        return _of_one(words[1].key, words[:1])  # /task 3f2a pause
    near = nearest(verb.key, VERBS) if len(words) > 1 and len(verb.key) > 2 else None
    if near:
        return Bad(f'/task knows no "{verb.text[:40]}". Did you mean {near}?', ABOUT)
    return asked.ShowTask(spoken(words))


def _of_one(verb: str, words: tuple[Word, ...]) -> Command | Bad:
    count, named = (None, words)
    if verb == "runs" and len(words) > 1:
        count, named = terms.count_in(words, MAX_LISTED, "runs")
    if not named:
        return Bad(f"Say which task: its id or its title comes after {verb}. See /tasks.", ABOUT)
    task = spoken(named)
    match verb:
        case "new" | "edit":
            return Bad(f"Write it as /task {verb} …: what to do comes first.", ABOUT)
        case "show":
            return asked.ShowTask(task)
        case "pause" | "resume":
            return asked.PauseTask(task, verb == "pause")
        case "cancel":
            return asked.CancelTask(task)
        case "run":
            return asked.RunTask(task)
        case _:
            return asked.TaskRuns(task, count or asked.ListRuns().count)


def _new(text: str, at: int) -> Command | Bad:
    said: dict[str, str] = {}
    while (found := taken(text, at)) is not None:
        word, end = found
        if word.key not in (*OPTIONS, "for"):
            break
        said[word.key], at = _value(text, end, word.key, said)
    else:
        return Bad(f"Say when, and what is to be done: {ALL_FORMS}.", ABOUT)
    if not word.quoted and not _HEAD.match(word.text):
        return Bad(f'"{word.text[:40]}" is no time. First say when: {ALL_FORMS}.', ABOUT)
    when, at = _when(text, at)
    if not (prompt := _prompt(text, at)):
        return Bad("Say what is to be done: it comes after the time.", ABOUT)
    group = said.pop("for", None)
    return asked.NewTask(Wanted(when=when, prompt=prompt, **said), group)


def _edit(text: str, at: int) -> Command | Bad:
    if (found := taken(text, at)) is None:
        return Bad("Say which task: its id comes after edit. See /tasks.", ABOUT)
    task, at = found
    said: dict[str, str] = {}
    while (found := taken(text, at)) is not None:
        word, end = found
        match word.key:
            case "prompt":
                _once(said, word.key)
                said["prompt"] = _prompt(text, end)
                if not said["prompt"]:
                    raise WrongTerm("say the new prompt after the word")
                break
            case "when":
                _once(said, word.key)
                if taken(text, end) is None:
                    raise WrongTerm(f"say when: {ALL_FORMS}")
                said["when"], at = _when(text, end)
            case key if key in (*OPTIONS, "version"):
                said[key], at = _value(text, end, key, said)
            case _:
                if (titled := _more_of_title(said, word, text)) is None:
                    return _no_field(task, word)
                said["title"], at = titled, end
    version = said.pop("version", "")
    if not said:
        fields = ", ".join(("when", "prompt", *OPTIONS))
        return Bad(f"Say what is to change: {fields}, each with its new value.", ABOUT)
    return asked.EditTask(task.text, Wanted(**said), version)


def _more_of_title(said: Mapping[str, str], word: Word, text: str) -> str | None:
    """A title of several words may go on, where it was said last."""
    if list(said)[-1:] != ["title"] or word.quoted:
        return None
    return f"{said['title']} {word.text}"


def _no_field(task: Word, word: Word) -> Bad:
    fields = ("when", "prompt", *OPTIONS)
    near = nearest(word.key, fields) if len(word.key) > 2 else None
    meant = f" Did you mean {near}?" if near else ""
    return Bad(f'A task has no "{word.text[:40]}"; it has {", ".join(fields)}.{meant}', ABOUT)


def _value(text: str, at: int, name: str, said: Mapping[str, str]) -> tuple[str, int]:
    """The value of an option, and where it ends."""
    _once(said, name)
    if (found := taken(text, at)) is None:
        raise WrongTerm(f"after {name} comes a value")
    word, end = found
    if name == "until" and not word.quoted and word.key != "none":
        return _when(text, at)
    return word.text, end


def _once(said: Mapping[str, str], name: str) -> None:
    if name in said:
        raise WrongTerm(f"{name} is said twice")


def _when(text: str, at: int) -> tuple[str, int]:
    """When, as it is written from `at` on, where there is a word at least; and where it ends."""
    found = taken(text, at)
    assert found is not None
    word, end = found
    if word.quoted:
        return word.text, end
    start = word.start
    if word.key in ("every", "in"):
        end = _span_end(text, end)
    elif word.key == ON:
        end = _occasion_end(text, end)
    elif _DATE.match(word.text):
        end = end if ":" in word.text.rstrip(_ENDING) else _time_end(text, end)
    elif not word.key.startswith("@"):
        end = _end_of(text, end, CRON_FIELDS - 1)
    return text[start:end].rstrip(_ENDING), end


def _occasion_end(text: str, at: int) -> int:
    """Where what sets a task off ends that begins at `at`: a JSON object, or a word."""
    begin = at + len(text[at:]) - len(text[at:].lstrip())
    if text[begin : begin + 1] != "{":
        return _end_of(text, at, 1)
    try:
        _, end = json.JSONDecoder().raw_decode(text, begin)
    except (ValueError, RecursionError) as error:
        # A telephone's keyboard has other quotation marks than JSON.
        raise WrongTerm('that is no filter: write it as {"kinds":[1],"#p":["bot"]}') from error
    return int(end)


def _span_end(text: str, at: int) -> int:
    """Where a span of time ends that begins at `at`: it is as long as it can be read."""
    end, best = at, None
    for _ in range(MAX_SPAN_WORDS):
        found = taken(text, end)
        if found is None or found[0].quoted:
            break
        end = found[1]
        try:
            duration.parse_ms(text[at:end].strip().rstrip(_ENDING))
        except Malformed:
            continue
        best = end
    return best if best is not None else _end_of(text, at, 1)


def _time_end(text: str, at: int) -> int:
    """Where a time of day ends that stands after a date; `at` where none does."""
    found = taken(text, at)
    if found is None or found[0].quoted or not _TIME.fullmatch(found[0].text):
        return at
    return found[1]


def _end_of(text: str, at: int, count: int) -> int:
    """Where so many more words end, or the words."""
    for _ in range(count):
        found = taken(text, at)
        if found is None or found[0].quoted:
            break
        at = found[1]
    return at


def _prompt(text: str, at: int) -> str:
    following = text[at:]
    said = following.strip()
    if not said or following[: len(following) - len(following.lstrip())].count("\n"):
        return said
    return rest(text, Word("", start=at))
