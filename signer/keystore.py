"""Shell: the bot's key at rest, and how it gets from there into the secret page.

    DATA/signer/identity.ncryptsec   the key under a passphrase (NIP-49), mode 0400
    DATA/signer/passphrase           the passphrase, 0400, unless a person keeps it
    DATA/signer/identity.pub         the public key in hex

The key is decrypted in a process of its own that writes it into a pipe and ends, so no copy of
it is ever in the memory of the process that serves.
"""

from __future__ import annotations

import os
import secrets
from pathlib import Path

from nips import nip19, nip49
from nips.key import SecretKey
from nips.refusal import Malformed

# 64 MiB and a fraction of a second. The passphrase that we make has 256 bits, so scrypt matters
# only for one that a person chose.
LOG_N = 16
MAX_SECRET_TEXT_BYTES = 4_096


class KeystoreError(Exception):
    """The identity cannot be made, read or unlocked; the message says why and what to do."""


class Keystore:
    """The files of one signer's folder."""

    def __init__(self, data: Path) -> None:
        self.data = data
        self.encrypted = data / "identity.ncryptsec"
        self.passphrase = data / "passphrase"
        self.public = data / "identity.pub"

    def create(self, imported: str | None, passphrase: str | None) -> tuple[str, bool]:
        """Make the identity where there is none.

        imported: an nsec or 64 hex digits, else the key is random. passphrase: the person's
        own, else a random one is kept beside. Returns the public key in hex and whether it
        was made now. Raises KeystoreError, also when another key than `imported` is here.
        """
        given = None if imported is None else _secret_key(imported)
        self.data.mkdir(parents=True, exist_ok=True, mode=0o700)
        self.data.chmod(0o700)
        if self.encrypted.exists():
            return self._existing(given, passphrase), False
        key = given or SecretKey.generate(secrets.token_bytes)
        if passphrase is None:
            if not self.passphrase.exists():  # it may be here from a start that was cut off
                write_whole(self.passphrase, secrets.token_urlsafe(32) + "\n", mode=0o400)
            passphrase = self._kept_passphrase()
        salt = secrets.token_bytes(nip49.SALT_BYTES)
        nonce = secrets.token_bytes(nip49.NONCE_BYTES)
        text = nip49.encrypt(key, passphrase, salt, nonce, LOG_N)
        write_whole(self.public, key.public + "\n", mode=0o444)
        write_whole(self.encrypted, text + "\n", mode=0o400)  # last: where it is, all is
        return key.public, True

    def _existing(self, given: SecretKey | None, passphrase: str | None) -> str:
        try:
            public = self.public.read_text().strip()
        except OSError as error:
            raise KeystoreError(
                f"{self.public} cannot be read: {error.strerror}. It holds the public key of "
                f"{self.encrypted.name}; put it back from the backup."
            ) from error
        if given is not None and given.public != public:
            raise KeystoreError(
                f"{self.data} holds another identity, {nip19.encode_npub(public)}, already. "
                "Import into another --data folder."
            )
        return public

    def _kept_passphrase(self) -> str:
        try:
            return self.passphrase.read_text().rstrip("\n")
        except FileNotFoundError:
            raise KeystoreError(
                f"There is no passphrase in {self.passphrase}. Hand yours over with "
                "--passphrase-fd N, where N is an open file descriptor."
            ) from None
        except OSError as error:
            raise KeystoreError(f"{self.passphrase} cannot be read: {error.strerror}") from error

    def unlock(self, passphrase: str | None) -> int:
        """Start decrypting in a process of its own; returns the pipe the key comes through.

        passphrase: None for the one that is kept. To be called before any thread is started.
        Raises KeystoreError.
        """
        if not self.encrypted.exists():
            raise KeystoreError(
                f"There is no identity in {self.data}. Make one: python -m signer init --data "
                f"{self.data}"
            )
        reads_key, writes_key = os.pipe()
        reads_error, writes_error = os.pipe()
        child = os.fork()
        if child == 0:
            self._decrypt_and_end(passphrase, writes_key, writes_error)
        os.close(writes_key)
        os.close(writes_error)
        with os.fdopen(reads_error) as errors:
            sentence = errors.read()
        os.waitpid(child, 0)
        if sentence:
            os.close(reads_key)
            raise KeystoreError(sentence)
        return reads_key

    def _decrypt_and_end(self, passphrase: str | None, writes_key: int, writes_error: int) -> None:
        try:
            text = self.encrypted.read_text()
            key = nip49.decrypt(text, passphrase or self._kept_passphrase())
            os.write(writes_key, key.raw)
        except (OSError, Malformed, KeystoreError, MemoryError) as error:
            os.write(writes_error, f"{self.encrypted} cannot be unlocked: {error}".encode())
        finally:
            # Not sys.exit: what the parent has prepared, such as buffered output, is not ours.
            os._exit(0)


def _secret_key(text: str) -> SecretKey:
    try:
        if text.startswith("nsec1"):
            match nip19.decode(text):
                case nip19.Nsec(raw):
                    return SecretKey(raw)
        return SecretKey(bytes.fromhex(text))
    except (Malformed, ValueError) as error:
        # Not the error's own words: they might repeat what was given.
        raise KeystoreError(
            "What came through the descriptor is no key: give an nsec1… or 64 hex digits."
        ) from error


def read_text(descriptor: int) -> str:
    """Read a line of secret text from an inherited descriptor. Raises KeystoreError."""
    try:
        with os.fdopen(descriptor, "rb") as file:
            return file.read(MAX_SECRET_TEXT_BYTES).decode().strip()
    except (OSError, UnicodeDecodeError) as error:
        raise KeystoreError(f"Descriptor {descriptor} cannot be read: {error}") from error


def write_whole(path: Path, text: str, *, mode: int) -> None:
    """Write a file so that a crash leaves the old one or the new one, never a part."""
    part = path.with_name(f".{path.name}.{os.getpid()}")
    part.unlink(missing_ok=True)
    descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, mode)
    with os.fdopen(descriptor, "w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    part.replace(path)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)  # the name too
    finally:
        os.close(folder)
