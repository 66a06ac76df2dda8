"""The people and parts of one house, with fixed keys, and events in their names."""

from __future__ import annotations

from collections.abc import Iterable
from hashlib import sha256

from nips.event import Event, Template
from nips.key import SecretKey
from nips.kinds import Kind
from nips.own import binding as bindings
from nips.own import grant as grants
from nips.own.binding import Binding
from nips.own.grant import Grant
from nips.own.roles import Roles
from relay_local.viewer import Viewer
from relay_local.world import World

NOW = 1_700_000_000
MAIN = "11111111-1111-4111-8111-111111111111"
OTHER = "22222222-2222-4222-8222-222222222222"
JOB = "ab" * 32


def key_of(name: str) -> SecretKey:
    """A key that belongs to a name."""
    return SecretKey(sha256(name.encode()).digest())


RELAY, OWNER, ROUTER, SIGNER, BOT = map(key_of, ("relay", "owner", "router", "signer", "bot"))
BRIDGE, CHAT, PUPPET, MEMBER = map(key_of, ("bridge", "chat", "puppet", "member"))
OTHER_MEMBER, OTHER_PUPPET = key_of("other member"), key_of("other puppet")
MODEL, CONSOLE = key_of("model"), key_of("console")
SIGNAL, SIGNAL_PUPPET = key_of("signal bridge"), key_of("signal puppet")
SESSION, OTHER_SESSION, STRANGER = map(key_of, ("session", "other session", "stranger"))
EVERYBODY = (
    RELAY, OWNER, ROUTER, SIGNER, BOT, BRIDGE, CHAT, PUPPET, MEMBER, OTHER_MEMBER, OTHER_PUPPET,
    SESSION, OTHER_SESSION, STRANGER, MODEL, CONSOLE, SIGNAL, SIGNAL_PUPPET,
)  # fmt: skip
SOMEBODY = {
    "nostr": f"nostr:{STRANGER.public}",
    "signal": "signal:7a2f4a1e-0c55-4f0e-9b8e-3d2f6a9c1b07",
}

ROLES = Roles(
    relay=RELAY.public,
    signer=SIGNER.public,
    router=ROUTER.public,
    bot=BOT.public,
    main=MAIN,
    owner=OWNER.public,
    chat=CHAT.public,
    model=MODEL.public,
    console=CONSOLE.public,
    bridges={"nostr": BRIDGE.public, "signal": SIGNAL.public},
)


def event(
    author: SecretKey,
    kind: int,
    *tags: Iterable[str],
    content: str = "",
    created_at: int = NOW,
) -> Event:
    """A signed event; the same arguments give the same event."""
    template = Template(
        author.public, created_at, int(kind), tuple(tuple(tag) for tag in tags), content
    )
    return template.sign(author, bytes(32))


def grant_event(
    client: SecretKey,
    group: str = MAIN,
    job: str | None = JOB,
    *,
    author: SecretKey = ROUTER,
    revoked: bool = False,
    created_at: int = NOW,
    lasts_s: int = 600,
) -> Event:
    """A session's grant."""
    grant = Grant(
        client=client.public,
        role="session",
        methods=("sign_event",),
        rules=(),
        not_before=created_at,
        expires_at=created_at + 180,
        hard_expires_at=created_at + lasts_s,
        max_uses=10,
        group=group,
        job=job,
        revoked=revoked,
    )
    return grants.template(grant, author.public, created_at).sign(author, bytes(32))


def put_user(group: str, who: SecretKey, role: str, author: SecretKey = ROUTER) -> Event:
    """A 9000."""
    return event(author, Kind.PUT_USER, ("h", group), ("p", who.public, role))


def binding_event(group: str, *networks: str) -> Event:
    """The binding of a group to somebody of each network; of Nostr where none is named."""
    bound = Binding(group, "somewhere", tuple(SOMEBODY[each] for each in networks or ("nostr",)))
    return bindings.template(bound, ROUTER.public, NOW).sign(ROUTER, bytes(32))


def history() -> list[Event]:
    """What has happened before the curtain: two groups, each with a member and a puppet of
    its own, and a session in each."""
    return [
        event(ROUTER, Kind.CREATE_GROUP, ("h", MAIN)),
        event(ROUTER, Kind.CREATE_GROUP, ("h", OTHER)),
        put_user(MAIN, OWNER, "owner"),
        put_user(MAIN, BOT, "member"),
        put_user(MAIN, MEMBER, "member"),
        put_user(OTHER, OTHER_MEMBER, "member"),
        binding_event(MAIN),
        put_user(MAIN, PUPPET, "puppet", BRIDGE),
        put_user(OTHER, OTHER_PUPPET, "puppet"),
        grant_event(SESSION),
        grant_event(OTHER_SESSION, OTHER, "cd" * 32),
    ]


def stage(roles: Roles | None = ROLES) -> World:
    """The world after the history."""
    world = World(RELAY.public, roles)
    for past in history():
        world = world.after(past, NOW)
    return world


WORLD = stage()


def as_(*keys: SecretKey) -> Viewer:
    """A connection that has authenticated these keys."""
    return Viewer(frozenset(key.public for key in keys))


def inside(session: SecretKey, *more: SecretKey) -> Viewer:
    """A connection over a session's own socket."""
    return Viewer(frozenset(key.public for key in (session, *more)), session.public)
