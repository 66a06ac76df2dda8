"""Pure: whether a message of a group is work for the agent.

Rules are small functions named as what they say; the first that has a reason against it wins.
The relay has let the message in; what is decided here is only who is answered. A person in a
group of several is answered when the trigger is theirs to say and is said.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from bot.groups import Group
from nips.event import Event
from nips.kinds import Kind
from nips.nip29 import GroupRole
from nips.own.roles import Roles

MESSAGE_KINDS = frozenset({Kind.CHAT, Kind.BUZZ_CHAT})
AGENT_LABEL = ("L", "agent")
TRIGGERING_ROLES = (GroupRole.OWNER, GroupRole.ADMIN, GroupRole.PUPPET)


@dataclass(frozen=True, slots=True)
class Work:
    """The message is to be answered by the group's agent."""

    group: str
    message: str


@dataclass(frozen=True, slots=True)
class Ignored:
    """The message is left alone; `reason` is for the log and quotes nothing of it."""

    reason: str


Reason = str | None


@dataclass(frozen=True, slots=True)
class Case:
    """One message. `group`: the one it names, None where the router knows none of that id."""

    event: Event
    group: Group | None
    roles: Roles


def route(event: Event, group: Group | None, roles: Roles) -> Work | Ignored:
    """Decide on a message (kind 9, or 40002 of the Buzz dialect) that arrived."""
    case = Case(event, group, roles)
    for rule in RULES:
        if reason := rule(case):
            return Ignored(reason)
    assert group is not None
    return Work(group.id, event.id)


def it_is_a_message(case: Case) -> Reason:
    return None if case.event.kind in MESSAGE_KINDS else "not a message"


def its_group_is_a_conversation(case: Case) -> Reason:
    if case.group is None or case.group.binding is None:
        return "its group is no registered conversation"
    return None


def the_house_does_not_answer_itself(case: Case) -> Reason:
    """Two answers to one another would never end, at the owner's cost."""
    if case.roles.role_of(case.event.pubkey) not in (None, "owner"):
        return "by a part of the house"
    if any(tag[:2] == AGENT_LABEL for tag in case.event.tags):
        return "by an agent"
    return None


def its_author_may_have_work_done(case: Case) -> Reason:
    assert case.group is not None
    if any(case.group.has(case.event.pubkey, role) for role in TRIGGERING_ROLES):
        return None
    return "its author may not have work done here"


def the_trigger_is_said(case: Case) -> Reason:
    """A plain word, not an expression: an expression can be made to run for ever."""
    assert case.group is not None
    assert case.group.binding is not None
    trigger = case.group.binding.trigger
    if trigger is None:
        return None
    said = re.search(rf"(?<!\w){re.escape(trigger)}(?!\w)", case.event.content, re.IGNORECASE)
    return None if said else "the trigger is not in it"


RULES: tuple[Callable[[Case], Reason], ...] = (
    it_is_a_message,
    its_group_is_a_conversation,
    the_house_does_not_answer_itself,
    its_author_may_have_work_done,
    the_trigger_is_said,
)
