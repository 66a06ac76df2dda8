"""Pure: a secret text at rest under a passphrase, bound to what it is for.

As NIP-49 encrypts a key, so this encrypts any bytes: scrypt makes a key of the passphrase, and
XChaCha20-Poly1305 encrypts under it. The purpose is authenticated along with it. Attack: somebody
who can write the files, and has no passphrase, moves a sealed API key to another provider's entry
or gives its provider another address, and waits for the key to be sent there: it does not open.
Source: NIP-49; draft-irtf-cfrg-xchacha.
"""

from __future__ import annotations

from base64 import b64decode, b64encode
from binascii import Error as BadBase64
from unicodedata import normalize

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

from nips.nip49 import MAX_LOG_N, MIN_LOG_N, NONCE_BYTES, SALT_BYTES, hchacha20
from nips.refusal import Malformed

PREFIX = "nostrclaw-sealed-1:"
_HEAD_BYTES = 1 + SALT_BYTES + NONCE_BYTES


def seal(
    secret: bytes, passphrase: str, purpose: str, salt: bytes, nonce: bytes, log_n: int
) -> str:
    """One line of text that `unseal` opens with the same passphrase and purpose.

    salt: 16, nonce: 24 fresh random bytes; log_n as in NIP-49. Raises Malformed when a length or
    log_n is out of bounds.
    """
    if len(salt) != SALT_BYTES or len(nonce) != NONCE_BYTES:
        raise Malformed(f"a salt has {SALT_BYTES} bytes and a nonce {NONCE_BYTES}")
    cipher = _cipher(passphrase, salt, nonce, log_n)
    ciphertext = cipher.encrypt(_short(nonce), secret, purpose.encode())
    return PREFIX + b64encode(bytes([log_n]) + salt + nonce + ciphertext).decode()


def unseal(text: str, passphrase: str, purpose: str) -> bytes:
    """The secret. Raises Malformed: not a sealed text, or a wrong passphrase or purpose."""
    if not text.startswith(PREFIX):
        raise Malformed("it is no sealed text")
    try:
        raw = b64decode(text[len(PREFIX) :].strip(), validate=True)
    except (BadBase64, ValueError) as error:
        raise Malformed("it is no sealed text") from error
    if len(raw) < _HEAD_BYTES:
        raise Malformed("it is cut short")
    salt, nonce = raw[1 : 1 + SALT_BYTES], raw[1 + SALT_BYTES : _HEAD_BYTES]
    cipher = _cipher(passphrase, salt, nonce, raw[0])
    try:
        return cipher.decrypt(_short(nonce), raw[_HEAD_BYTES:], purpose.encode())
    except InvalidTag as error:
        raise Malformed(
            "the passphrase is another, or the text or what it is for was changed"
        ) from error


def _cipher(passphrase: str, salt: bytes, nonce: bytes, log_n: int) -> ChaCha20Poly1305:
    # Attack: a text whose log_n asks for terabytes.
    if not MIN_LOG_N <= log_n <= MAX_LOG_N:
        raise Malformed(f"log_n must be {MIN_LOG_N} to {MAX_LOG_N}, not {log_n}")
    try:
        password = normalize("NFKC", passphrase).encode()
    except UnicodeEncodeError as error:
        raise Malformed("the passphrase is not Unicode text") from error
    key = Scrypt(salt=salt, length=32, n=2**log_n, r=8, p=1).derive(password)
    return ChaCha20Poly1305(hchacha20(key, nonce[:16]))


def _short(nonce: bytes) -> bytes:
    return bytes(4) + nonce[16:]
