"""Pure: what is refused for the sake of groups: rules of the list in `write_rules.py`."""

from __future__ import annotations

import re

from nips.kinds import Kind
from nips.nip29 import JOIN_REQUEST, OPENING_WORDS, GroupRole
from nips.nip62 import VANISH
from nips.refusal import Prefix, Refusal
from relay_local.groups import MODERATION, NO_SUCH_GROUP, REQUESTS
from relay_local.viewer import Standing
from relay_local.writing import Writing, about

MAX_LATE_S = 86_400
_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


@about(MODERATION)
def groups_are_moderated_by_those_in_charge(writing: Writing) -> Refusal | None:
    """NIP-29: "relays should reject them if they don't come from an authorized admin"."""
    event, by = writing.event, writing.standing
    if event.kind in REQUESTS:  # a part of the house that joined a group would be two things
        if by in (Standing.OWNER, Standing.MEMBER, Standing.VISITOR):
            return None
        return Refusal(Prefix.RESTRICTED, f"a {by} joins and leaves no group")
    if by in (Standing.OWNER, Standing.ROUTER, Standing.BRIDGE):
        return None
    group = writing.world.groups.by_id.get(writing.group or "")
    if by is Standing.MEMBER and group is not None and group.is_admin(event.pubkey):
        return None
    return Refusal(Prefix.RESTRICTED, "groups are changed by the owner, the router and its admins")


@about(Kind.PUT_USER, Kind.REMOVE_USER)
def admins_raise_nobody_to_their_own_height(writing: Writing) -> Refusal | None:
    """An admin who was taken over must not put out the owner, the bot or the other admins, nor
    leave behind more admins than there were, nor call somebody a puppet to silence them."""
    event, world = writing.event, writing.world
    if writing.standing is not Standing.MEMBER:
        return None
    high = {GroupRole.OWNER, GroupRole.ADMIN, GroupRole.PUPPET}
    for tag in event.tags:
        if tag[0] != "p" or len(tag) < 2:
            continue
        roles = world.groups.by_id[writing.group or ""].members.get(tag[1], ())
        if high.intersection(tag[2:]) or high.intersection(roles) or world.is_named(tag[1]):
            return Refusal(Prefix.RESTRICTED, "an admin adds and removes members and agents only")
    return None


@about(MODERATION)
def the_main_group_stays_shut(writing: Writing) -> Refusal | None:
    """What the owner and the assistant say to each other is opened by no slip of a client."""
    roles = writing.world.roles
    if roles is None or writing.group != roles.main:
        return None
    if {tag[0] for tag in writing.event.tags}.isdisjoint(OPENING_WORDS.values()):
        return None
    return Refusal(Prefix.RESTRICTED, "the main group stays private, restricted, hidden and closed")


@about(Kind.DELETE_GROUP)
def the_main_group_is_never_deleted(writing: Writing) -> Refusal | None:
    """Its id is fixed and, once deleted, never used again: after one slip of a client the
    assistant could not start any more."""
    roles = writing.world.roles
    if roles is None or writing.group != roles.main:
        return None
    return Refusal(Prefix.RESTRICTED, "the main group is how you talk to me, and is not deleted")


@about(Kind.PUT_USER)
def bridges_add_puppets_and_nobody_else(writing: Writing) -> Refusal | None:
    """A bridge that was taken over must not make itself, or its friend, a member; nor turn
    somebody who is here into its puppet and speak for them."""
    event, world = writing.event, writing.world
    if writing.standing is not Standing.BRIDGE:
        return None
    users, others = [tag for tag in event.tags if tag[0] == "p"], world.bridges - {event.pubkey}
    if any(tag[2:] != ("puppet",) for tag in users):
        return Refusal(Prefix.RESTRICTED, "a bridge may add puppets only")
    # Attack: one network's bridge puts a puppet into a group where that network has nobody, the
    # owner's own first of all, and speaks there.
    network = world.roles.bridge_of(event.pubkey) if world.roles else None
    if network not in world.bindings.get(writing.group or "", ()):
        return Refusal(Prefix.RESTRICTED, "that group is bound to nobody of this bridge's network")
    if any(world.is_named(tag[1]) or world.groups.has_member(tag[1]) for tag in users):
        return Refusal(Prefix.RESTRICTED, "that key is somebody here already")
    if any(world.groups.bringers(tag[1]) & others for tag in users):
        return Refusal(Prefix.RESTRICTED, "that key is another bridge's puppet")
    return None


@about(Kind.REMOVE_USER)
def bridges_remove_puppets_and_nobody_else(writing: Writing) -> Refusal | None:
    """A bridge takes out whom it speaks for no more. One that was taken over must not empty the
    groups of the people who type in them, or whom another bridge speaks for."""
    if writing.standing is not Standing.BRIDGE:
        return None
    group = writing.world.groups.by_id.get(writing.group or "")
    users, bridge = writing.event.values("p"), writing.event.pubkey
    if group is not None and all(group.brought.get(user) == bridge for user in users):
        return None
    return Refusal(Prefix.RESTRICTED, "a bridge may remove the puppets that it brought only")


def an_event_belongs_to_one_group(writing: Writing) -> Refusal | None:
    """With two `h` tags a member of one group would write into the other."""
    groups = [tag for tag in writing.event.tags if tag[0] == "h"]
    if len(groups) <= 1 and all(len(tag) > 1 for tag in groups):
        return None
    return Refusal(Prefix.INVALID, "an event has at most one h tag, with a group's id")


@about(Kind.CREATE_GROUP)
def a_house_names_its_groups_by_uuid(writing: Writing) -> Refusal | None:
    """A group has a folder of its name and a binding; an id that others choose must not meet
    another's on a disk that takes A for a."""
    if writing.world.roles is None:
        return None
    if _UUID.fullmatch(writing.group or ""):
        return None
    return Refusal(Prefix.INVALID, "a group's id must be a lower-case UUID here")


def nothing_is_said_late(writing: Writing) -> Refusal | None:
    """NIP-29: "Relays should prevent late publication": a message put into last week's talk
    changes what the others answered to. A part of the house brings what waited elsewhere."""
    event = writing.event
    if writing.standing not in (Standing.MEMBER, Standing.VISITOR) or writing.group is None:
        return None
    is_brought = event.pubkey not in writing.viewer.keys
    if is_brought or event.created_at >= writing.now_s - MAX_LATE_S:
        return None
    return Refusal(Prefix.INVALID, "created_at is more than a day ago, too late for a group")


@about(Kind.GIFT_WRAP, Kind.INBOX_RELAYS, Kind.REQUEST, Kind.APP_DATA)
def mail_and_records_belong_to_no_group(writing: Writing) -> Refusal | None:
    """An `h` on a wrap, a list or a record would show it to that group."""
    if writing.group is None:
        return None
    return Refusal(Prefix.INVALID, f"kind {writing.event.kind} has no h tag here")


def groups_are_written_by_their_members(writing: Writing) -> Refusal | None:
    """The same words for no group and another's group: neither shows which there are."""
    event, by, group_id = writing.event, writing.standing, writing.group
    if group_id is None or event.kind == Kind.CREATE_GROUP:
        return None
    group = writing.world.groups.by_id.get(group_id)
    if group is not None:
        match by:
            case Standing.OWNER | Standing.ROUTER | Standing.BOT | Standing.BRIDGE:
                return None
            case Standing.MEMBER if group.is_member(event.pubkey):
                return None
            case Standing.PUPPET if group.is_puppet(event.pubkey) and _is_carried(writing):
                return None
            case Standing.MEMBER | Standing.VISITOR if event.kind == JOIN_REQUEST:
                return None
            case Standing.MEMBER | Standing.VISITOR if group.flags.isdisjoint(
                ("restricted", "hidden")
            ):
                return None
            case Standing.SESSION if writing.world.sessions[event.pubkey].group == group_id:
                return None
    return NO_SUCH_GROUP


def _is_carried(writing: Writing) -> bool:
    """Attack: a bridge that was taken over leaves its puppets where the owner has unbound them, and
    speaks on there, to whoever the group is for by now."""
    world = writing.world
    bound = world.bindings.get(writing.group or "", frozenset())
    bridges = writing.viewer.keys & world.bridges
    return world.roles is not None and not bound.isdisjoint(map(world.roles.bridge_of, bridges))


def guests_speak_in_groups_only(writing: Writing) -> Refusal | None:
    """What a member or puppet says outside every group nobody could ever remove them from."""
    speakers = (Standing.MEMBER, Standing.VISITOR, Standing.PUPPET, Standing.SESSION)
    if writing.standing not in speakers:
        return None
    if writing.group is not None:
        return None
    if writing.event.kind in (0, 3, 5, VANISH, Kind.REQUEST, Kind.RELAY_LIST, Kind.INBOX_RELAYS):
        return None
    return Refusal(Prefix.RESTRICTED, f"kind {writing.event.kind} needs an h tag here")
