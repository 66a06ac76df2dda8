"""Pure: whether an event may be signed: template × grant × ceiling × now → a decision.

Effective scope = grant ∩ ceiling. The rules (signing_rules.py) come first, and nothing is signed
before all of them have passed. Costs (rates, caps, uses) come last: a decision to sign lists them,
the ledger takes them in the transaction that keeps the signature.
"""

from __future__ import annotations

from dataclasses import dataclass

from nips.event import Template
from nips.own.grant import Grant
from nips.own.roles import Roles
from nips.refusal import Prefix, Refusal
from signer import costs, public_face
from signer.buckets import Cost
from signer.ceiling import ONLY_ASKED, SEALED_KINDS, Ceiling
from signer.signing_rules import BY_ROLE, EVERY_CASE, Case, nobody_signs


@dataclass(frozen=True, slots=True)
class Sign:
    """It may be signed, at these costs, `uses` of the grant among them."""

    template: Template
    costs: tuple[Cost, ...]
    uses: tuple[Cost, ...]


@dataclass(frozen=True, slots=True)
class Ask:
    """It may be signed once the owner says yes to exactly this template.

    costs: of asking, so that there are no questions without end; uses: as of `Sign`.
    """

    template: Template
    costs: tuple[Cost, ...]
    uses: tuple[Cost, ...]


@dataclass(frozen=True, slots=True)
class Refuse:
    """It may not be signed."""

    refusal: Refusal


Decision = Sign | Ask | Refuse


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
    rule = grant.rule_for(template)
    if rule is None or rule.mode == "deny":
        return Refuse(_restricted(f"kind {template.kind} is not allowed by this key's grant"))
    case = Case(template, grant, rule, ceiling, roles, owner, now_s)
    for sentence in (*EVERY_CASE, *BY_ROLE.get(grant.role, (nobody_signs,))):
        if refusal := sentence(case):
            return Refuse(refusal)
    match grant.role:
        case "session":
            asks = ceiling.asks(template.kind)
        case "bridge":
            asks = public_face.needs_a_yes(template, ceiling)
        case "bunker":
            asks = template.kind in ONLY_ASKED
    asks = asks or rule.mode == "ask"
    taken = (costs.of_asking if asks else costs.of_signing)(grant, rule, ceiling, grant_id)
    return (Ask if asks else Sign)(template, taken, (costs.use(grant, grant_id),))


def decide_seal(
    rumor: Template, grant: Grant, ceiling: Ceiling, roles: Roles, owner: str | None, grant_id: str
) -> Refusal | tuple[Cost, ...]:
    """Judge a `seal`, a direct message in the bot's name; its costs, or why not."""
    if grant.role != "bridge" or grant.client != roles.mail_bridge:
        return _restricted("only a bridge has messages sealed, the one that carries mail")
    if owner is None:
        return _restricted("no owner is named yet, so there is nobody to write to")
    if rumor.pubkey != roles.bot:
        return _restricted("a seal proves its author: the rumor must be the bot's")
    if rumor.kind not in SEALED_KINDS:
        return _restricted(f"kind {rumor.kind} is not sealed: it is no direct message")
    return costs.of_sealing(grant, ceiling, grant_id)


def _restricted(sentence: str) -> Refusal:
    return Refusal(Prefix.RESTRICTED, sentence)
