"""Shell: what is known of a conversation, put together from the parts that know it."""

from __future__ import annotations

from collections import Counter

from bot import address
from bot.budgets import Status
from bot.commands.facts import GroupFacts, Money
from bot.commands.hands import Hands
from bot.groups import Group
from nips.nip19 import encode_npub
from nips.nip29 import GroupRole
from nips.own.binding import Binding, Budget

WORKING = frozenset({"running", "stopping"})  # of `JobState.state`: it has a place


def group_facts(group: Group, hands: Hands, *, whole: bool = False) -> GroupFacts:
    """One conversation. whole: with what costs more, and people's addresses in full."""
    binding = group.binding or Binding(group.id, group.id[:8])
    states = Counter(
        each.state in WORKING for each in hands.dispatch.states() if each.job.group == group.id
    )
    spent = hands.spending.status(group.id) if whole else []
    quiet = binding.quiet
    trigger = binding.trigger
    if trigger == "":
        trigger = hands.personas.trigger(group.id)
    typed = [
        key
        for key, roles in group.members.items()
        if key != hands.roles.bot and GroupRole.PUPPET not in roles
    ]
    return GroupFacts(
        id=group.id,
        name=group.name,
        folder=binding.folder,
        own=group.id == hands.roles.main,
        people=tuple(_person(each, hands, whole=whole) for each in binding.counterparts),
        members=len(typed),
        trigger=trigger,
        room=binding.room,
        archived=binding.archived,
        paused=binding.paused,
        senders=binding.senders,
        muted=tuple(encode_npub(key) for key in binding.muted),
        agents=binding.agents,
        owner_speaks=binding.owner_speaks,
        quiet=f"{quiet.start} to {quiet.end} ({quiet.zone})" if quiet else None,
        models=binding.models,
        budget=limits_of(binding.budget),
        spent=spent_of(spent[0]) if spent else None,
        persona=hands.personas.of(group.id).name or "",
        working=states[True],
        waiting=states[False],
        backends=binding.backends,
        works_with=tuple(map(str, hands.backends_of(group.id))),
    )


def _person(counterpart: str, hands: Hands, *, whole: bool) -> str:
    key = counterpart.removeprefix("nostr:")
    if hands.roles.role_of(key) == "chat":
        return "the terminal"
    if key == hands.owner:
        return "you"
    return address.whole(counterpart) if whole else address.short(counterpart)


def limits_of(budget: Budget) -> Money:
    """A budget as an amount."""
    return Money(budget.runs, budget.tokens, budget.microusd)


def spent_of(status: Status) -> Money:
    """What was used, as an amount."""
    return Money(status.spent.runs, status.spent.tokens, status.spent.microusd)
