"""Pure: what becomes of a message: work, work for later, something to be remembered, nothing.

Rules are small functions named as what they say; the first that has something against the
message wins. The relay has let it in; what is decided here is only who is answered, and when.
Source: PROTOCOL.md "Which messages are work".
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, tzinfo

from bot import quiet, trigger
from bot.groups import Group
from nips import nip32
from nips.event import Event
from nips.kinds import Kind
from nips.nip29 import GroupRole
from nips.own.binding import Binding
from nips.own.question import ANSWER_TAG
from nips.own.roles import Roles

MESSAGE_KINDS = frozenset({Kind.CHAT, Kind.BUZZ_CHAT})
TRUSTED_ROLES = (GroupRole.OWNER, GroupRole.ADMIN, GroupRole.PUPPET)
MAX_AGENTS_IN_A_ROW = 3


@dataclass(frozen=True, slots=True)
class Work:
    """The message is to be answered by the group's agent."""

    group: str
    message: str


@dataclass(frozen=True, slots=True)
class Later:
    """It is to be answered, and not before `until_s` (unix seconds)."""

    group: str
    message: str
    until_s: int


@dataclass(frozen=True, slots=True)
class Context:
    """It starts nothing, and the next run reads it as what was said before. `reason` is for the
    log and quotes nothing of it."""

    reason: str


@dataclass(frozen=True, slots=True)
class Ignored:
    """It is as if it had not been written; `reason` as in `Context`."""

    reason: str


Outcome = Work | Later | Context | Ignored


@dataclass(frozen=True, slots=True)
class Around:
    """What a decision needs besides the message and its group.

    now_s: unix seconds. name: what the assistant is called in this group. owners: the keys by
    which the owner speaks (`Groups.owners`). zone: of the group's quiet hours. answers_us: the
    message answers one of the bot's or the router's. echoes_us: its `proxy` tag names one of
    these. agents_before: how many messages of agents came since the last one of a person.
    """

    now_s: int
    name: str
    owners: frozenset[str]
    zone: tzinfo = UTC
    answers_us: bool = False
    echoes_us: bool = False
    agents_before: int = 0


@dataclass(frozen=True, slots=True)
class Case:
    """One message. `group`: the one it names, None where the router knows none of that id."""

    event: Event
    group: Group | None
    roles: Roles
    around: Around

    def has_role(self, *roles: str) -> bool:
        """Say whether the author has one of these roles in the group."""
        given = self.group.members.get(self.event.pubkey, ()) if self.group else ()
        return any(role in given for role in roles)


Against = Context | Ignored | None
Rule = Callable[[Case], Against]


def route(event: Event, group: Group | None, roles: Roles, around: Around) -> Outcome:
    """Decide on a message (kind 9, or 40002 of the Buzz dialect) that arrived."""
    case = Case(event, group, roles, around)
    for rule in RULES:
        if against := rule(case):
            return against
    assert group is not None
    until_s = quiet_until_s(case)
    return Work(group.id, event.id) if until_s is None else Later(group.id, event.id, until_s)


def is_by_agent(event: Event, group: Group | None) -> bool:
    """Say whether a program wrote it: by NIP-32's label, or as a member of that role."""
    if group is not None and GroupRole.AGENT in group.members.get(event.pubkey, ()):
        return True
    return nip32.is_by_agent(event.tags)


def may_set_off(event: Event, group: Group | None) -> bool:
    """Say whether what somebody says in a group may set off a task there.

    Attack: whom the owner has muted has work done by a task that waits for messages. Or another
    assistant in the group, or somebody's bridge that brings our own words back, and ours set off
    each other.
    """
    if group is None or group.is_muted(event.pubkey) or is_by_agent(event, group):
        return False
    return event.tag("proxy") is None or group.has(event.pubkey, GroupRole.PUPPET)


def is_owners_answer(event: Event, roles: Roles) -> bool:
    """Say whether the router tells here what the owner answered to a question of the agent's.
    Attack: anybody else writes the tag, to have work done as the owner."""
    return event.pubkey == roles.router and event.tag(ANSWER_TAG) is not None


def is_of_the_house(pubkey: str, roles: Roles) -> bool:
    """Say whether a key is one of our parts', or was; the owner is none."""
    return pubkey in roles.former or roles.role_of(pubkey) not in (None, "owner")


def it_is_a_message(case: Case) -> Against:
    return None if case.event.kind in MESSAGE_KINDS else Ignored("not a message")


def its_group_is_a_conversation(case: Case) -> Against:
    if case.group is None or case.group.binding is None:
        return Ignored("its group is no registered conversation")
    return None


def its_group_is_not_archived(case: Case) -> Against:
    return Ignored("its group is archived") if _binding(case).archived else None


def the_assistant_is_in_its_group(case: Case) -> Against:
    assert case.group is not None
    if case.roles.bot in case.group.members:
        return None
    return Ignored("the assistant is no member of its group")


def the_house_does_not_answer_itself(case: Case) -> Against:
    """Two answers to one another would never end, at the owner's cost."""
    if is_owners_answer(case.event, case.roles):
        return None  # each of them costs the owner a command, so that ends
    if is_of_the_house(case.event.pubkey, case.roles):
        return Ignored("by a part of the house")
    return None


def it_is_no_echo(case: Case) -> Against:
    """A message that came back, or that somebody else's bridge brings as well, is there already:
    answering it is answering twice, or answering oneself."""
    if case.around.echoes_us:
        return Ignored("an echo of a message of the house")
    # NIP-48: a proxy tag says where a message was first; only our bridges write for puppets.
    if case.event.tag("proxy") is not None and not case.has_role(GroupRole.PUPPET):
        return Ignored("brought by somebody else's bridge")
    return None


def agents_do_not_keep_each_other_busy(case: Case) -> Against:
    if not is_by_agent(case.event, case.group) or is_owners_answer(case.event, case.roles):
        return None
    if not _binding(case).agents:
        return Context("by an agent")
    if case.around.agents_before >= MAX_AGENTS_IN_A_ROW:
        return Context("agents have been among themselves for too long")
    return None


def its_author_is_not_muted(case: Case) -> Against:
    assert case.group is not None
    return Context("its author is muted") if case.group.is_muted(case.event.pubkey) else None


def its_author_may_have_work_done(case: Case) -> Against:
    if case.has_role(*TRUSTED_ROLES) or is_owners_answer(case.event, case.roles):
        return None
    assert case.group is not None
    if _binding(case).senders == "members" and case.event.pubkey in case.group.members:
        return None
    # An agent in a group where agents may: that it is a member is what lets it write at all.
    if _binding(case).agents and case.has_role(GroupRole.AGENT):
        return None
    return Context("its author may not have work done here")


def its_group_is_not_paused(case: Case) -> Against:
    return Context("its group is paused") if _binding(case).paused else None


def the_assistant_is_called(case: Case) -> Against:
    wanted = _binding(case).trigger
    if wanted is None or case.around.answers_us or case.roles.bot in case.event.values("p"):
        return None
    text = case.event.content
    word = wanted or f"@{case.around.name.removeprefix('@')}"
    if (word != "@" and trigger.says(text, word)) or trigger.names(text, case.roles.bot):
        return None
    return Context("the trigger is not in it")


RULES: tuple[Rule, ...] = (
    it_is_a_message,
    its_group_is_a_conversation,
    its_group_is_not_archived,
    the_assistant_is_in_its_group,
    the_house_does_not_answer_itself,
    it_is_no_echo,
    agents_do_not_keep_each_other_busy,
    its_author_is_not_muted,
    its_author_may_have_work_done,
    its_group_is_not_paused,
    the_assistant_is_called,
)


def quiet_until_s(case: Case) -> int | None:
    """Until when what the message asks for waits; None: for nothing.

    The owner is woken by nobody's answer but one they asked for; main is theirs alone.
    """
    hours = _binding(case).quiet
    if hours is None or case.event.pubkey in case.around.owners:
        return None
    if is_owners_answer(case.event, case.roles):
        return None
    assert case.group is not None
    if case.group.id == case.roles.main:
        return None
    return quiet.ends_at_s(hours, case.around.zone, case.around.now_s)


def _binding(case: Case) -> Binding:
    assert case.group is not None
    assert case.group.binding is not None
    return case.group.binding
