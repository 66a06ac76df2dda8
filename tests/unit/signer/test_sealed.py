"""signer/sealed.py: a secret under a passphrase, bound to what it is for."""

from __future__ import annotations

from base64 import b64decode, b64encode

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nips.refusal import Malformed
from signer.sealed import PREFIX, seal, unseal

SALT, NONCE = bytes(range(16)), bytes(range(24))
PURPOSE = "anthropic https://api.example"


def sealed(secret: bytes = b"sk-123", log_n: int = 1) -> str:
    return seal(secret, "pass", PURPOSE, SALT, NONCE, log_n)


@given(st.binary(max_size=300), st.text(max_size=20))
@settings(max_examples=50)
def test_it_opens_again(secret: bytes, passphrase: str) -> None:
    text = seal(secret, passphrase, PURPOSE, SALT, NONCE, 1)
    assert unseal(text + "\n", passphrase, PURPOSE) == secret


def test_the_secret_is_not_in_it() -> None:
    assert b"sk-123" not in b64decode(sealed()[len(PREFIX) :])


@pytest.mark.parametrize(
    ("passphrase", "purpose"),
    [("other", PURPOSE), ("pass", "anthropic https://evil.example"), ("pass", "openai")],
)
def test_another_passphrase_or_purpose_opens_nothing(passphrase: str, purpose: str) -> None:
    with pytest.raises(Malformed, match="changed"):
        unseal(sealed(), passphrase, purpose)


def test_every_changed_byte_is_seen() -> None:
    raw = bytearray(b64decode(sealed()[len(PREFIX) :]))
    for at in range(len(raw)):
        changed = bytearray(raw)
        changed[at] ^= 0x80 if at == 0 else 1  # of log_n the high bit: no time spent on scrypt
        with pytest.raises(Malformed):
            unseal(PREFIX + b64encode(changed).decode(), "pass", PURPOSE)


@pytest.mark.parametrize("text", ["", "ncryptsec1qq", PREFIX, PREFIX + "!!", PREFIX + "AQ=="])
def test_what_is_no_sealed_text(text: str) -> None:
    with pytest.raises(Malformed):
        unseal(text, "pass", PURPOSE)


@pytest.mark.parametrize(("salt", "nonce", "log_n"), [(b"", NONCE, 1), (SALT, b"", 1)])
def test_lengths_are_held(salt: bytes, nonce: bytes, log_n: int) -> None:
    with pytest.raises(Malformed):
        seal(b"x", "pass", PURPOSE, salt, nonce, log_n)


@pytest.mark.parametrize("log_n", [0, 23])
def test_scrypt_is_bounded(log_n: int) -> None:
    with pytest.raises(Malformed, match="log_n"):
        sealed(log_n=log_n)
