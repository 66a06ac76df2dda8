"""Pure: the x coordinate of a shared secp256k1 point, unhashed, in constant time.

Source: NIP-44 "Execute ECDH … `shared_x` must be unhashed". libsecp256k1's ecdh is constant
time but hashes by default, so it gets a hash callback that copies x. `PublicKey.multiply` would
give x too, in a time that depends on the secret.
"""

from __future__ import annotations

from coincurve._libsecp256k1 import ffi, lib
from coincurve.context import GLOBAL_CONTEXT

from nips.key import is_hex
from nips.refusal import Malformed


@ffi.callback(  # type: ignore[untyped-decorator, unused-ignore]  # cffi has no types
    "int(unsigned char *, const unsigned char *, const unsigned char *, void *)"
)
def _copy_x(output: object, x32: object, _y32: object, _data: object) -> int:
    ffi.memmove(output, x32, 32)
    return 1


def shared_x(secret: bytes | bytearray | memoryview, public: str) -> bytes:
    """Multiply the point `public` (x coordinate, 64 hex) by the 32-byte scalar `secret`.

    `secret` may be any buffer, protected memory included: it is read in place, never copied.
    Raises Malformed when either is not a key of the curve.
    """
    if not is_hex(public, 32):
        raise Malformed("a public key must be 64 lower-case hex digits")
    if len(secret) != 32:
        raise Malformed("a secret key must be 32 bytes")
    point = ffi.new("secp256k1_pubkey *")
    # BIP-340's lift_x: the point of this x whose y is even, hence the prefix 02.
    if not lib.secp256k1_ec_pubkey_parse(
        GLOBAL_CONTEXT.ctx, point, b"\x02" + bytes.fromhex(public), 33
    ):
        raise Malformed("the public key is not a point of the curve")
    output = ffi.new("unsigned char[32]")
    scalar = ffi.from_buffer("unsigned char[]", secret)
    if not lib.secp256k1_ecdh(GLOBAL_CONTEXT.ctx, output, point, scalar, _copy_x, ffi.NULL):
        raise Malformed("the secret key is zero or not below the curve's order")
    return bytes(ffi.buffer(output, 32))
