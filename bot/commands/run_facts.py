"""Shell: what is known of runs, put together from the parts that know it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from bot.commands.facts import Money, RunFacts
from bot.commands.group_facts import WORKING
from bot.commands.hands import Hands
from bot.commands.history import History
from bot.commands.runs import Run
from bot.groups import Groups
from bot.tasks.telling import cut, named, slot_of
from nips.event import Event

QUOTED_CHARS = 80


def states(hands: Hands) -> Mapping[str, str]:
    """What the open runs are at, by their ids. To be asked for before the events are read: a run
    that ends meanwhile would be in neither."""
    return {each.job.id: each.state for each in hands.dispatch.states()}


async def run_facts(
    runs: Sequence[Run], at: Mapping[str, str], hands: Hands, history: History
) -> list[RunFacts]:
    """Each of them. at: as of `states`."""
    messages = await history.events(run.messages[0] for run in runs if run.messages)
    names = await history.names({event.pubkey for event in messages.values()})
    owners, now_s = _owners(hands), hands.author.now_s()
    return [_facts(run, at, hands, messages, names, owners, now_s) for run in runs]


def folder_of(group_id: str, hands: Hands) -> str:
    """What a group is called, where it is there."""
    found = next((group for group in hands.registry.all() if group.id == group_id), None)
    return found.binding.folder if found and found.binding else group_id[:8]


def _facts(
    run: Run,
    at: Mapping[str, str],
    hands: Hands,
    messages: Mapping[str, Event],
    names: Mapping[str, str],
    owners: frozenset[str],
    now_s: int,
) -> RunFacts:
    message = messages.get(run.messages[0]) if run.messages and run.task is None else None
    text = message.content if message else ""
    # What is said in another conversation is not repeated into this one.
    own = run.group == hands.roles.main
    said = f"“{cut(text, QUOTED_CHARS)}”" if own else f"a message of {len(text):,} characters"
    what, task, slot = said if message else "a message that is gone", None, None
    if run.task is not None:
        task = run.task.name.partition("/")[2]
        known = hands.tasks.named(run.task.name)
        what = f"the scheduled task {named(known) if known else run.task.short_id}"
        slot = slot_of(run.task.slot, known.tz if known else "UTC", hands.tasks.zone)
    begun_s = min(run.begun, default=None)
    cost = hands.spending.of_job(run.id)
    return RunFacts(
        id=run.id,
        group=folder_of(run.group, hands),
        state=run.end or ("at work" if at.get(run.id) in WORKING else "waiting"),
        asked_at=run.created_at,
        asked_by="" if message is None else _who(message, names, owners),
        what=what,
        messages=len(run.messages),
        not_before=run.not_before,
        begun=run.begun,
        ended_at=run.ended_at,
        lasted_s=run.lasted_s(now_s),
        words=run.words,
        cost=None
        if cost is None
        else Money(None, cost.use.input + cost.use.output, cost.use.microusd),
        task=task,
        slot=None if slot is None else slot.name,
        slot_at=None if slot is None else slot.local,
        delay_s=None
        if slot is None or slot.at_s is None or begun_s is None
        else max(0, begun_s - slot.at_s),
    )


def _who(message: Event, names: Mapping[str, str], owners: frozenset[str]) -> str:
    return "you" if message.pubkey in owners else names[message.pubkey]


def _owners(hands: Hands) -> frozenset[str]:
    """The keys by which the owner speaks: in main no other puppet is."""
    main = next(group for group in hands.registry.all() if group.id == hands.roles.main)
    return Groups({main.id: main}).owners(main.id, hands.owner)
