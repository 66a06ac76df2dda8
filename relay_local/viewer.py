"""Pure: who a connection has shown itself to be, and in which standing it writes."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from nips.event import Event
from nips.kinds import Kind
from relay_local.world import World


class Standing(StrEnum):
    """What the author of an event is here; every event is judged in exactly one standing.

    A visitor is nobody here yet and has shown to be the author; whoever has not is a stranger.
    """

    OWNER = "owner"
    ROUTER = "router"
    SIGNER = "signer"
    BRIDGE = "bridge"
    BOT = "bot"
    CHAT = "chat"
    SESSION = "session"
    PUPPET = "puppet"
    MEMBER = "member"
    VISITOR = "visitor"
    STRANGER = "stranger"


CARRIED_KINDS = frozenset({Kind.CHAT, Kind.BUZZ_CHAT})
_PEOPLE = frozenset({Standing.OWNER, Standing.MEMBER})


@dataclass(frozen=True, slots=True)
class Viewer:
    """The keys a connection has authenticated. `session`: the key whose own socket it came by.

    The socket says who calls: a session's key counts on its socket and nowhere else, and on
    that socket no other key does.
    """

    keys: frozenset[str] = frozenset()
    session: str | None = None


def standing(world: World, viewer: Viewer, event: Event) -> Standing:
    """The standing in which `viewer` brings `event`; STRANGER when it may not be its author."""
    author, keys = event.pubkey, viewer.keys
    if viewer.session is not None:
        own = author == viewer.session and author in keys and author in world.sessions
        return Standing.SESSION if own else Standing.STRANGER
    if event.kind == Kind.GIFT_WRAP:  # its author is a key of one use: who brings it counts
        return carrier(world, viewer)
    if author == world.bot:
        return Standing.BOT if world.signer in keys else Standing.STRANGER
    if event.kind == Kind.INBOX_RELAYS and author not in keys and world.mail_bridge in keys:
        return Standing.BRIDGE  # somebody's list, fetched from where they publish
    if author in keys:
        return _of_key(world, viewer, author)
    if event.kind in CARRIED_KINDS and world.router in keys:
        # Said on another relay and brought unchanged. Attack: a router that was taken over, which
        # brings an approval: what people say is carried, never what they decide.
        of_author = _of_key(world, viewer, author)
        return of_author if of_author in _PEOPLE else Standing.STRANGER
    return Standing.STRANGER


def carrier(world: World, viewer: Viewer) -> Standing:
    """The standing of who brings an event of somebody else's."""
    if viewer.session is not None:
        return Standing.STRANGER
    for key, of_key in (
        (world.signer, Standing.SIGNER),
        (world.owner, Standing.OWNER),
        (world.chat, Standing.CHAT),
    ):
        if key is not None and key in viewer.keys:
            return of_key
    return Standing.BRIDGE if world.mail_bridge in viewer.keys else Standing.STRANGER


def _of_key(world: World, viewer: Viewer, key: str) -> Standing:
    if key == world.owner:
        return Standing.OWNER
    if key == world.router:
        return Standing.ROUTER
    if key == world.signer:
        return Standing.SIGNER
    if key == world.chat:
        return Standing.CHAT
    if key in (world.model, world.console):
        return Standing.STRANGER  # one reads grants, the other asks by 24133; that is all
    if key in world.bridges:
        return Standing.BRIDGE
    # The session whose key came by another way than its socket: somebody took it out.
    if key in world.sessions:
        return Standing.STRANGER
    if world.groups.has_puppet(key):
        return Standing.PUPPET if viewer.keys & world.bridges else Standing.STRANGER
    return Standing.MEMBER if world.groups.has_member(key) else Standing.VISITOR
