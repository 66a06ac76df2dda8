"""Pure: what the relay knows of the people and parts around it.

Roles come from the file that was there before the first start; the rest is folded from the
relay's own events in order of arrival, and so is the same after every restart.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from types import MappingProxyType

from nips.event import Event
from nips.key import is_public_key
from nips.kinds import Kind
from nips.own import binding as bindings
from nips.own import grant as grants
from nips.own.grant import Grant
from nips.own.roles import Roles
from nips.refusal import Malformed
from relay_local.groups import MODERATION, Groups

GRANT_PREFIX = grants.D_PREFIX
BINDING_PREFIX = bindings.D_PREFIX
OWNER_D = "owner"


@dataclass(frozen=True)  # no slots: what follows from the fields is computed once
class World:
    """The state that access is decided on. `public`: a relay for everybody, without roles.

    `sessions`: the grants of container sessions by client key, none of them revoked.
    `bindings`: the networks whose people the router has written into a group's binding.
    """

    relay: str
    roles: Roles | None = None
    configured_owner: str | None = None
    public: bool = False
    paired_owner: str | None = None
    groups: Groups = field(default_factory=Groups)
    bindings: Mapping[str, frozenset[str]] = field(default_factory=lambda: MappingProxyType({}))
    sessions: Mapping[str, Grant] = field(default_factory=lambda: MappingProxyType({}))

    @cached_property
    def owner(self) -> str | None:
        """The owner's key: the configured one, else the one that pairing named."""
        of_roles = self.roles.owner if self.roles else None
        return self.configured_owner or of_roles or self.paired_owner

    @cached_property
    def signer(self) -> str | None:
        """The signer's key, where there are roles."""
        return self.roles.signer if self.roles else None

    @cached_property
    def router(self) -> str | None:
        """The router's key, where there are roles."""
        return self.roles.router if self.roles else None

    @cached_property
    def bot(self) -> str | None:
        """The assistant's identity, where there are roles."""
        return self.roles.bot if self.roles else None

    @cached_property
    def chat(self) -> str | None:
        """The terminal's key, where there is one."""
        return self.roles.chat if self.roles else None

    @cached_property
    def model(self) -> str | None:
        """The model proxy's key, where there is one."""
        return self.roles.model if self.roles else None

    @cached_property
    def console(self) -> str | None:
        """The command line's key, where there is one."""
        return self.roles.console if self.roles else None

    @cached_property
    def bridges(self) -> frozenset[str]:
        """The keys of the bridges."""
        return frozenset(self.roles.bridges.values()) if self.roles else frozenset()

    def bridge_keys(self, network: str) -> frozenset[str]:
        """The key of that network's bridge, where it has one."""
        return self.roles.bridge_keys(network) if self.roles else frozenset()

    @cached_property
    def mail_bridge(self) -> str | None:
        """The key of the bridge that carries gift wraps, where there is one."""
        return self.roles.mail_bridge if self.roles else None

    def carried_by(self, bridge: str) -> frozenset[str]:
        """The groups that are bound to somebody of a bridge's network, and those in which it still
        has puppets."""
        network = self.roles.bridge_of(bridge) if self.roles else None
        bound = {group for group, networks in self.bindings.items() if network in networks}
        return frozenset(bound).union(
            group.id for group in self.groups.by_id.values() if bridge in group.brought.values()
        )

    @cached_property
    def parts(self) -> frozenset[str]:
        """The keys of our own processes: they get the arrival order, and requests."""
        if not self.roles:
            return frozenset()
        return self.bridges | {self.roles.signer, self.roles.router}

    def is_named(self, pubkey: str) -> bool:
        """Say whether the key has a role of its own, the owner's included."""
        return pubkey in self._named

    @cached_property
    def _named(self) -> frozenset[str | None]:
        return self.parts | {self.relay, self.owner, self.bot, self.chat, self.model, self.console}

    def after(self, event: Event, now_s: int) -> World:
        """The world after an event that has been stored."""
        if self.public:
            return self
        if event.kind in MODERATION:
            groups = self.groups.after(event)
            # An old 9002, or one that an import brought, was not judged by today's rules.
            return replace(self, groups=groups.shut(self.roles.main) if self.roles else groups)
        if event.kind != Kind.APP_DATA:
            return self
        d = event.tag("d") or ""
        if d.startswith(GRANT_PREFIX):
            return self._after_grant(event, now_s)
        # What the owner writes is a wish, which the router may not grant: nobody is bound by it.
        if d.startswith(BINDING_PREFIX) and event.pubkey == self.router:
            group = d.removeprefix(BINDING_PREFIX)
            bound = {**self.bindings, group: networks(event)}
            return replace(self, bindings=MappingProxyType(bound))
        if d == OWNER_D and event.pubkey == self.signer and is_public_key(event.tag("p")):
            return replace(self, paired_owner=event.tag("p"))
        return self

    def _after_grant(self, event: Event, now_s: int) -> World:
        grant = session_grant(event, self.router)
        if grant is None:
            return self
        sessions = {
            client: other
            for client, other in self.sessions.items()
            if client != grant.client and other.hard_expires_at > now_s
        }
        if not grant.revoked and grant.hard_expires_at > now_s:
            sessions[grant.client] = grant
        return replace(self, sessions=MappingProxyType(sessions))


def session_grant(event: Event, router: str | None) -> Grant | None:
    """The session's grant that a verified event holds; None when it is anything else."""
    if router is None:
        return None
    try:
        grant = grants.parse(event, router)
    except Malformed:
        return None
    return grant if grant.role == "session" else None


def networks(event: Event) -> frozenset[str]:
    """The networks of whom a binding names; none where it cannot be read."""
    try:
        binding = bindings.parse(event, event.pubkey)
    except Malformed:
        return frozenset()
    return frozenset(each.partition(":")[0] for each in binding.counterparts)


def is_revocation(event: Event) -> bool:
    """Say whether the event is a grant's last word."""
    if event.kind != Kind.APP_DATA or not (event.tag("d") or "").startswith(GRANT_PREFIX):
        return False
    try:
        return grants.parse(event, event.pubkey).revoked
    except Malformed:
        return False
