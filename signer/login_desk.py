"""Shell: what the desk does for logins alone: connect, log out, texts of the bot's.

Used by the desk, inside its transaction and on its thread.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import structlog

from nips import nip46
from nips.key import SecretKey
from nips.own.roles import Roles
from nips.refusal import Malformed, Prefix, Refusal, Refused
from signer.buckets import Cost
from signer.bunker import Connect
from signer.ledger import Answer, Ledger
from signer.logins import Logins
from signer.pen import Pen
from signer.private_text import Decrypt, Encrypt, opens_mail
from signer.work import Reply, say

Charge = Callable[[Sequence[Cost]], None]
Note = Callable[[str, nip46.Request, str, str], None]

log = structlog.get_logger()


class LoginDesk:
    """See above. `key`: the signer's role key. `charge` takes every cost or raises Refused;
    `note` writes an audit row: client, request, outcome, event's id."""

    def __init__(
        self, ledger: Ledger, pen: Pen, key: SecretKey, roles: Roles, charge: Charge, note: Note
    ) -> None:
        self._ledger, self._logins = ledger, Logins(ledger)
        self._pen, self._key, self._roles = pen, key, roles
        self._charge, self._note = charge, note

    def connect(
        self, client: str, request: nip46.Request, step: Connect, owner: str | None, now_s: float
    ) -> Reply:
        """Bind the client to the invitation whose secret it has. Raises Refused."""
        holder = self._roles.role_of(client) or ("owner" if client == owner else None)
        bound = self._logins.connect(client, step.secret, step.name, holder, self._key, now_s)
        if bound is not None:
            self._note(client, request, f"logged in by invitation {bound.id}", "")
            log.info("login", client=client, invitation=bound.id, name=step.name)
        return say(client, request, "ack")

    def log_out(self, client: str, request: nip46.Request, body_hash: str) -> Reply:
        """End the client's login for good."""
        # NIP-46: "reject any further requests from it"; but the same logout is acknowledged again.
        self._logins.end(client, "logged out")
        self._ledger.keep_answer(client, request.id, Answer(body_hash, "ack", None))
        self._note(client, request, "logged out", "")
        return say(client, request, "ack")

    def private_text(self, client: str, request: nip46.Request, step: Encrypt | Decrypt) -> Reply:
        """Encrypt or decrypt. Neither text nor ciphertext is kept: asked again, it is done again.

        Raises Refused.
        """
        self._charge(step.costs)
        try:
            match step:
                case Encrypt(peer, text):
                    result = self._pen.encrypt(peer, text, extended=request.is_extended)
                    outcome = f"encrypted to {peer}"
                case Decrypt(peer, payload):
                    result, outcome = self._pen.decrypt(peer, payload), f"decrypted from {peer}"
        except Malformed as error:
            raise Refused(Refusal(Prefix.INVALID, str(error))) from error
        if isinstance(step, Decrypt) and (
            refusal := opens_mail(result, step.peer, self._roles.bot)
        ):
            raise Refused(refusal)
        self._note(client, request, outcome, "")
        return say(client, request, result)
