"""Pure: what a day may cost, what it has cost, and in what words the end of it is told.

A conversation has a budget of its own (`nips.own.binding.Budget`) or the settings' default, and
all of them together have one. A day is a UTC day. What a run uses of language models the model
proxy counts and bounds; here it is decided whether a run begins.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from nips.own.binding import Budget
from nips.own.model_scope import ModelScope
from nips.own.spent import Refused

UNLIMITED = Budget()
NOTHING = Budget(0, 0, 0)


@dataclass(frozen=True, slots=True)
class Budgets:
    """The settings' budgets. group: of a conversation that has none of its own, limit by limit;
    everything: of all conversations together."""

    group: Budget = UNLIMITED
    everything: Budget = UNLIMITED


@dataclass(frozen=True, slots=True)
class Spent:
    """What was used on one day. microusd: millionths of a US dollar."""

    runs: int = 0
    tokens: int = 0
    microusd: int = 0


@dataclass(frozen=True, slots=True)
class Status:
    """A day of a conversation, or of all (`group` is then "all"): the limit with what was raised
    for the day, and what was used of it."""

    group: str
    limit: Budget
    spent: Spent
    raised: Budget = NOTHING


def own_or(own: Budget, default: Budget) -> Budget:
    """A budget, with the default for each limit that it does not set."""
    return Budget(
        default.runs if own.runs is None else own.runs,
        default.tokens if own.tokens is None else own.tokens,
        default.microusd if own.microusd is None else own.microusd,
    )


def reached(budget: Budget, spent: Spent) -> str | None:
    """Which of a day's limits is reached, as in "20 of 20 runs"; None while none is."""
    if budget.runs is not None and spent.runs >= budget.runs:
        return f"{spent.runs:,} of {budget.runs:,} runs"
    if budget.tokens is not None and spent.tokens >= budget.tokens:
        return f"{spent.tokens:,} of {budget.tokens:,} tokens"
    if budget.microusd is not None and spent.microusd >= budget.microusd:
        return f"{dollars(spent.microusd)} of {dollars(budget.microusd)}"
    return None


def scope(
    models: ModelScope | None, names: Sequence[str] | None, group: Budget, everything: Budget
) -> ModelScope | None:
    """What a session may ask of language models: of those that its conversation may use, and up to
    what the day has in all. None where that is no model.

    The limits are the day's own and not what is left of it, so two sessions at once share them.
    names: of the conversation's models; None: as configured.
    """
    if models is None:
        return None
    left = models.names if names is None else tuple(n for n in models.names if n in names)
    if not left:
        return None
    return replace(
        models,
        names=left,
        group_tokens_per_day=group.tokens,
        group_microusd_per_day=group.microusd,
        tokens_per_day=everything.tokens,
        microusd_per_day=everything.microusd,
    )


def dollars(microusd: int) -> str:
    """Money for people, exact where it is less than a cent."""
    usd = microusd / 1_000_000
    return f"${usd:,.2f}" if microusd % 10_000 == 0 or usd >= 1 else f"${usd:.6f}".rstrip("0")


def told_there(why: str, *, everything: bool) -> str:
    """What the conversation itself is told when a budget is reached. why: as of `reached`."""
    whose = "of all my conversations together" if everything else "of this conversation"
    return (
        f"The budget {whose} is used up for today: {why}. I answer again after midnight UTC, or "
        "as soon as my owner allows more; please send your message again then."
    )


def asked_of_owner(name: str, why: str, *, everything: bool, is_main: bool) -> str:
    """What the owner is asked in main. name: of the conversation that was not answered."""
    target = "all" if everything else name
    unit = "usd" if why.startswith("$") else why.rsplit(" ", 1)[1]
    more = {"runs": "10", "tokens": "100000", "usd": "1"}[unit]
    whose = "all conversations together" if everything else "this conversation"
    begin = f"The budget of {whose} is" if is_main else f"In {name}: the budget of {whose} is"
    for_good = (
        "[budget] in nostrclaw.toml sets it for good"
        if everything
        else f"/budget {target} {unit} N allows N every day"
    )
    return (
        f"{begin} used up for today (UTC): {why}. "
        f"/budget {target} {unit} +{more} allows more today, {for_good}. "
        "A message that I left alone must be sent again."
    )


def refused_in_a_run(name: str, refused: Refused, *, is_main: bool) -> str:
    """What the owner is told of a run whose model was not asked."""
    begin = "" if is_main else f"In {name}: "
    if refused.by_ceiling:
        remedy = (
            "That limit stands in the signer's ceiling.toml, in the table [models]; change it "
            "there, on the machine, and restart nostrclaw."
        )
    else:
        unit = "usd" if " US dollars today" in refused.sentence else "tokens"
        target = "all" if "all conversations" in refused.sentence else name
        remedy = f"/budget {target} {unit} +N allows N more today."
    return f"{begin}a language model was not asked: {refused.sentence}. {remedy}"
