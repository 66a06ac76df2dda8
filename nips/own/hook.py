"""Pure: who calls a task: the signature of what is posted to it.

    X-Nostrclaw-Signature: t=<unix seconds>,v1=<hex of HMAC-SHA256(secret, "<t>.<body>")>

The secret is the task's own. A call counts for five minutes from its `t` on, and once: who heard it
pass by can neither keep it nor change a byte of it. Its Idempotency-Key is not signed: what one
signature has set off under one it does not set off under another. Source: PROTOCOL.md "What sets a
task off", RFC 2104.
"""

from __future__ import annotations

import hmac
import re
from dataclasses import dataclass
from hashlib import sha256

from nips.own.once import once_key
from nips.refusal import Malformed

HEADER = "x-nostrclaw-signature"
ONCE_HEADER = "idempotency-key"
WINDOW_S = 300
SECRET_BYTES = 32
MAX_ONCE_CHARS = 200
_SIGNED = re.compile(r"t=([0-9]{1,11}),v1=([0-9a-f]{64})", re.ASCII)


@dataclass(frozen=True, slots=True)
class Signed:
    """What a header says: when it was made, in unix seconds, and by which HMAC, in hex."""

    at_s: int
    mac: str

    @property
    def name(self) -> str:
        """What others may know it by."""
        return once_key("hook signature", self.mac)


def header(secret: bytes, at_s: int, body: bytes) -> str:
    """The header's value."""
    return f"t={at_s},v1={_mac(secret, at_s, body)}"


def parse(value: str) -> Signed:
    """Read the header. Raises Malformed."""
    found = _SIGNED.fullmatch(value.strip())
    if found is None:
        raise Malformed("sign it: X-Nostrclaw-Signature: t=<unix seconds>,v1=<HMAC-SHA256 in hex>")
    return Signed(int(found[1]), found[2])


def holds(secret: bytes, signed: Signed, body: bytes) -> bool:
    """Say whether the secret's holder has signed this very body at that time."""
    # Attack: who measures how far a comparison comes finds the right signature digit by digit.
    return hmac.compare_digest(_mac(secret, signed.at_s, body), signed.mac)


def is_fresh(signed: Signed, now_s: int) -> bool:
    """Say whether it counts now."""
    return abs(now_s - signed.at_s) <= WINDOW_S


def slot(signed: Signed, once: str | None) -> str:
    """The name of the run that a call is for. once: the caller's own word for it, by which it may
    call again, signed anew; without one each call has its own. Raises Malformed."""
    if once is None:
        return signed.name
    if not 1 <= len(once) <= MAX_ONCE_CHARS or not (once.isascii() and once.isprintable()):
        raise Malformed(f"Idempotency-Key has 1 to {MAX_ONCE_CHARS} plain characters")
    return once_key("hook", once)


def _mac(secret: bytes, at_s: int, body: bytes) -> str:
    return hmac.new(secret, b"%d." % at_s + body, sha256).hexdigest()
