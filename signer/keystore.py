"""Shell: the bot's key at rest, and how it gets from there into the secret page.

    DATA/signer/identity.ncryptsec   the key under a passphrase (NIP-49), mode 0400
    DATA/signer/passphrase           the passphrase, 0400, unless a person keeps it
    DATA/signer/passphrase.changing  one that was kept before, or will be: signer/custody.py
    DATA/signer/identity.pub         the public key in hex
    DATA/signer/identity.next.*      an identity on its way in: signer/custody.py

The key is decrypted in a process of its own that writes it into a pipe and ends, so no copy of
it is ever in the memory of the process that serves.
"""

from __future__ import annotations

import os
import secrets
from pathlib import Path

import structlog

from nips import nip19, nip49
from nips.key import SecretKey
from nips.refusal import Malformed
from signer.kernel_keyring import KernelKeyring, KeyringRefused

# 64 MiB and a fraction of a second. The passphrase that we make has 256 bits, so scrypt matters
# only for one that a person chose.
LOG_N = 16
# 256 random bits of our own cannot be guessed at any speed.
LOG_N_OF_RANDOM = 12
MAX_SECRET_TEXT_BYTES = 4_096

log = structlog.get_logger()


class KeystoreError(Exception):
    """The identity cannot be made, read or unlocked; the message says why and what to do."""


class NoPassphrase(KeystoreError):
    """None was given and none that is kept opens the key: a person has to bring it."""


class Keystore:
    """The files of one signer's folder. named: what the folder is called in sentences."""

    def __init__(self, data: Path, named: Path | None = None) -> None:
        self.data, self.named = data, named or data
        self.encrypted = data / "identity.ncryptsec"
        self.passphrase = data / "passphrase"
        self.changing = data / "passphrase.changing"
        self.public = data / "identity.pub"
        self.next_encrypted = data / "identity.next.ncryptsec"
        self.next_public = data / "identity.next.pub"

    def create(self, imported: str | None, passphrase: str | None) -> tuple[str, bool]:
        """Make the identity where there is none.

        imported: an nsec or 64 hex digits, else the key is random. passphrase: the person's
        own, else a random one is kept beside. Returns the public key in hex and whether it
        was made now. Raises KeystoreError, also when another key than `imported` is here.
        """
        given = None if imported is None else secret_key(imported)
        self.data.mkdir(parents=True, exist_ok=True, mode=0o700)
        self.data.chmod(0o700)
        self.recover()
        if self.encrypted.exists():
            return self._existing(given, passphrase), False
        key = given or SecretKey.generate(secrets.token_bytes)
        log_n = LOG_N
        if passphrase is None:
            if not self.passphrase.exists():  # it may be here from a start that was cut off
                write_whole(self.passphrase, secrets.token_urlsafe(32) + "\n", mode=0o400)
                log_n = LOG_N_OF_RANDOM
            (passphrase, *_) = self.kept()
        text = encrypted(key, passphrase, log_n)
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

    def kept(self) -> tuple[str, ...]:
        """The passphrases that are kept here, in the order in which to try them: none where a
        person keeps it, two where a change was cut off. Raises KeystoreError."""
        found = []
        for path in (self.passphrase, self.changing):
            try:
                found.append(path.read_text().rstrip("\n"))
            except FileNotFoundError:
                continue
            except OSError as error:
                raise KeystoreError(f"{path} cannot be read: {error.strerror}") from error
        return tuple(found)

    def recover(self) -> None:
        """End what a crash cut off: a new identity is in its place, or it never was."""
        if not self.next_public.exists():
            self.next_encrypted.unlink(missing_ok=True)
        elif self.next_encrypted.exists():
            # In this order: the public part alone would mean that the key had been moved.
            self.next_public.unlink()
            self.next_encrypted.unlink()
        else:  # the key was moved into its place, which was the decision
            self.next_public.replace(self.public)

    def unlock(
        self,
        passphrase: str | None,
        keyring: KernelKeyring | None = None,
        handed: int | None = None,
    ) -> int:
        """Start decrypting in a process of its own; returns the pipe the key comes through.

        passphrase: None for the one that is kept, here or in the keyring. handed: a descriptor to
        read it from, in that process only, and then closed. To be called before any thread is
        started. Raises KeystoreError; NoPassphrase where a person has to bring it.
        """
        self.require_identity()
        self.recover()
        given = () if passphrase is None else (passphrase,)
        kept = given or (self.kept() if handed is None else ())
        if not kept and keyring is None and handed is None:
            raise NoPassphrase(
                f"There is no passphrase in {self.named / self.passphrase.name}. Hand yours over "
                "with --passphrase-fd N, where N is an open file descriptor."
            )
        reads_key, writes_key = os.pipe()
        reads_error, writes_error = os.pipe()
        child = os.fork()
        if child == 0:
            self._decrypt_and_end(kept, keyring, handed, writes_key, writes_error)
        if handed is not None:
            os.close(handed)
        os.close(writes_key)
        os.close(writes_error)
        with os.fdopen(reads_error) as errors:
            sentence = errors.read()
        os.waitpid(child, 0)
        if sentence:
            os.close(reads_key)
            # What stands in `changing` alone was replaced by a person's own, or is not in use yet.
            from_a_person = passphrase is None and handed is None and not self.passphrase.exists()
            raise (NoPassphrase if from_a_person else KeystoreError)(sentence)
        return reads_key

    def require_identity(self) -> None:
        """Raises KeystoreError where there is none."""
        if not self.encrypted.exists():
            raise KeystoreError(
                f"There is no identity in {self.named}. Make one: python -m signer init --data "
                f"{self.named}"
            )

    def open(self, passphrases: tuple[str, ...], path: Path | None = None) -> SecretKey:
        """The key itself, for a process that ends soon. path: another than the identity's.

        Raises KeystoreError when none of the passphrases opens it.
        """
        path = path or self.encrypted
        why: Exception = NoPassphrase("a person keeps its passphrase")
        for passphrase in passphrases:
            try:
                return nip49.decrypt(path.read_text(), passphrase)
            except (OSError, Malformed, MemoryError) as error:
                why = error
        raise KeystoreError(f"{self.named / path.name} cannot be unlocked: {why}") from why

    def open_cached(self, passphrase: str, keyring: KernelKeyring | None) -> SecretKey:
        """As `open`, and what scrypt made of the passphrase is left in the keyring, if any."""
        try:
            text = self.encrypted.read_text()
            wrapping = nip49.wrapping_key(text, passphrase)
            key = nip49.decrypt_with(text, wrapping)
        except (OSError, Malformed, MemoryError) as error:
            where = self.named / self.encrypted.name
            raise KeystoreError(f"{where} cannot be unlocked: {error}") from error
        if keyring is not None:
            try:
                keyring.put(wrapping)
            except KeyringRefused as error:
                log.warning("the next start needs the passphrase again", reason=str(error))
        return key

    def _open_from(self, keyring: KernelKeyring) -> SecretKey | None:
        try:
            wrapping = keyring.get()
            if wrapping is not None:
                return nip49.decrypt_with(self.encrypted.read_text(), wrapping)
        except KeyringRefused as error:
            log.warning("no passphrase is cached", reason=str(error))
        except (OSError, Malformed, ValueError):
            keyring.clear()  # it was made for a passphrase of before
        return None

    def _decrypt_and_end(
        self,
        passphrases: tuple[str, ...],
        keyring: KernelKeyring | None,
        handed: int | None,
        writes_key: int,
        writes_error: int,
    ) -> None:
        try:
            if handed is not None:
                passphrases = (read_text(handed),)
            key = None if keyring is None or passphrases else self._open_from(keyring)
            if key is None and keyring is not None and len(passphrases) == 1:
                key = self.open_cached(passphrases[0], keyring)
            os.write(writes_key, (key or self.open(passphrases)).raw)
        except KeystoreError as error:
            os.write(writes_error, str(error).encode())
        finally:
            # Not sys.exit: what the parent has prepared, such as buffered output, is not ours.
            os._exit(0)


def encrypted(key: SecretKey, passphrase: str, log_n: int | None = None) -> str:
    """The ncryptsec of a key, proved: it was opened again. Raises KeystoreError, Malformed.

    log_n: how slow guessing is to be, 2**log_n rounds; None: as for what a person thought of.
    """
    salt = secrets.token_bytes(nip49.SALT_BYTES)
    nonce = secrets.token_bytes(nip49.NONCE_BYTES)
    text = nip49.encrypt(key, passphrase, salt, nonce, LOG_N if log_n is None else log_n)
    if nip49.decrypt(text, passphrase) != key:
        raise KeystoreError("What was encrypted does not open again: is this machine's memory bad?")
    return text


def secret_key(text: str) -> SecretKey:
    """Read an nsec1… or 64 hex digits. Raises KeystoreError, which does not repeat them."""
    try:
        if text.startswith("nsec1"):
            match nip19.decode(text):
                case nip19.Nsec(raw):
                    return SecretKey(raw)
        return SecretKey(bytes.fromhex(text))
    except (Malformed, ValueError) as error:
        # Not the error's own words: they might repeat what was given.
        raise KeystoreError("What was given is no key: give an nsec1… or 64 hex digits.") from error


def read_text(descriptor: int) -> str:
    """Read secret text from an inherited descriptor, without its line's end.

    Raises KeystoreError.
    """
    try:
        with os.fdopen(descriptor, "rb") as file:
            text = file.read(MAX_SECRET_TEXT_BYTES + 1).decode().rstrip("\r\n")
    except (OSError, UnicodeDecodeError, OverflowError) as error:
        why = getattr(error, "strerror", None) or "it does not hold text"
        raise KeystoreError(f"Descriptor {descriptor} cannot be read: {why}") from error
    if len(text.encode()) > MAX_SECRET_TEXT_BYTES:
        raise KeystoreError(f"Descriptor {descriptor} holds more than a key or a passphrase.")
    return text


def write_whole(path: Path, text: str, *, mode: int) -> None:
    """Write a file so that a crash leaves the old one or the new one, never a part.

    Written by root it belongs to whom its folder belongs to, as the rest of it does.
    """
    part = path.with_name(f".{path.name}.{os.getpid()}")
    part.unlink(missing_ok=True)
    descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, mode)
    with os.fdopen(descriptor, "w") as file:
        give_to_owner_of(path.parent, descriptor)
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    part.replace(path)
    sync_folder(path.parent)


def open_own(path: Path) -> int:
    """Open, for reading and writing, a file of the signer's folder, made where there is none.

    One that root makes is given to the folder's owner. Raises KeystoreError, OSError.
    """
    flags = os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC
    try:
        descriptor = os.open(path, flags | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        # Attack: a link left here by a signer that was taken over, for a command of root's.
        descriptor = os.open(path, flags)
        if os.fstat(descriptor).st_nlink != 1:
            os.close(descriptor)
            raise KeystoreError(
                f"{path} is another name of some other file. Remove it; whoever left it there may "
                "know the bot's key."
            ) from None
    else:
        give_to_owner_of(path.parent, descriptor)
    return descriptor


def give_to_owner_of(folder: Path, descriptor: int) -> None:
    """Give an open file to whom the folder belongs to, where root has made it."""
    if os.geteuid() == 0 and (owner := folder.stat()).st_uid != 0:
        os.fchown(descriptor, owner.st_uid, owner.st_gid)


def sync_folder(folder: Path) -> None:
    """Bring the names in a folder to the disk."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
