"""Pure: the signer's side of NIP-46: a request → the step to take.

    ping, get_public_key, switch_relays          Say
    connect [signer, secret, …]   Connect, or Deny       whoever has an invitation's secret
    logout                        LogOut                 bunker clients only
    sign_event [template]         SignEvent, AskOwner, or Deny
    nip44_encrypt, nip44_decrypt  Encrypt, Decrypt, Deny bunker clients that hold it
    unwrap [gift wrap]            Open, or Deny          the bridge that carries mail
    seal [recipient, rumor]       MakeSeal, or Deny      the same

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
from nips.nip44 import MAX_CLASSIC_BYTES
from nips.nip46 import MAX_ID_CHARS, Request, Response, parse_connect
from nips.own.grant import Grant
from nips.own.once import in_group
from nips.own.roles import Roles
from nips.refusal import Malformed, Prefix, Refusal
from signer import policy, private_text
from signer.buckets import Cost
from signer.ceiling import Ceiling
from signer.grants import Held, is_live
from signer.private_text import Decrypt, Encrypt

LOGINS = "logins"  # no group is called so: theirs are UUIDs
METHODS = frozenset(
    {"ping", "get_public_key", "switch_relays", "logout", "sign_event", "unwrap", "seal"}
) | frozenset(private_text.METHODS)


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
class AskOwner:
    """Ask the owner at these costs, and sign after a yes (approval.py); `uses` as above.

    group: whose session asks, None for a login. once: as above.
    """

    template: Template
    costs: tuple[Cost, ...]
    uses: tuple[Cost, ...]
    group: str | None
    once: str | None


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
class Connect:
    """Take up the invitation that has this secret; empty where the client has a grant already.
    name: what the client calls itself."""

    secret: str
    name: str


@dataclass(frozen=True, slots=True)
class LogOut:
    """End the client's grant for good, after answering."""


@dataclass(frozen=True, slots=True)
class Deny:
    """Answer with the refusal."""

    refusal: Refusal


Step = Say | SignEvent | AskOwner | Open | MakeSeal | Connect | LogOut | Encrypt | Decrypt | Deny


def body_hash(request: Request) -> str:
    """What tells a repeated request from another one under the same id."""
    return sha256(json.dumps([request.method, *request.params]).encode()).hexdigest()


def handle(request: Request, held: Held | None, view: View) -> Step:
    """Decide about a request of the client key whose grant is `held`."""
    try:
        if request.method == "connect":
            return _connect(request, held, view)
        if held is None:
            return _deny(
                Prefix.RESTRICTED,
                "this key has no grant; connect with the secret of a bunker:// address first",
            )
        if refusal := is_live(held, view.ceiling, view.now_s):
            return Deny(refusal)
        if request.method in METHODS:
            return _granted(request, held, view)
    except Malformed as error:
        return _deny(Prefix.INVALID, str(error))
    if request.method in ("nip04_encrypt", "nip04_decrypt"):
        return _deny(Prefix.UNSUPPORTED, "NIP-04 is not spoken here, but nip44_… of NIP-44 is")
    # NIP-46: "Requests made with unknown or unsupported methods MUST be replied with an error."
    return _deny(Prefix.UNSUPPORTED, f"there is no method {request.method!r}")


def _granted(request: Request, held: Held, view: View) -> Step:
    match request.method, request.params:
        case "ping", ():
            return Say("pong")
        case "get_public_key", ():
            return Say(view.roles.bot)
        case "switch_relays", ():
            # NIP-46: "or `null` if there is nothing to be changed"; as "a JSON stringified
            # object", since some clients wait for ever for a result that is no string.
            return Say("null")
        case "logout", () if held.grant.role == "bunker":
            return LogOut()
        case "sign_event", (template,):
            return _sign_event(template, request, held, view)
        case ("nip44_encrypt" | "nip44_decrypt") as method, (peer, text):
            grant, grant_id = held.grant, held.event.id
            judged = private_text.judge(method, peer, text, grant, view.ceiling, grant_id)
            return Deny(judged) if isinstance(judged, Refusal) else judged
        case "unwrap", (wrap,):
            return _unwrap(wrap, held, view)
        case "seal", (recipient, rumor):
            return _seal(recipient, rumor, held, view)
        case "logout", ():
            return _deny(Prefix.RESTRICTED, "only a login logs out")
        case method, params:
            return _deny(Prefix.INVALID, f"{method} does not take {len(params)} parameters")


def _connect(request: Request, held: Held | None, view: View) -> Step:
    given = parse_connect(request.params)
    if given.signer != view.roles.signer:
        return _deny(Prefix.INVALID, "this connect is for another signer")
    if not given.secret:
        # An app that comes back with its key; whether it may, its grant says.
        if held is None or held.grant.role != "bunker":
            return _deny(Prefix.RESTRICTED, "connect needs the secret of a bunker:// address")
        if refusal := is_live(held, view.ceiling, view.now_s):
            return Deny(refusal)
    return Connect(given.secret, given.name)


def _sign_event(text: str, request: Request, held: Held, view: View) -> Step:
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
        case policy.Ask(_, costs, uses):
            if len(template.values("o")) > 1:
                return _deny(Prefix.INVALID, "an event has one once-key, not two")
            # A login whose words are not published has no once-key, and a bridge needs none.
            scoped = held.grant.role == "session" or held.grant.publishes
            once = once_of(template, scope_of(held.grant)) if scoped else None
            return AskOwner(template, costs, uses, held.grant.group, once)
        case policy.Sign(_, costs, uses) if is_takeaway(held.grant):
            if not request.is_extended and (too_long := _too_long_to_answer(template)):
                return Deny(too_long)
            # Its client brings it to the relays of its owner's choice. It gets no once-key either:
            # that is for what is published here, by relays that keep them.
            return SignEvent(template, costs, uses, once=None, publish=False)
        case policy.Sign(_, costs, uses):
            given = template.values("o")
            if len(given) > 1:
                return _deny(Prefix.INVALID, "an event has one once-key, not two")
            # A login answers one relay's challenge; on our relay it would be nothing's.
            publish = template.kind != Kind.AUTH
            once = once_of(template, scope_of(held.grant))
            return SignEvent(template, costs, uses, once, publish)


def is_takeaway(grant: Grant) -> bool:
    """Say whether what is signed under a grant is only returned: a login's, unless it publishes."""
    return grant.role == "bunker" and not grant.publishes


def scope_of(grant: Grant) -> str | None:
    """Within what a grant's once-keys are told apart: its conversation, or all logins that publish,
    since each of them has a key of its own and says the same thing once."""
    return LOGINS if grant.publishes else grant.group


def once_of(template: Template, scope: str | None) -> str | None:
    """The once-key under which an event that is asked for is known, None without one.

    Attack: an agent that uses the once-key of another conversation's next answer, or of what is
    published next, which would then be refused, or taken for a repetition.
    """
    given = template.tag("o")
    return None if given is None else in_group(given, scope)


def _too_long_to_answer(template: Template) -> Refusal | None:
    """Say why the signed event would not reach a client that reads NIP-44's classic form only:
    better before it is signed and counted than after."""
    text = orjson.dumps(template.with_sig("0" * 128).to_json()).decode()
    answer = Response("0" * MAX_ID_CHARS, text).to_json()
    if (n_bytes := len(answer.encode())) <= MAX_CLASSIC_BYTES:
        return None
    return Refusal(
        Prefix.INVALID,
        f"the signed event would make an answer of {n_bytes} bytes, and NIP-44's classic form "
        f"ends at {MAX_CLASSIC_BYTES}; shorten it",
    )


def _unwrap(text: str, held: Held, view: View) -> Step:
    if "unwrap" not in held.grant.methods or held.grant.client != view.roles.mail_bridge:
        return _deny(
            Prefix.RESTRICTED, "only a bridge has messages opened, the one that carries mail"
        )
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
