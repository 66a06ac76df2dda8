"""Pure: the signer's side of NIP-46: a request → the step to take.

    ping, get_public_key          Say
    sign_event [template]         SignEvent, or Deny
    unwrap [gift wrap]            Open, or Deny          bridges only
    seal [recipient, rumor]       MakeSeal, or Deny      bridges only

Refusals: `restricted:` the key may not, `invalid:` the request is wrong, `rate-limited:` later,
`error:` nothing was decided; the same request may simply be sent again. Source: NIP-46, NIP-59.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from hashlib import sha256

import orjson

from nips.event import Event, Template
from nips.key import is_public_key
from nips.kinds import Kind
from nips.nip46 import Request
from nips.own.roles import Roles
from nips.refusal import Malformed, Prefix, Refusal
from signer import policy
from signer.buckets import Cost
from signer.ceiling import Ceiling
from signer.grants import Held, is_live


@dataclass(frozen=True, slots=True)
class View:
    """What the signer knows when it judges a request."""

    roles: Roles
    ceiling: Ceiling
    owner: str | None
    now_s: float


@dataclass(frozen=True, slots=True)
class Say:
    """Answer with this text."""

    result: str


@dataclass(frozen=True, slots=True)
class SignEvent:
    """Sign at these costs, keep, publish where `publish`, then answer.

    once: the once-key; where it was used before, its first event is the answer, at no more
    than `uses`.
    """

    template: Template
    costs: tuple[Cost, ...]
    uses: tuple[Cost, ...]
    once: str | None
    publish: bool


@dataclass(frozen=True, slots=True)
class Open:
    """Open a gift wrap and answer with what is in it."""

    wrap: Event


@dataclass(frozen=True, slots=True)
class MakeSeal:
    """Seal a rumor of the bot's for `recipient`."""

    recipient: str
    rumor: Template
    costs: tuple[Cost, ...]


@dataclass(frozen=True, slots=True)
class Deny:
    """Answer with the refusal."""

    refusal: Refusal


Step = Say | SignEvent | Open | MakeSeal | Deny


def body_hash(request: Request) -> str:
    """What tells a repeated request from another one under the same id."""
    return sha256(json.dumps([request.method, *request.params]).encode()).hexdigest()


def handle(request: Request, held: Held | None, view: View) -> Step:
    """Decide about a request of the client key whose grant is `held`."""
    if held is None:
        return _deny(Prefix.RESTRICTED, "this key has no grant")
    if refusal := is_live(held, view.ceiling, view.now_s):
        return Deny(refusal)
    try:
        match request.method, request.params:
            case "ping", ():
                return Say("pong")
            case "get_public_key", ():
                return Say(view.roles.bot)
            case "sign_event", (template,):
                return _sign_event(template, held, view)
            case "unwrap", (wrap,):
                return _unwrap(wrap, held, view)
            case "seal", (recipient, rumor):
                return _seal(recipient, rumor, held, view)
            case ("ping" | "get_public_key" | "sign_event" | "unwrap" | "seal") as method, params:
                return _deny(Prefix.INVALID, f"{method} does not take {len(params)} parameters")
            case "nip44_encrypt" | "nip44_decrypt" | "nip04_encrypt" | "nip04_decrypt", _:
                return _deny(
                    Prefix.RESTRICTED, "no key encrypts or decrypts with the bot's key at will"
                )
            case method, _:
                return _deny(Prefix.UNSUPPORTED, f"there is no method {method!r}")
    except Malformed as error:
        return _deny(Prefix.INVALID, str(error))


def _sign_event(text: str, held: Held, view: View) -> Step:
    # NIP-46: the template has no pubkey; where a client writes one it must be the bot's.
    template = Template.from_json(_decoded(text), pubkey=view.roles.bot)
    decision = policy.decide(
        template,
        held.grant,
        view.ceiling,
        view.roles,
        view.owner,
        view.now_s,
        grant_id=held.event.id,
    )
    match decision:
        case policy.Refuse(refusal):
            return Deny(refusal)
        case policy.Ask():
            return _deny(
                Prefix.RESTRICTED,
                f"kind {template.kind} needs the owner's own yes each time, "
                "and this version cannot ask for it",
            )
        case policy.Sign(_, costs, uses):
            given = template.values("o")
            if len(given) > 1:
                return _deny(Prefix.INVALID, "an event has one once-key, not two")
            # A login answers one relay's challenge; on our relay it would be nothing's.
            publish = template.kind != Kind.AUTH
            return SignEvent(template, costs, uses, given[0] if given else None, publish)


def _unwrap(text: str, held: Held, view: View) -> Step:
    if "unwrap" not in held.grant.methods or view.roles.bridge_of(held.grant.client) is None:
        return _deny(Prefix.RESTRICTED, "only a bridge has messages opened")
    return Open(Event.from_json(_decoded(text)))


def _seal(recipient: str, text: str, held: Held, view: View) -> Step:
    if "seal" not in held.grant.methods:
        return _deny(Prefix.RESTRICTED, "only a bridge has messages sealed")
    if not is_public_key(recipient):
        return _deny(Prefix.INVALID, "the recipient must be a public key in hex")
    rumor = Template.from_json(_decoded(text))
    judged = policy.decide_seal(
        rumor, held.grant, view.ceiling, view.roles, view.owner, held.event.id
    )
    if isinstance(judged, Refusal):
        return Deny(judged)
    return MakeSeal(recipient, rumor, judged)


def _decoded(text: str) -> object:
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise Malformed("the parameter is not JSON") from error


def _deny(prefix: Prefix, sentence: str) -> Deny:
    return Deny(Refusal(prefix, sentence))
