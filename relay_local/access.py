"""Pure: who may read and who may write what; the one place where it is decided.

Reading is a `Scope`: what a viewer sees, as a value. `admits` decides about one event, for live
delivery and whatever else asks about one; `query.py` renders the same scope as a condition of
SQL, and a test holds the two against each other. Writing is the list in `write_rules.py`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum
from itertools import islice

from nips.event import Event
from nips.filter import Filter
from nips.kinds import Kind
from nips.nip29 import CREATE_INVITE, JOIN_REQUEST
from nips.own.signal_id import RECORD_PREFIX
from nips.refusal import Prefix, Refusal
from relay_local.groups import STATE_KINDS
from relay_local.roster import NOTICE_KINDS
from relay_local.viewer import Viewer
from relay_local.world import GRANT_PREFIX, World
from relay_local.write_rules import PRIVATE_RULES, PUBLIC_RULES
from relay_local.writing import of_kind, writing

MAX_FILTER_VALUES = 20_000  # in one filter: below what one SQL statement may bind
MAX_FACES = 1_000  # bound in the same statement

_REQUESTS: frozenset[int] = frozenset({Kind.REQUEST})
# For whom they are p-tagged and for nobody else, even when asked for by id.
PERSONAL_KINDS = frozenset({4, Kind.GIFT_WRAP, Kind.REQUEST, Kind.FRAME, 44_200}) | NOTICE_KINDS
# They hold invite codes: a member, a puppet or an agent that read one could let in a friend.
CODE_KINDS = frozenset({CREATE_INVITE, JOIN_REQUEST})
# Of a group that is not hidden, for those outside: what it is and whom to ask, not who is in it.
FACADE_KINDS = frozenset(STATE_KINDS) - {Kind.GROUP_MEMBERS}
# What people publish about themselves, of use to everybody who is anybody here.
PROFILE_KINDS = frozenset({0, 3, 10_002, 10_050})


class Audience(IntEnum):
    """For whom an event is by its own form; stored with it."""

    OPEN = 0
    ROOM = 1
    PERSONAL = 2
    GRANT = 3
    GOVERNORS = 4
    PASSERS_BY = 5
    AUTHOR = 6


def audience(event: Event) -> Audience:
    """The audience of an event."""
    if event.kind in PERSONAL_KINDS:
        return Audience.PERSONAL
    if room(event) is not None:
        if event.kind in CODE_KINDS:
            return Audience.GOVERNORS
        return Audience.PASSERS_BY if event.kind in FACADE_KINDS else Audience.ROOM
    d = event.tag("d") or ""
    if event.kind == Kind.APP_DATA and d.startswith(GRANT_PREFIX):
        return Audience.GRANT
    # What came from Signal and is in no group yet: whom it is for has not been judged.
    if event.kind == Kind.APP_DATA and d.startswith(RECORD_PREFIX):
        return Audience.AUTHOR
    return Audience.OPEN


def room(event: Event) -> str | None:
    """The group that an event belongs to: its `h`, for a group's own state its `d`."""
    if event.kind in STATE_KINDS:
        return event.tag("d")
    return event.tag("h")


@dataclass(frozen=True, slots=True)
class Scope:
    """What a viewer may see.

    everything: all but gift wraps for others (a public relay).
    all_rooms, rooms: the groups. facades: the groups whose name is shown. governed: the groups
    whose invite codes are. records: what belongs to no group and nobody in particular.
    faces: the keys whose kind 0 is seen, and no other record of theirs.
    profiles: at least what people publish about themselves. wraps: every gift wrap. grants:
    every grant. keys: what is p-tagged to one of them, and what they wrote themselves. told: the
    keys that are told of their coming and going, members or not.
    """

    everything: bool = False
    all_rooms: bool = False
    rooms: frozenset[str] = frozenset()
    records: bool = False
    profiles: bool = False
    wraps: bool = False
    grants: bool = False
    keys: frozenset[str] = frozenset()
    facades: frozenset[str] = frozenset()
    governed: frozenset[str] = frozenset()
    told: frozenset[str] = frozenset()
    faces: frozenset[str] = frozenset()

    def admits(self, event: Event) -> bool:
        """Say whether the viewer may see the event."""
        if self.everything and event.kind != Kind.GIFT_WRAP:
            return True
        match audience(event):
            case Audience.ROOM:
                return self.all_rooms or room(event) in self.rooms
            case Audience.PASSERS_BY:
                return self.all_rooms or room(event) in self.rooms | self.facades
            case Audience.GOVERNORS:
                governs = self.all_rooms or room(event) in self.governed
                return governs or event.pubkey in self.keys
            case Audience.PERSONAL:
                if self.wraps and event.kind == Kind.GIFT_WRAP:
                    return True
                if event.kind in NOTICE_KINDS and not self.told.isdisjoint(event.values("p")):
                    return True
                return self._mentioned(event)
            case Audience.AUTHOR:
                return event.pubkey in self.keys
            case Audience.GRANT:
                return self.grants or event.pubkey in self.keys or self._mentioned(event)
            case _:
                return (
                    self.records
                    or (self.profiles and event.kind in PROFILE_KINDS)
                    or (event.kind == Kind.PROFILE and event.pubkey in self.faces)
                    or event.pubkey in self.keys
                    or self._mentioned(event)
                )

    def _mentioned(self, event: Event) -> bool:
        return bool(self.keys) and not self.keys.isdisjoint(event.values("p"))

    @property
    def is_empty(self) -> bool:
        """Say whether nothing at all can be seen, so that nothing need be searched."""
        return self == _NOTHING


_NOTHING = Scope()


def scope_of(world: World, viewer: Viewer) -> Scope:
    """What `viewer` may see in `world`."""
    keys = viewer.keys
    if world.public:
        return Scope(everything=True, keys=keys)
    if viewer.session is not None:
        grant = world.sessions.get(viewer.session) if viewer.session in keys else None
        if grant is None or grant.group is None:
            return Scope()
        # What those are called who speak there. Attack: an agent that lists whom else it knows.
        group = world.groups.by_id.get(grant.group)
        faces = frozenset(islice(group.members, MAX_FACES)) if group else frozenset[str]()
        rooms = frozenset({grant.group})
        return Scope(rooms=rooms, keys=frozenset({viewer.session}), faces=faces)
    own = keys & (world.parts | {key for key in (world.owner, world.chat) if key})
    if served := keys & (world.parts | ({world.owner} if world.owner else set())):
        # Attack: whoever takes over the bridge of another network reads what the owner, and those
        # of Nostr, talk of.
        carriers = served & world.bridges - {world.mail_bridge}
        return Scope(
            all_rooms=served != carriers,
            rooms=frozenset[str]().union(*map(world.carried_by, carriers)),
            records=True,
            # The owner reads what is sealed for the owner; the bot's mail is for its parts.
            # Attack: whoever takes over the bridge of another network reads who writes to whom.
            wraps=not keys.isdisjoint({world.signer, world.mail_bridge}),
            grants=not keys.isdisjoint({world.owner, world.router, world.signer}),
            keys=own,
        )
    if world.model is not None and world.model in keys:
        return Scope(grants=True, keys=frozenset({world.model}))
    # The bot is a member everywhere and authenticates nowhere: whoever does so in its name has
    # a signature of its key and no business here. A session's key counts on its socket only.
    # The console asks by 24133 and reads nothing.
    guests = keys.difference(world.sessions, (world.bot, world.console))
    groups = world.groups
    members = {key for key in guests if groups.has_member(key)}
    rooms = frozenset[str]().union(*(groups.of(key) for key in members))
    return Scope(
        # NIP-29: "Omitting this tag indicates that anyone can read group messages": anyone who
        # has authenticated, since the rest of the relay is private.
        rooms=rooms | (groups.without_flag("private") if guests else frozenset()),
        facades=groups.without_flag("hidden") if guests else frozenset(),
        governed=frozenset[str]().union(*(groups.governed_by(key) for key in members)),
        profiles=bool(members or own),
        keys=own | members,
        told=guests & groups.former,
    )


def may_read(world: World, viewer: Viewer, event: Event) -> bool:
    """Say whether `viewer` may see `event`: the predicate of REQ, live delivery and the rest."""
    return scope_of(world, viewer).admits(event)


def may_ask(world: World, viewer: Viewer, filters: Sequence[Filter]) -> Refusal | None:
    """Why a REQ is closed at once; None when it is served, each event by the scope."""
    if any(count_values(one) > MAX_FILTER_VALUES for one in filters):
        return Refusal(Prefix.INVALID, f"a filter holds more than {MAX_FILTER_VALUES} values")
    if (ordered := [one for one in filters if one.after_seq is not None]) and (
        not viewer.keys & world.parts or len(ordered) != len(filters)
    ):
        return Refusal(Prefix.INVALID, "a filter has no field 'after_seq' here")
    if any(one.search is not None for one in ordered):
        return Refusal(Prefix.INVALID, "what arrives in order is not searched")
    if any(one.limit for one in ordered):  # cut short, its EOSE would claim what was not read
        return Refusal(Prefix.INVALID, "a filter with after_seq has no limit but 0")
    if heard := listens_for(filters):
        # Who asks the signer, when, and how much would tell a stranger when agents work.
        own = viewer.keys if viewer.session else viewer.keys - world.sessions.keys()
        if heard.isdisjoint((world.parts | world.sessions.keys()) - own):
            return None
        prefix = Prefix.RESTRICTED if own else Prefix.AUTH_REQUIRED
        return Refusal(prefix, "what is sent to a part or a session is heard by it alone")
    if world.public:
        asks_wraps = any(one.kinds and Kind.GIFT_WRAP in one.kinds for one in filters)
        if asks_wraps and not viewer.keys:
            return Refusal(
                Prefix.AUTH_REQUIRED, "gift wraps are served to their recipient; authenticate"
            )
        return None
    if not viewer.keys:
        return Refusal(Prefix.AUTH_REQUIRED, "this relay is private; authenticate first")
    if scope_of(world, viewer).is_empty:
        return Refusal(Prefix.RESTRICTED, "this key is no member here")
    return None


def may_count(world: World, viewer: Viewer, filters: Sequence[Filter]) -> Refusal | None:
    """Why a COUNT or a NEG-OPEN is refused: as a REQ is, since a number tells of what is here
    as the events do."""
    if sum(map(count_values, filters)) > MAX_FILTER_VALUES:
        return Refusal(Prefix.INVALID, f"at most {MAX_FILTER_VALUES} values can be asked about")
    if any(one.after_seq is not None for one in filters):
        return Refusal(Prefix.INVALID, "a filter with after_seq is for a REQ only")
    return may_ask(world, viewer, filters)


def listens_for(filters: Sequence[Filter]) -> frozenset[str]:
    """The keys whose requests are listened for, when a REQ asks for nothing else.

    NIP-46 clients do not know to authenticate, so kinds exactly [24133] with a #p are open to
    everybody, live; the content is encrypted to that key.
    """
    heard: set[str] = set()
    for one in filters:
        if one.kinds != _REQUESTS or not one.tags.get("p"):
            return frozenset()
        heard |= one.tags["p"]
    return frozenset(heard)


def may_write(world: World, viewer: Viewer, event: Event, now_s: int) -> Refusal | None:
    """Why an event is refused; None when it may be written, as far as it alone can tell."""
    seen = writing(world, viewer, event, now_s)
    for rule in of_kind(PUBLIC_RULES if world.public else PRIVATE_RULES, event.kind):
        if (refusal := rule(seen)) is not None:
            return refusal
    return None


def keeps_once(world: World, event: Event) -> bool:
    """Say whether the author's `o` tags are once-keys: puppets', the parts' and the bot's."""
    if world.public:
        return False
    author = event.pubkey
    return author in world.parts or author == world.bot or world.groups.has_puppet(author)


def count_values(one: Filter) -> int:
    """How many values a filter's lists hold together."""
    named = (one.ids, one.authors, one.kinds, *one.tags.values())
    return sum(len(values) for values in named if values is not None)
