"""Pure: an invitation to log in as the bot, and what a `connect` makes of it.

An invitation is made on this machine's command line and waits for one client: the first that
connects with its secret. From then on the secret opens nothing, and the client's key has a grant
of the role `bunker` until the invitation ends. Source: NIP-46 "Initiating a connection".

The secret is `<id>.<random>`: the id finds the invitation, the hash of the whole is compared. So a
guess costs nobody but whom it is aimed at, and strangers' guesses leave no trace in the ledger.
"""

from __future__ import annotations

import hmac
from base64 import urlsafe_b64encode
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

from nips.own.grant import Grant, Rate, Rule
from nips.refusal import Prefix, Refusal
from signer.grants import Held

OPEN_FOR_S = 3_600  # an address that was never used must not wait for its finder
MAX_TRIES = 5
MAX_CONTENT_BYTES = 65_536
_ID_BYTES, _RANDOM_BYTES = 4, 24


@dataclass(frozen=True, slots=True)
class Terms:
    """What an invitation allows. `rate` is of everything together; publishes: what is signed is
    put on the private relay before the client has it."""

    kinds: tuple[int, ...]
    methods: tuple[str, ...]
    rate: Rate
    max_uses: int
    publishes: bool = False

    def to_json(self) -> dict[str, Any]:
        """What `from_json` reads."""
        rate = {"capacity": self.rate.capacity, "per_s": self.rate.per_s}
        return {
            "kinds": list(self.kinds),
            "methods": list(self.methods),
            "rate": rate,
            "max_uses": self.max_uses,
            "publishes": self.publishes,
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Terms:
        """Read what `to_json` made; the ledger's own, so it is taken at its word."""
        rate = Rate(value["rate"]["capacity"], value["rate"]["per_s"])
        return cls(
            tuple(value["kinds"]), tuple(value["methods"]), rate, value["max_uses"],
            value.get("publishes", False),  # rows of before say nothing of it
        )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Invitation:
    """One invitation. Times in unix seconds; `client` (hex) and `name` once it is taken up.

    ended: how it ended before its time: `revoked`, `logged out`, or `guessed at`.
    """

    id: str
    secret_hash: str
    terms: Terms
    made_s: int
    open_until_s: int
    expires_s: int
    tries: int = 0
    client: str | None = None
    name: str = ""
    ended: str | None = None

    def state(self, now_s: float) -> str:
        """`open`, `in use`, `missed` (nobody came), `expired`, or how it ended."""
        if self.ended is not None:
            return self.ended
        if now_s >= self.expires_s:
            return "missed" if self.client is None else "expired"
        if self.client is not None:
            return "in use"
        return "open" if now_s < self.open_until_s else "missed"


@dataclass(frozen=True, slots=True)
class Login:
    """A client key that is or was logged in. `invitation`: None where the owner's own event let
    it in; `used`: of the grant's uses."""

    held: Held
    invitation: Invitation | None
    used: int


def make(
    terms: Terms, ttl_s: int, now_s: float, random: Callable[[int], bytes]
) -> tuple[str, Invitation]:
    """A new secret, shown once, and what the ledger keeps of it."""
    made_s = int(now_s)
    name = random(_ID_BYTES).hex()
    secret = f"{name}.{urlsafe_b64encode(random(_RANDOM_BYTES)).decode()}"
    return secret, Invitation(
        name, _hash(secret), terms, made_s, made_s + min(ttl_s, OPEN_FOR_S), made_s + ttl_s
    )


def id_in(secret: str) -> str:
    """The id of the invitation that a secret claims to be of."""
    return secret.partition(".")[0]


def holds(invitation: Invitation, secret: str) -> bool:
    """Say whether this is the invitation's secret."""
    # Attack: the secret found byte by byte from the time that a comparison takes.
    return hmac.compare_digest(_hash(secret), invitation.secret_hash)


def may_be_taken(invitation: Invitation, client: str, now_s: float) -> Refusal | None:
    """Say why this client may not take up the invitation, whose secret it holds."""
    match invitation.state(now_s):
        case "open":
            return None
        case "in use" if invitation.client != client:
            # NIP-46: "Optional secret can be used for single successfully established connection
            # only". Attack: an address read over a shoulder, or from a history, used again.
            return _restricted("this bunker:// address has been used; it is good for one login")
        case "in use":
            return None
        case "missed":
            return _restricted("this bunker:// address is too old; make a new one")
        case "expired":
            return _restricted("this login's time is over; make a new bunker:// address")
        case ended:
            return _restricted(f"this bunker:// address was {ended}; make a new one")


def may_log_in(held: Held | None, holder: str | None) -> Refusal | None:
    """Say why a key may not become a login. holder: what roles.toml names it as."""
    if holder is not None:
        return _restricted(f"this key is the {holder}'s and logs in as nobody else")
    if held is None:
        return None
    if held.grant.role != "bunker":
        # Attack: a container that got hold of an address widens its own key's grant.
        return _restricted(f"this key is a {held.grant.role}'s and does not log in")
    if held.revoked:
        return _restricted("this key was logged out for good; log in with a new client key")
    return None


def grant_of(invitation: Invitation, client: str, now_s: float) -> Grant:
    """The grant of the client that takes up the invitation."""
    terms = invitation.terms
    return Grant(
        client=client,
        role="bunker",
        methods=terms.methods,
        rules=tuple(
            Rule(kind, forbidden=("h",), max_content_bytes=MAX_CONTENT_BYTES)
            for kind in terms.kinds
        ),
        not_before=int(now_s),
        expires_at=invitation.expires_s,
        hard_expires_at=invitation.expires_s,
        max_uses=terms.max_uses,
        rate=terms.rate,
        publishes=terms.publishes,
    )


def _hash(secret: str) -> str:
    return sha256(secret.encode()).hexdigest()


def _restricted(sentence: str) -> Refusal:
    return Refusal(Prefix.RESTRICTED, sentence)
