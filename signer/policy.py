"""Pure: whether an event may be signed: template × grant × ceiling × now → a decision.

Effective scope = grant ∩ ceiling. Rules are small functions named as sentences; the first refusal
wins and nothing is signed before all of them have passed. Costs (rates, caps, uses) come last: a
decision to sign lists them, the ledger takes them in the transaction that keeps the signature.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from nips.event import Template
from nips.own.grant import Grant, Rule
from nips.own.roles import Roles
from nips.refusal import Prefix, Refusal
from signer import public_face
from signer.buckets import Cost, Counted, Rated
from signer.ceiling import GROUP_KINDS, NEVER_FOR_SESSIONS, SEALED_KINDS, Ceiling

CREATED_AT_WITHIN_S = 60


@dataclass(frozen=True, slots=True)
class Sign:
    """It may be signed, at these costs, `uses` of the grant among them."""

    template: Template
    costs: tuple[Cost, ...]
    uses: tuple[Cost, ...]


@dataclass(frozen=True, slots=True)
class Ask:
    """It may be signed once the owner says yes to exactly this template."""

    template: Template


@dataclass(frozen=True, slots=True)
class Refuse:
    """It may not be signed."""

    refusal: Refusal


Decision = Sign | Ask | Refuse


@dataclass(frozen=True, slots=True)
class Case:
    """One event to be judged. `grant` is live: the caller has checked that."""

    template: Template
    grant: Grant
    rule: Rule
    ceiling: Ceiling
    roles: Roles
    owner: str | None
    now_s: float


def decide(
    template: Template,
    grant: Grant,
    ceiling: Ceiling,
    roles: Roles,
    owner: str | None,
    now_s: float,
    grant_id: str = "",
) -> Decision:
    """Judge a `sign_event`.

    template: complete, its pubkey as the client wrote it. grant: live. owner: of this
    installation, where known. grant_id: of the grant's event.
    """
    rule = next((rule for rule in grant.rules if rule.kind == template.kind), None)
    if rule is None or rule.mode == "deny":
        return Refuse(_restricted(f"kind {template.kind} is not allowed by this key's grant"))
    case = Case(template, grant, rule, ceiling, roles, owner, now_s)
    for sentence in (*EVERY_CASE, *BY_ROLE.get(grant.role, (nobody_signs,))):
        if refusal := sentence(case):
            return Refuse(refusal)
    if rule.mode == "ask":
        return Ask(template)
    return Sign(
        template, costs(template.kind, grant, rule, ceiling, grant_id), _uses(grant, grant_id)
    )


def decide_seal(
    rumor: Template, grant: Grant, ceiling: Ceiling, roles: Roles, owner: str | None, grant_id: str
) -> Refusal | tuple[Cost, ...]:
    """Judge a `seal`, a direct message in the bot's name; its costs, or why not."""
    if grant.role != "bridge" or roles.bridge_of(grant.client) is None:
        return _restricted("only a bridge has messages sealed")
    if owner is None:
        return _restricted("no owner is named yet, so there is nobody to write to")
    if rumor.pubkey != roles.bot:
        return _restricted("a seal proves its author: the rumor must be the bot's")
    if rumor.kind not in SEALED_KINDS:
        return _restricted(f"kind {rumor.kind} is not sealed: it is no direct message")
    return (*_uses(grant, grant_id), *_over_all(ceiling))


# Sentences: None when satisfied, else why not


def the_key_may_sign(case: Case) -> Refusal | None:
    if "sign_event" not in case.grant.methods:
        return _restricted("this key's grant does not hold sign_event")
    return None


def the_author_is_the_bot(case: Case) -> Refusal | None:
    if case.template.pubkey != case.roles.bot:
        return Refusal(Prefix.INVALID, "the event's pubkey is not the bot's")
    return None


def the_time_is_now(case: Case) -> Refusal | None:
    # Attack: a signature kept for later, or an answer that pretends to be older.
    if abs(case.template.created_at - case.now_s) > CREATED_AT_WITHIN_S:
        return Refusal(
            Prefix.INVALID, f"created_at is more than {CREATED_AT_WITHIN_S} s away from now"
        )
    return None


def the_rules_tags_are_there(case: Case) -> Refusal | None:
    for name in {required[0] for required in case.rule.required}:
        wanted = sorted(tag for tag in case.rule.required if tag[0] == name)
        given = sorted(tag for tag in case.template.tags if tag[0] == name)
        # Attack: a second tag of the name, which another reader takes for the first.
        if len(given) != len(wanted) or any(
            tag[: len(want)] != want for tag, want in zip(given, wanted, strict=True)
        ):
            return _restricted(f"its {name} tags must be exactly those of this key's grant")
    return None


def no_forbidden_tag_is_there(case: Case) -> Refusal | None:
    for tag in case.template.tags:
        if tag[0] in case.rule.forbidden:
            return _restricted(f"this key's grant forbids the tag {tag[0]}")
    return None


def the_d_tag_begins_as_granted(case: Case) -> Refusal | None:
    if case.rule.d_prefix is None:
        return None
    given = [tag for tag in case.template.tags if tag[0] == "d"]
    if len(given) != 1 or len(given[0]) < 2 or not given[0][1].startswith(case.rule.d_prefix):
        return _restricted("its d tag must begin as this key's grant says")
    return None


def the_size_is_allowed(case: Case) -> Refusal | None:
    rule, template = case.rule, case.template
    n_bytes = len(template.content.encode())
    if rule.max_content_bytes is not None and n_bytes > rule.max_content_bytes:
        return Refusal(
            Prefix.INVALID,
            f"the content has {n_bytes} bytes; this key's grant allows {rule.max_content_bytes}",
        )
    if rule.max_tags is not None and len(template.tags) > rule.max_tags:
        return Refusal(
            Prefix.INVALID,
            f"the event has {len(template.tags)} tags; this key's grant allows {rule.max_tags}",
        )
    return None


def the_owner_is_known(case: Case) -> Refusal | None:
    if case.owner is None:
        return _restricted("no owner is named yet, so no session speaks")
    return None


def no_session_takes_over_the_bot(case: Case) -> Refusal | None:
    if case.template.kind in NEVER_FOR_SESSIONS:
        return _restricted(f"kind {case.template.kind} is never signed for a session")
    return None


def the_ceiling_has_the_kind(case: Case) -> Refusal | None:
    if case.template.kind not in case.ceiling.kinds_of(case.grant.group or ""):
        return _restricted(f"kind {case.template.kind} is above this conversation's ceiling")
    return None


def the_key_has_a_job(case: Case) -> Refusal | None:
    if case.grant.job is None:
        return _restricted("this key waits for its job")
    return None


def it_stays_in_its_group(case: Case) -> Refusal | None:
    given = [tag for tag in case.template.tags if tag[0] == "h"]
    if not given and case.template.kind not in GROUP_KINDS:
        return None  # public: it belongs to no group
    # Attack: an h of another group, or two, of which relay and reader take different ones.
    if len(given) != 1 or len(given[0]) < 2 or given[0][1] != case.grant.group:
        return _restricted("its one h tag must be this key's own group")
    return None


def a_bridge_of_ours_asks(case: Case) -> Refusal | None:
    if case.roles.bridge_of(case.grant.client) is None:
        return _restricted("this key is no bridge of this installation")
    return None


def it_says_what_the_ceiling_says(case: Case) -> Refusal | None:
    return public_face.refusal(case.template, case.ceiling)


def nobody_signs(case: Case) -> Refusal | None:
    return _restricted(f"a {case.grant.role}'s grant signs nothing here")


Sentence = Callable[[Case], Refusal | None]

EVERY_CASE: tuple[Sentence, ...] = (
    the_key_may_sign,
    the_author_is_the_bot,
    the_time_is_now,
    the_rules_tags_are_there,
    no_forbidden_tag_is_there,
    the_d_tag_begins_as_granted,
    the_size_is_allowed,
)
BY_ROLE: dict[str, tuple[Sentence, ...]] = {
    "session": (
        no_session_takes_over_the_bot,
        the_owner_is_known,
        the_key_has_a_job,
        the_ceiling_has_the_kind,
        it_stays_in_its_group,
    ),
    "bridge": (a_bridge_of_ours_asks, it_says_what_the_ceiling_says),
}


# Costs


def costs(kind: int, grant: Grant, rule: Rule, ceiling: Ceiling, grant_id: str) -> tuple[Cost, ...]:
    """What signing takes. Names are of the group, not of the session's key, so that neither a
    new key nor a renewal nor a restart fills anything up again."""
    caps = ceiling.caps
    scope = grant.group or grant.client
    own: list[Cost] = []
    if rule.rate is not None:
        own.append(Rated(f"kind/{scope}/{kind}", rule.rate.capacity, rule.rate.per_s))
    if rule.daily is not None:
        own.append(Counted(f"kind/{scope}/{kind}/day", rule.daily, daily=True))
    if grant.group is not None:
        own += [
            Rated(f"group/{grant.group}", caps.group_per_minute, caps.group_per_minute / 60),
            Counted(f"group/{grant.group}/day", caps.group_per_day, daily=True),
        ]
    return (*_uses(grant, grant_id), *own, *_over_all(ceiling))


def _uses(grant: Grant, grant_id: str) -> tuple[Cost, ...]:
    # A session's key has its uses once. A bridge's key is renewed for as long as it runs, so
    # there they are counted by grant.
    name = grant.client if grant.role == "session" else f"{grant.client}/{grant_id}"
    return (Counted(f"key/{name}", grant.max_uses, daily=False),)


def _over_all(ceiling: Ceiling) -> tuple[Cost, ...]:
    caps = ceiling.caps
    return (
        Rated("all", caps.per_minute, caps.per_minute / 60),
        Counted("all/day", caps.per_day, daily=True),
    )


def _restricted(sentence: str) -> Refusal:
    return Refusal(Prefix.RESTRICTED, sentence)
