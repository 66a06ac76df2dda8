"""Pure: the one-time code by which the first owner is named.

Whoever writes the code to the bot in a sealed message is its owner from then on. The code has 40
bits, lives ten minutes and five tries, and only a salted hash of it is kept: `pairing.json` in
the signer's folder, written by `python -m signer pair`.
"""

from __future__ import annotations

import hmac
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum
from hashlib import scrypt
from typing import Any

from nips.own.fields import hex32, integer, known_only
from nips.refusal import Malformed

ALPHABET = "23456789ABCDEFGHJKLMNPQRSTUVWXYZ"  # 32 letters: 0 and O, 1 and I cannot be confused
LIFE_S = 600
TRIES = 5
SALT_BYTES = 32

# People's keyboards turn hyphens into dashes; letters may come in either case.
_CODE = re.compile(
    rf"(?<![0-9A-Za-z])([{ALPHABET}]{{4}})[-\u2010-\u2014]([{ALPHABET}]{{4}})(?![0-9A-Za-z])",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Offer:
    """A code that was given out. `salt` and `hash` in hex, `expires_at` in unix seconds.

    `tries_left` is what it began with; the ledger counts the tries made, by `hash`.
    """

    salt: str
    hash: str
    expires_at: int
    tries_left: int

    def to_json(self) -> dict[str, Any]:
        """The object of the file."""
        return {name: getattr(self, name) for name in self.__slots__}

    @classmethod
    def from_json(cls, value: object) -> Offer:
        """Read the file's object. Raises Malformed."""
        if not isinstance(value, Mapping):
            raise Malformed("pairing: must be a JSON object")
        known_only("pairing", value, cls.__slots__)
        return cls(
            hex32("pairing: salt", value.get("salt")),
            hex32("pairing: hash", value.get("hash")),
            integer("pairing: expires_at", value.get("expires_at")),
            integer("pairing: tries_left", value.get("tries_left"), 0, 100),
        )


class Claim(Enum):
    """What a message says about the code."""

    NONE = "it holds nothing that looks like a code"
    DEAD = "the code has expired or its tries are used up"
    WRONG = "it holds another code"
    RIGHT = "it holds the code"


def make(random_bytes: Callable[[int], bytes], now_s: float) -> tuple[str, Offer]:
    """A fresh code, to be shown once, and the offer to keep."""
    letters = "".join(ALPHABET[byte % 32] for byte in random_bytes(8))  # 256 is 8 times 32
    salt = random_bytes(SALT_BYTES)
    offer = Offer(salt.hex(), _hash(letters, salt), int(now_s) + LIFE_S, TRIES)
    return f"{letters[:4]}-{letters[4:]}", offer


def claim(offer: Offer, text: str, tries_made: int, now_s: float) -> Claim:
    """Judge a message. WRONG costs a try, which the caller counts durably before it answers.

    Attack: a message with a thousand codes. Only its first counts, so a message is one guess.
    """
    found = _CODE.search(text)
    if found is None:
        return Claim.NONE
    if now_s >= offer.expires_at or tries_made >= offer.tries_left:
        return Claim.DEAD
    given = _hash((found[1] + found[2]).upper(), bytes.fromhex(offer.salt))
    return Claim.RIGHT if hmac.compare_digest(given, offer.hash) else Claim.WRONG


def _hash(letters: str, salt: bytes) -> str:
    # 40 bits are few for one who has stolen the file; scrypt makes each of them cost 16 MiB.
    return scrypt(letters.encode(), salt=salt, n=2**14, r=8, p=1, dklen=32).hex()
