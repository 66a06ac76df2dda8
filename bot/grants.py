"""Pure: which grant a job's session and a bridge get, how it is renewed and revoked.

The signer cuts every grant down to its ceiling; what stands here is what the router asks for.
Source: PROTOCOL.md "Signer grant".
"""

from __future__ import annotations

from dataclasses import replace

from nips.kinds import Kind
from nips.own import frame
from nips.own.fields import MAX_SECONDS
from nips.own.grant import Grant, Rate, Rule
from nips.own.model_scope import ModelScope

SESSION_TTL_S = 180
BRIDGE_TTL_S = 3600
SESSION_USES = 200
BRIDGE_USES = 1_000_000  # counted by grant, so an hour's
MAX_MESSAGE_BYTES = 65_536
MAX_SIGN_BYTES = 256
GRACE_S = 30  # after the wall clock's limit, for a container to be ended and its end told

GROUP_KINDS = (Kind.REACTION, Kind.CHAT)
# What main's agent says in public, or keeps as a draft, without a question.
PUBLIC_KINDS = (Kind.NOTE, Kind.COMMENT, Kind.REACTION, Kind.DRAFT)
# What main's agent may have its owner asked for: profile, contacts, retraction, relay lists.
ASKED_KINDS = (0, 3, 5, 10_002, 10_050)
BRIDGE_KINDS = (Kind.AUTH, Kind.INBOX_RELAYS, Kind.RELAY_LIST, Kind.PROFILE)


def of_session(
    session: str,
    group: str,
    job: str,
    *,
    is_main: bool,
    now_s: int,
    wall_clock_s: float,
    models: ModelScope | None = None,
) -> Grant:
    """A session's grant for its one job. Keys, ids and group as in the events.

    It lives for three minutes unless it is renewed, and never past the job's time limit.
    models: what it may ask of language models, None for nothing.
    """
    hard_expires_at = now_s + int(wall_clock_s) + GRACE_S
    return Grant(
        client=session,
        role="session",
        methods=("sign_event", frame.METHOD),
        rules=_rules_of_main(group, job)
        if is_main
        else tuple(_in_group(kind, group, job) for kind in GROUP_KINDS),
        not_before=now_s,
        expires_at=min(now_s + SESSION_TTL_S, hard_expires_at),
        hard_expires_at=hard_expires_at,
        max_uses=SESSION_USES,
        group=group,
        job=job,
        models=models,
    )


def of_waiting(
    session: str, group: str, *, now_s: int, wait_s: float, wall_clock_s: float
) -> Grant:
    """The grant of a session that waits for its job: alive, and of no use.

    Its hard limit is the end of the longest wait and of one job together, for a job's grant may
    bring it nearer only.
    """
    hard_expires_at = now_s + int(wait_s) + int(wall_clock_s) + GRACE_S
    return Grant(
        client=session,
        role="session",
        methods=(),
        rules=(),
        not_before=now_s,
        expires_at=min(now_s + SESSION_TTL_S, hard_expires_at),
        hard_expires_at=hard_expires_at,
        max_uses=0,
        group=group,
    )


def of_bridge(bridge: str, *, now_s: int) -> Grant:
    """A bridge's grant: opening and sealing mail, logging in, and the lists and profile that the
    ceiling spells out. A bridge's key lives as long as the installation: no hard limit."""
    return Grant(
        client=bridge,
        role="bridge",
        methods=("unwrap", "seal", "sign_event"),
        rules=tuple(Rule(kind) for kind in BRIDGE_KINDS),
        not_before=now_s,
        expires_at=now_s + BRIDGE_TTL_S,
        hard_expires_at=MAX_SECONDS,
        max_uses=BRIDGE_USES,
    )


def renewed(grant: Grant, now_s: int) -> Grant:
    """The same grant for another while; its hard limit stays."""
    ttl_s = SESSION_TTL_S if grant.role == "session" else BRIDGE_TTL_S
    return replace(grant, expires_at=min(now_s + ttl_s, grant.hard_expires_at))


def renewal_due_s(grant: Grant) -> float:
    """Seconds from one renewal to the next: two thirds of the grant's life."""
    return (SESSION_TTL_S if grant.role == "session" else BRIDGE_TTL_S) * 2 / 3


def revoked(grant: Grant) -> Grant:
    """The end of a key: final, whatever arrives later."""
    return replace(grant, revoked=True)


def _rules_of_main(group: str, job: str) -> tuple[Rule, ...]:
    long = replace(_in_public(Kind.ARTICLE, job), max_tags=None)
    return (
        *(_in_group(kind, group, job) for kind in GROUP_KINDS),
        *(_in_public(kind, job) for kind in PUBLIC_KINDS),
        # Asked about too, unless the signer's ceiling approves articles beforehand.
        long,
        *(replace(long, kind=kind, mode="ask") for kind in ASKED_KINDS),
    )


def _in_group(kind: int, group: str, job: str) -> Rule:
    said = Rule(
        kind,
        required=(("h", group), ("job", job)),
        max_content_bytes=MAX_MESSAGE_BYTES,
        max_tags=40,
        rate=Rate(120, 2.0),  # as the ceiling has it for a whole group
        daily=5_000,
    )
    if kind != Kind.REACTION:
        return said
    rate = Rate(20, 0.5)
    return replace(said, max_content_bytes=MAX_SIGN_BYTES, max_tags=20, rate=rate, daily=500)


def _in_public(kind: int, job: str) -> Rule:
    """No group's name may go along. A reaction has this rule besides its group's."""
    return Rule(
        kind,
        required=(("job", job),),
        forbidden=("h",),
        max_content_bytes=MAX_SIGN_BYTES if kind == Kind.REACTION else MAX_MESSAGE_BYTES,
        max_tags=40,
        rate=Rate(5, 0.02),
        daily=50,
    )
