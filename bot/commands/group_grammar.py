"""Pure: what `/group …` may say after its name. The name may be several words: it ends where the
first word stands that tells what to do; between quotation marks it may hold such words too."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from types import MappingProxyType

from bot.commands import asked, terms
from bot.commands.asked import Bad, Command
from bot.commands.table import nearest
from bot.commands.terms import WrongTerm
from bot.commands.words import Word, rest, spoken
from nips.own import backend_name
from nips.refusal import Malformed

ABOUT = "group"
VERBS = (
    "rename", "bind", "unbind", "trigger", "senders", "mute", "unmute", "agents", "owner_speaks",
    "backend", "quiet", "archive", "restore", "delete",
)  # fmt: skip
MAX_NAME_CHARS = 100
MAX_TRIGGER_CHARS = 200


def read(text: str, words: Sequence[Word]) -> Command | Bad:
    """Read what follows `/group`: at least one word. Raises WrongTerm."""
    if words[0].key == "new":
        return _new(words[1:])
    at = next((i for i, word in enumerate(words) if word.key in VERBS), len(words))
    if at == 0:
        return Bad(f'Say which group: its name comes before "{words[0].text}".', ABOUT)
    group = spoken(words[:at])
    if at == len(words):
        return _misspelt(words) or asked.ShowGroup(group)
    return _change(text, group, words[at].key, words[at + 1 :])


def _misspelt(words: Sequence[Word]) -> Bad | None:
    """`/group Ann renam Anna` is not a group of that long name."""
    for word in words[1:]:
        near = nearest(word.key, VERBS) if len(word.key) > 2 else None
        if near:
            return Bad(f'/group knows no "{word.text[:40]}". Did you mean {near}?', ABOUT)
    return None


def _new(words: Sequence[Word]) -> Command | Bad:
    ends = [i for i, word in enumerate(words) if word.key in ("trigger", "with")]
    name = _name(spoken(words[: ends[0] if ends else None]))
    trigger: str | None = ""
    people: tuple[str, ...] = ()
    for here, end in pairwise((*ends, len(words))):
        given = words[here + 1 : end]
        if words[here].key == "trigger":
            trigger = _trigger(given)
        else:
            people = terms.counterparts(given)
    if [words[i].key for i in ends] in (["trigger", "trigger"], ["with", "with"]) or len(ends) > 2:
        return Bad("Say trigger and with once each.", ABOUT)
    return asked.NewGroup(name, trigger, people)


def _change(text: str, group: str, verb: str, given: Sequence[Word]) -> Command | Bad:
    match verb:
        case "rename":
            return asked.RenameGroup(group, _name(rest(text, given[0]) if given else ""))
        case "bind" | "unbind":
            return asked.BindGroup(group, terms.counterparts(given), verb == "bind")
        case "mute" | "unmute":
            return asked.Mute(group, terms.people(given), verb == "mute")
        case "trigger":
            return asked.ChangeGroup(group, _fields(trigger=_trigger(given)))
        case "senders":
            word = _one(given, "trusted or members")
            if word.key not in ("trusted", "members"):
                return Bad(f'Senders are trusted or members, not "{word.text[:40]}".', ABOUT)
            return asked.ChangeGroup(group, _fields(senders=word.key))
        case "agents" | "owner_speaks":
            on = terms.switch(_one(given, "on or off"))
            return asked.ChangeGroup(group, _fields(**{verb: on}))
        case "backend":
            return asked.SetBackends(group, _backends(given))
        case "quiet":
            return _quiet(group, given)
        case "archive" | "restore":
            _nothing(given, verb)
            return asked.ArchiveGroup(group, verb == "archive")
        case _:
            if given and (len(given) > 1 or given[0].key != "wipe"):
                return Bad(
                    'After delete comes nothing, or "wipe", which removes its files too.', ABOUT
                )
            return asked.DeleteGroup(group, bool(given))


def _backends(given: Sequence[Word]) -> tuple[str, ...] | None:
    if not given:
        raise WrongTerm("say what its agents work with: claude, openai or builtin, or default")
    if [word.key for word in given] == ["default"]:
        return None
    try:
        return tuple(map(str, backend_name.parse_all([w.text.strip(",") for w in given])))
    except Malformed as error:
        raise WrongTerm(str(error)) from error


def _quiet(group: str, given: Sequence[Word]) -> Command:
    if len(given) == 1 and given[0].key == "off":
        return asked.QuietHours(group)
    if not given:
        raise WrongTerm("say from when to when, such as 22:00-07:00, or off")
    *times, last = given
    if (times and "/" in last.text) or last.key in ("utc", "gmt"):
        zone = "UTC" if last.key in ("utc", "gmt") else last.text
        return asked.QuietHours(group, *terms.hours(spoken(times)), zone)
    return asked.QuietHours(group, *terms.hours(spoken(given)))


def _trigger(given: Sequence[Word]) -> str | None:
    if not given:
        raise WrongTerm("say the word that wakes me, or none, or default")
    match [word.key for word in given]:
        case ["none"]:
            return None
        case ["default"]:
            return ""
    word = spoken(given)
    if len(word) > MAX_TRIGGER_CHARS:
        raise WrongTerm(f"a trigger has at most {MAX_TRIGGER_CHARS} characters")
    if not any(char.isalnum() for char in word):
        raise WrongTerm("a trigger holds a letter or a digit, or it would be in every message")
    return word


def _name(given: str) -> str:
    name = " ".join(given.split())
    if not name:
        raise WrongTerm("say its name")
    if len(name) > MAX_NAME_CHARS or not name.isprintable():
        raise WrongTerm(f"a name has at most {MAX_NAME_CHARS} characters that can be seen")
    return name


def _one(given: Sequence[Word], forms: str) -> Word:
    if len(given) != 1:
        raise WrongTerm(f"write one of {forms}")
    return given[0]


def _nothing(given: Sequence[Word], verb: str) -> None:
    if given:
        raise WrongTerm(f"after {verb} comes nothing")


def _fields(**given: object) -> Mapping[str, object]:
    return MappingProxyType(given)
