"""Shell: what is done with the bot's key: signatures, and texts between the bot and others."""

from __future__ import annotations

import secrets

from nips import nip44
from nips.event import Event, Template
from nips.refusal import Prefix, Refusal, Refused
from signer.secret import Secret

LOCKED = Refusal(Prefix.ERROR, "the signer is locked; unlock it: nostrclaw key unlock")


class Pen:
    """The bot's key in use; it stays in the page of `secret`.

    secret: None while nobody has brought the passphrase; everything then raises Refused.
    """

    def __init__(self, secret: Secret | None) -> None:
        self._secret = secret

    @property
    def is_locked(self) -> bool:
        """Say whether there is no key."""
        return self._secret is None

    def take(self, secret: Secret | None) -> None:
        """Use this key from now on, or none; the one of before is overwritten."""
        if self._secret is not None:
            self._secret.wipe()
        self._secret = secret

    def _key(self) -> Secret:
        if self._secret is None:
            raise Refused(LOCKED)
        return self._secret

    def sign(self, template: Template) -> Event:
        """The signed event. Raises Malformed where the signature came out wrong."""
        event = template.with_sig(self._key().sign(template.id, secrets.token_bytes(32)))
        event.verify()  # BIP-340 recommends it: a fault while signing can give the key away
        return event

    def encrypt(self, peer: str, plaintext: str, *, extended: bool = True) -> str:
        """A text for `peer` (hex). Raises Malformed when it is empty or too long."""
        key = self._key().conversation_key(peer)
        return nip44.encrypt(plaintext, key, secrets.token_bytes(32), extended=extended)

    def decrypt(self, peer: str, payload: str) -> str:
        """A text between the bot and `peer` (hex). Raises Malformed where it does not open."""
        return nip44.decrypt(payload, self._key().conversation_key(peer), extended=True)
