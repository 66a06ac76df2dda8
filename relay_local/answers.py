"""Shell: rules of writing that ask the store: who may answer is named by what is answered.

They come after `access.may_write` and before anything is stored, for what is brought here by
somebody; what an import brings has been judged before.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator

from nips.event import Event
from nips.kinds import Kind
from nips.refusal import Prefix, Refusal
from relay_local.access import room
from relay_local.repertoire import ANSWERING_KINDS
from relay_local.retention import parse_address
from relay_local.transaction import Transaction
from relay_local.world import World

GATE = 46_010


def objection(transaction: Transaction, world: World, event: Event) -> Refusal | None:
    """Why an event is refused for what is, or is not, stored; None when nothing is against it."""
    if world.public:
        return None
    for rule in _RULES:
        if (refusal := rule(transaction, world, event)) is not None:
            return refusal
    return None


def permission_is_given_by_whom_the_gate_names(
    transaction: Transaction, world: World, event: Event
) -> Refusal | None:
    """Attack: an answer to a question that was put to somebody else, or to none that was ever
    asked, lying in wait for one of that id."""
    if event.kind not in ANSWERING_KINDS:
        return None
    run = event.tag("d")
    asked = transaction.tagged("p", event.pubkey, (GATE,))
    if run and any(_run(gate) == run for gate in asked):
        return None
    return Refusal(Prefix.RESTRICTED, "no gate of this run names you as its approver")


def jobs_are_cancelled_by_who_asked_or_is_in_charge(
    transaction: Transaction, world: World, event: Event
) -> Refusal | None:
    """Anybody else would stop other people's work. Whose message a job answers may call it off."""
    if event.kind != Kind.JOB_CANCEL or event.pubkey in (world.router, world.owner):
        return None
    group = world.groups.by_id.get(event.tag("h") or "")
    if group is not None and group.is_admin(event.pubkey):
        return None
    jobs = [transaction.event(value) for value in event.values("e") if _is_id(value)]
    if len(jobs) == 1 and (job := jobs[0]) is not None and job.kind == Kind.JOB_REQUEST:
        messages = [transaction.event(value) for value in job.values("e") if _is_id(value)]
        asked = any(one is not None and one.pubkey == event.pubkey for one in messages)
        if asked and job.tag("h") == event.tag("h"):
            return None
    return Refusal(
        Prefix.RESTRICTED, "a job is cancelled by who asked for it, the owner or a group's admin"
    )


def a_job_that_has_ended_stays_what_it_is(
    transaction: Transaction, world: World, event: Event
) -> Refusal | None:
    """Clients take the newest of result and cancel for the end: a late cancel would turn what was
    answered into what was not."""
    if event.kind != Kind.JOB_CANCEL or event.pubkey == world.router:
        return None
    ends = (Kind.JOB_RESULT, Kind.JOB_ERROR, Kind.JOB_CANCEL)
    for job in filter(_is_id, event.values("e")):
        if any(
            end.kind != Kind.JOB_CANCEL or end.tag("status") is not None
            for end in transaction.tagged("e", job, ends)
            if end.pubkey == world.router
        ):
            return Refusal(Prefix.BLOCKED, "this job has ended; there is nothing to call off")
    return None


def an_agent_names_what_its_own_group_holds(
    transaction: Transaction, world: World, event: Event
) -> Refusal | None:
    """Attack: an answer to, or a reaction on, another group's message, whose id then goes out to
    the wrong people and whose own people see it answered; a report that takes another group's
    message for answered. Main may: who reads it reads everything."""
    group = event.tag("h")
    is_agents = event.pubkey == world.bot or event.pubkey in world.sessions
    if not is_agents or group is None or (world.roles and group == world.roles.main):
        return None
    for named in _named(transaction, event):
        if (held_by := room(named)) is not None and held_by != group:
            return Refusal(Prefix.RESTRICTED, "an agent names only what its own group holds")
    return None


def what_is_public_names_nothing_that_a_group_holds(
    transaction: Transaction, world: World, event: Event
) -> Refusal | None:
    """Attack: a reaction or a comment for everybody, on what was said in a conversation: its id and
    who said it would go out to public relays."""
    if event.pubkey != world.bot or event.tag("h") is not None:
        return None
    if any(room(named) is not None for named in _named(transaction, event)):
        return Refusal(Prefix.RESTRICTED, "what is public names nothing that a group holds")
    return None


def _named(transaction: Transaction, event: Event) -> Iterator[Event]:
    """The stored events that an event names by id or address."""
    for tag in event.tags:
        if tag[0] not in ("e", "q", "a", "E", "A") or len(tag) < 2:
            continue
        # Attack: an id in capitals, which is none to us and the same one to whoever reads it.
        kind, _, rest = tag[1].partition(":")
        author, separator, d = rest.partition(":")
        if _is_id(tag[1].lower()):
            found = transaction.event(tag[1].lower())
        else:
            where = parse_address(f"{kind}:{author.lower()}{separator}{d}")
            found = transaction.at(where) if where else None
        if found is not None:
            yield found


_Rule = Callable[[Transaction, World, Event], Refusal | None]
_RULES: tuple[_Rule, ...] = (
    permission_is_given_by_whom_the_gate_names,
    jobs_are_cancelled_by_who_asked_or_is_in_charge,
    a_job_that_has_ended_stays_what_it_is,
    an_agent_names_what_its_own_group_holds,
    what_is_public_names_nothing_that_a_group_holds,
)


def _run(gate: Event) -> str | None:
    try:
        content = json.loads(gate.content)
    except (ValueError, RecursionError):
        return None
    run = content.get("run") if isinstance(content, dict) else None
    return run if isinstance(run, str) else None


def _is_id(value: str) -> bool:
    return len(value) == 64 and all(digit in "0123456789abcdef" for digit in value)
