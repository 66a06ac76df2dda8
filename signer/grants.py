"""Pure: which grants the signer holds: events of the router, and of the owner for bunker
clients, folded key by key.

What is final for a client key stays so whatever arrives later, in whichever order: that it was
revoked, its hard limit, and the job and group it was made for.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from nips.event import Event
from nips.kinds import Kind
from nips.own.grant import D_PREFIX, Grant, parse
from nips.own.roles import Roles
from nips.refusal import Malformed, Prefix, Refusal
from signer.ceiling import Ceiling


@dataclass(frozen=True, slots=True)
class Held:
    """What is known of one client key. `arrived_s`: when its grant came, by our own clock."""

    grant: Grant
    event: Event
    arrived_s: float
    hard_expires_at: int
    revoked: bool


def is_grant(event: Event) -> bool:
    """Say whether an event claims to be a grant, among its author's other records."""
    return event.kind == Kind.APP_DATA and (event.tag("d") or "").startswith(D_PREFIX)


def admit(
    event: Event, held: Held | None, roles: Roles, now_s: float, owner: str | None = None
) -> Held:
    """Take an event that claims to be a grant; returns what is held from now on.

    owner: of this installation, where known. Raises Malformed when it changes nothing: neither
    the router's nor the owner's, stale, or against what is final.
    """
    by_owner = owner is not None and event.pubkey == owner
    grant = parse(event, event.pubkey if by_owner else roles.router)
    _fits_its_key(grant, roles, by_owner)
    if held is not None and grant.role != held.grant.role:
        raise Malformed("this key was made for another role")
    if held is None:
        return Held(grant, event, now_s, grant.hard_expires_at, grant.revoked)
    if held.revoked:
        raise Malformed("this key was revoked, for good")
    if grant.revoked:
        # Whatever its created_at: a later stamp on another grant must not outrun a revocation.
        return replace(held, revoked=True)
    _same_purpose(grant, held.grant)
    # NIP-01: "the event with the lowest id … should be retained" among those of one second
    if (-event.created_at, event.id) >= (-held.event.created_at, held.event.id):
        raise Malformed("a newer grant of this key is here")
    # Attack: renew for ever. The hard limit may come nearer, never move away.
    hard_expires_at = min(held.hard_expires_at, grant.hard_expires_at)
    return Held(grant, event, now_s, hard_expires_at, revoked=False)


def _fits_its_key(grant: Grant, roles: Roles, by_owner: bool) -> None:
    # Attack: a router that was taken over lets a client of its own log in as the bot. And the
    # other way: who has the owner's key needs no container to speak from.
    if by_owner != (grant.role == "bunker"):
        raise Malformed("a bunker's grant comes from the owner, any other from the router")
    match grant.role, roles.role_of(grant.client):
        case "session" | "bunker", None:
            return
        case "bridge", "bridge" if grant.client == roles.mail_bridge:
            return
        case "bridge", "bridge":
            # Attack: a taken-over router has mail opened and sealed by another network's bridge.
            raise Malformed("a bridge's grant is for the one that carries mail")
        case role, holder:
            # Attack: a bridge's methods for a container's key, which a taken-over router mints.
            raise Malformed(
                f"a {role}'s grant for a key that roles.toml names as {holder or 'nothing'}"
            )


def _same_purpose(grant: Grant, before: Grant) -> None:
    if (grant.role, grant.group) != (before.role, before.group):
        raise Malformed("this key was made for another role or group")
    # A waiting session has no job yet; what it then gets stays its only one.
    if before.job is not None and grant.job != before.job:
        raise Malformed("this key was made for another job")


def is_live(held: Held, ceiling: Ceiling, now_s: float) -> Refusal | None:
    """Say why the grant may not be used now; None when it may."""
    grant = held.grant
    end_s = min(grant.expires_at, held.arrived_s + _longest_s(grant, ceiling))
    if held.revoked:
        return Refusal(Prefix.RESTRICTED, "this key's grant was revoked")
    if now_s >= held.hard_expires_at:
        return Refusal(Prefix.RESTRICTED, "this key's grant is over: its time limit has passed")
    if now_s >= end_s:
        return Refusal(Prefix.RESTRICTED, "this key's grant has expired and was not renewed")
    if now_s < grant.not_before:
        return Refusal(Prefix.RESTRICTED, "this key's grant has not begun")
    return None


def _longest_s(grant: Grant, ceiling: Ceiling) -> int:
    match grant.role:
        case "session":
            return ceiling.longest_ttl_s
        case "bridge":
            return ceiling.bridge_longest_ttl_s
        case "bunker":
            return ceiling.bunker_longest_ttl_s


def ends_s(held: Held, ceiling: Ceiling) -> float:
    """When a grant ends by itself, in unix seconds, unless it is renewed."""
    longest_s = held.arrived_s + _longest_s(held.grant, ceiling)
    return min(held.grant.expires_at, held.hard_expires_at, longest_s)
