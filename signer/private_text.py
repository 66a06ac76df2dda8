"""Pure: texts that a login has encrypted or decrypted with the bot's key.

Both only for whom it was granted by name. Decrypting opens what anybody has encrypted to the bot;
what it never opens is mail: a gift wrap's seal and a seal's message are for the bridge alone.
Source: NIP-46 `nip44_encrypt`, `nip44_decrypt`; NIP-59.
"""

from __future__ import annotations

from dataclasses import dataclass

import orjson

from nips.key import is_public_key
from nips.own.grant import Grant
from nips.refusal import Prefix, Refusal
from signer import costs
from signer.buckets import Cost
from signer.ceiling import Ceiling

METHODS = ("nip44_encrypt", "nip44_decrypt")


@dataclass(frozen=True, slots=True)
class Encrypt:
    """Encrypt `text` to `peer` (hex)."""

    peer: str
    text: str
    costs: tuple[Cost, ...]


@dataclass(frozen=True, slots=True)
class Decrypt:
    """Decrypt `payload`, a text between the bot and `peer` (hex)."""

    peer: str
    payload: str
    costs: tuple[Cost, ...]


def judge(
    method: str, peer: str, text: str, grant: Grant, ceiling: Ceiling, grant_id: str
) -> Encrypt | Decrypt | Refusal:
    """Judge one of METHODS for a live grant."""
    if grant.role != "bunker" or method not in grant.methods:
        option = method.removeprefix("nip44_")
        return Refusal(
            Prefix.RESTRICTED,
            f"this key's grant does not hold {method}; a login has it where it was invited with "
            f"--{option}",
        )
    if not is_public_key(peer):
        return Refusal(Prefix.INVALID, "the other one must be a public key in hex")
    taken = costs.of_text(method, grant, ceiling, grant_id)
    return (Encrypt if method == "nip44_encrypt" else Decrypt)(peer, text, taken)


def opens_mail(plaintext: str, peer: str, bot: str) -> Refusal | None:
    """Say why a decrypted text is kept back: it is a seal or a message, so somebody's mail.

    Attack: `nip44_decrypt` with a gift wrap's key and content, then with the seal's: every direct
    message of everybody's to the bot. What the bot encrypted to itself (drafts, lists) is its own.
    """
    if peer == bot:
        return None
    try:
        value = orjson.loads(plaintext)
    except orjson.JSONDecodeError:
        return None
    if isinstance(value, dict) and {"kind", "pubkey", "content"} <= value.keys():
        return Refusal(
            Prefix.RESTRICTED, "this is a sealed message, which no login opens: only the bridge"
        )
    return None
