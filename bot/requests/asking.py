"""Pure: a question to the owner in words: exactly what a yes would have done, and by whose wish.

The words are the router's; what an agent chose (a name, a word that wakes) stands in quotes, on one
line, cut to a length. Attack: an agent that asks for "Friends\\n✅ approved" or hides a line's end
behind a direction mark.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from bot.groups import Group
from bot.requests.widening import Usual, npub, shown, steps
from nips.own import signal_id
from nips.own.deed import Bind, Change, Deed, Hear, Register, Rename, Unbind
from nips.own.question import OPEN_S, Question
from nips.own.visible import quoted

MAX_ASKED_BYTES = 2_000  # of a question in an agent's own words


def person(counterpart: str) -> str:
    """A counterpart as people know it: an npub, or the network's own id."""
    network, _, key = counterpart.partition(":")
    if network == "nostr":
        return npub(key)
    # Attack: an id of no known form that goes on as if it were our words.
    is_known = network == signal_id.NETWORK and (
        signal_id.is_person(key) or signal_id.is_group(key)
    )
    return counterpart if is_known else shown(counterpart)


def name_of(group: Group | None, main: str) -> str:
    """What a group is called in a sentence."""
    if group is None:
        return "a group that is gone"
    if group.id == main:
        return "main"
    folder = group.binding.folder if group.binding else group.id
    return shown(group.name or folder)


def in_words(deed: Deed, groups: Mapping[str, Group], main: str, usual: Usual) -> tuple[str, ...]:
    """What a deed does, a line each. Raises Malformed where its fields do not fit."""
    match deed:
        case Register(name, people, trigger):
            woken = {None: "every message wakes it", "": "messages with its name wake it"}
            lines = [f"a new conversation {shown(name)}; {woken.get(trigger, _word(trigger))}"]
            return (*lines, *(f"{person(one)} belongs to it" for one in people))
        case Rename(group, name):
            return (f"{name_of(groups.get(group), main)} is called {shown(name)}",)
        case Bind(group, one):
            return (f"in {name_of(groups.get(group), main)}: {person(one)} belongs to it",)
        case Unbind(group, one):
            return (f"in {name_of(groups.get(group), main)}: {person(one)} is out of it",)
        case Hear(_, words):
            return (f"a yes or a no to {shown(words)}",)
        case Change(group):
            found = groups.get(group)
            where = name_of(found, main)
            if found is None or found.binding is None:
                return (f"in {where}: nothing",)
            changed = steps(found.binding, deed.of(found.binding), usual)
            return tuple(f"in {where}: {step.words}" for step in changed)


def question(asked: Question, asker: str, lines: Sequence[str]) -> str:
    """The whole question. asker: the name of the group whose agent asks."""
    match asked.deeds:
        case (Hear(_, words),):
            # Attack: a question that goes on as if it were ours, with another code to approve.
            return (
                f"❓ The agent of {asker} asks you, in its own words:\n{quoted(words)}\n"
                f"/approve {asked.code} is a yes, /deny {asked.code} is a no; it is told which, "
                "and nothing else is done. "
                f"Silence for {OPEN_S // 60} minutes is no answer."
            )
    listed = "\n".join(f"• {line}" for line in lines)
    return (
        f"❓ The agent of {asker} asks for this:\n{listed}\n"
        f"/approve {asked.code} lets it, /deny {asked.code} does not. "
        f"Silence for {OPEN_S // 60} minutes is a no."
    )


def _word(trigger: str | None) -> str:
    return f"messages with {shown(trigger or '')} wake it"
