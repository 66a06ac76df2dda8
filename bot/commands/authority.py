"""Pure: whose command it is, and so what it may do.

    by the owner's own key, in main                                  OWNER
    by a puppet in main, with the signer's order of that message     OWNER
    by the console's key, which asks the router itself               OWNER
    by a puppet in main, without                                     TALKER
    about the tasks of a group, there, by the owner's or an admin's
    own key                                                          OWNER of these tasks
    by anybody else, or anywhere else                                NOBODY

A puppet's event is written by the bridge, and the bridge is no authority: it also writes for the
terminal's chat, and taken over it would write whatever it liked. So what changes rights is taken
from a puppet only with an *order*: the signer has opened the sealed message itself, and says that
its author is the owner and what it says (`nips.own.order`).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, auto

from bot.groups import Group
from bot.routing import MESSAGE_KINDS, is_by_agent
from nips.event import Event
from nips.key import is_hex
from nips.nip29 import GroupRole
from nips.own import order as orders
from nips.own.roles import Roles
from nips.refusal import Malformed


class Authority(Enum):
    """What a command's author may do: all; read and stop; nothing."""

    OWNER = auto()
    TALKER = auto()
    NOBODY = auto()


@dataclass(frozen=True, slots=True)
class Standing:
    """whose: what the author may do. once: an id in hex, by which it is carried out once; of an
    order in a puppet's name the direct message's, whatever says that it repeats it. why: where an
    order does not count, in words."""

    whose: Authority
    once: str
    why: str = ""


NO_ORDER = (
    "This changes rights, so it needs your own signed word, and here it came without. Send it to "
    "me again as a direct message from your own key, or write it in this conversation with a "
    "client that has your key."
)
TOO_OLD = "That was written more than 15 minutes ago, so it no longer counts. Send it again."


def is_said_by_a_person(event: Event, group: Group | None, roles: Roles) -> bool:
    """Say whether a message of a group is a person's: no part's of ours, and no agent's."""
    # Attack: an agent that is talked into saying "/allow …": it says it as the bot.
    if event.kind not in MESSAGE_KINDS or roles.role_of(event.pubkey) not in (None, "owner"):
        return False
    return not is_by_agent(event, group)


def rumor_of(event: Event) -> str | None:
    """The id of the direct message that a puppet's message repeats."""
    named = [tag[1] for tag in event.tags if tag[0] == "proxy" and tag[2:] == ("nostr",)]
    # Two would let the bridge choose which of two orders the words are.
    return named[0] if len(named) == 1 and is_hex(named[0], 32) else None


def standing(
    event: Event, group: Group | None, roles: Roles, owner: str, order: Event | None, now_s: int
) -> Standing:
    """Judge a person's message. owner: in hex. order: the signer's event for `rumor_of(event)`,
    where the relay has one.

    What is too old is not believed, whoever signed it: somebody may have kept it back until it
    does harm.
    """
    if group is None or group.id != roles.main or event.values("h") != [roles.main]:
        return Standing(Authority.NOBODY, event.id)
    if event.pubkey == owner:
        why = "" if orders.is_fresh(event.created_at, now_s) else TOO_OLD
        return Standing(Authority.TALKER if why else Authority.OWNER, event.id, why)
    if not group.has(event.pubkey, GroupRole.PUPPET):
        return Standing(Authority.NOBODY, event.id)
    rumor = rumor_of(event)
    if rumor is None:
        return Standing(Authority.TALKER, event.id, NO_ORDER)
    if order is None or not _is_for(order, event, rumor, roles.signer, owner):
        return Standing(Authority.TALKER, event.id, NO_ORDER)
    if not orders.is_fresh(order.created_at, now_s):
        return Standing(Authority.TALKER, event.id, TOO_OLD)
    return Standing(Authority.OWNER, rumor)


def standing_in(event: Event, group: Group, owner: str, now_s: int) -> Standing:
    """Judge a person's message in a group other than main, of that group's tasks. owner: in hex.

    A puppet's key is the bridge's: no puppet plans, whatever role somebody has given it.
    """
    roles = group.members.get(event.pubkey, ())
    is_own_key = event.values("h") == [group.id] and GroupRole.PUPPET not in roles
    is_open = group.binding is not None and not group.binding.archived
    if not (is_own_key and is_open and (event.pubkey == owner or GroupRole.ADMIN in roles)):
        return Standing(Authority.NOBODY, event.id)
    why = "" if orders.is_fresh(event.created_at, now_s) else TOO_OLD
    return Standing(Authority.TALKER if why else Authority.OWNER, event.id, why)


def _is_for(order: Event, event: Event, rumor: str, signer: str, owner: str) -> bool:
    try:
        found = orders.parse(order, signer)
    except Malformed:
        return False
    # Attacks: another message's order, an order of other words, another owner's of before.
    return (found.rumor_id, found.owner, found.text) == (rumor, owner, event.content)


def may_stop(event: Event, group: Group) -> bool:
    """Say whether a message's author may end what is done in its group: who may have work done
    there. The bridge speaks for its puppets, as with their other words."""
    if group.binding is None or group.is_muted(event.pubkey):
        return False
    roles = group.members.get(event.pubkey)
    if roles is None:
        return False
    trusted = {GroupRole.OWNER, GroupRole.ADMIN, GroupRole.PUPPET}
    return group.binding.senders == "members" or bool(trusted & set(roles))
