"""Pure: what of a change to a group's rules gives somebody more, and what each change is in words.

An agent may have its own conversation narrowed at once. Whatever could let more people, more
messages, more models, another backend or more money in is the owner's to say, and so is what cannot
be compared. What an agent chose stands in quotes, on one line, cut to a length.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from bot.budgets import UNLIMITED
from nips.key import is_public_key
from nips.nip19 import encode_npub
from nips.own.binding import Binding, Budget, Quiet

MAX_SHOWN_CHARS = 80
_SHOWN_KEYS = 3


@dataclass(frozen=True, slots=True)
class Step:
    """One thing that changes: in words, and whether the owner must be asked."""

    words: str
    widens: bool


@dataclass(frozen=True, slots=True)
class Usual:
    """What holds where a binding says nothing: the models' names, the day's budget, the
    backends' names."""

    models: Collection[str] = ()
    budget: Budget = UNLIMITED
    backends: Collection[str] = ()


def steps(before: Binding, after: Binding, usual: Usual) -> tuple[Step, ...]:
    """What changes from one binding to the other, of the fields that an agent may change."""
    found: list[Step] = []
    if before.trigger != after.trigger:
        # Of two words nobody can say which one is said more often.
        found.append(Step(_trigger(after.trigger), before.trigger is not None))
    if before.senders != after.senders:
        is_open = after.senders == "members"
        who = "every member" if is_open else "only you, the admins and bridged people"
        found.append(Step(f"{who} may have work done", is_open))
    found += _muting(before.muted, after.muted)
    if before.agents != after.agents:
        words = "other agents may wake it" if after.agents else "no other agent wakes it"
        found.append(Step(words, after.agents))
    if before.owner_speaks != after.owner_speaks:
        goes = "goes out to its people on Signal" if after.owner_speaks else "stays here"
        found.append(Step(f"what you write in it {goes}", after.owner_speaks))
    if before.paused != after.paused:
        words = "it is paused" if after.paused else "it is paused no more"
        found.append(Step(words, not after.paused))
    if before.quiet != after.quiet:
        found.append(Step(_quiet(after.quiet), before.quiet is not None))
    if before.models != after.models:
        mine = set(usual.models if before.models is None else before.models)
        more = after.models is None or not mine.issuperset(after.models)
        found.append(Step(_models(after.models), more))
    if before.backends != after.backends:
        # The built-in one uses nothing that costs or reads along. Of two orders neither is wider.
        had = {"builtin", *(usual.backends if before.backends is None else before.backends)}
        other = after.backends is None or not had.issuperset(after.backends)
        found.append(Step(_backends(after.backends), other))
    found += _budgets(before.budget, after.budget, usual.budget)
    return tuple(found)


def shown(text: str) -> str:
    """Somebody's words, fit to stand within ours: one line of what prints, in quotes."""
    plain = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    plain = plain.replace("“", "'").replace("”", "'")
    cut = plain if len(plain) <= MAX_SHOWN_CHARS else plain[: MAX_SHOWN_CHARS - 1] + "…"
    return f"“{cut}”"


def asks(found: Collection[Step]) -> bool:
    """Say whether any of the steps is the owner's to say."""
    return any(step.widens for step in found)


def _trigger(trigger: str | None) -> str:
    match trigger:
        case None:
            return "every message wakes it"
        case "":
            return "only messages with its name wake it"
        case word:
            return f"only messages with {shown(word)} wake it"


def _muting(before: Collection[str], after: Collection[str]) -> list[Step]:
    found = []
    if heard := sorted(set(before) - set(after)):
        found.append(Step(f"{_people(heard)} may wake it again", widens=True))
    if muted := sorted(set(after) - set(before)):
        found.append(Step(f"{_people(muted)} cannot wake it", widens=False))
    return found


def _people(keys: Collection[str]) -> str:
    shown = [npub(key) for key in list(keys)[:_SHOWN_KEYS]]
    more = [f"{len(keys) - len(shown)} more"] if len(keys) > len(shown) else []
    return ", ".join([*shown, *more])


def npub(key: str) -> str:
    """A key (hex) as people know it; what is no point of the curve stands as it is."""
    return encode_npub(key) if is_public_key(key) else key


def _quiet(quiet: Quiet | None) -> str:
    if quiet is None:
        return "it has no quiet hours"
    return f"it is quiet from {quiet.start} to {quiet.end} ({quiet.zone})"


def _models(models: Collection[str] | None) -> str:
    if models is None:
        return "it may use the models that are configured"
    return f"it may use {', '.join(map(shown, models)) or 'no model'}"


def _backends(backends: Collection[str] | None) -> str:
    if not backends:
        return "it works with what is configured"
    return f"it works with {', then '.join(map(shown, backends))}"


def _budgets(before: Budget, after: Budget, usual: Budget) -> list[Step]:
    found = []
    for name, unit in (("runs", "runs"), ("tokens", "tokens"), ("microusd", "µ$")):
        old, new, default = (getattr(one, name) for one in (before, after, usual))
        if old == new:
            continue
        had, has = (default if value is None else value for value in (old, new))
        more = had is not None and (has is None or has > had)
        if new is None:
            words = f"its {name} of a day have the usual limit"
        else:
            words = f"at most {_amount(new, unit)} a day"
        found.append(Step(words, more))
    return found


def _amount(value: int, unit: str) -> str:
    return f"${value / 1_000_000:,.2f}" if unit == "µ$" else f"{value:,} {unit}"
