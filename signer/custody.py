"""Shell: the key handed on: exported, put under another passphrase, replaced by a new identity.

Each change is made of steps that may be cut off at any instant. What is kept beside the key is a
passphrase to try, so with two of them, the one before and the one to come, one opens it. The new
key's file moving into its place is the moment a rotation has happened; `Keystore.recover` ends
what was cut off.

Everything under the passphrase changes with it: identities of before, and what else is sealed.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from nips import nip19
from nips.key import SecretKey
from signer.keystore import (
    Keystore,
    KeystoreError,
    encrypted,
    sync_folder,
    write_whole,
)
from signer.model_store import ModelStore

PASSPHRASE_BYTES = 32


@dataclass(frozen=True, slots=True)
class Changed:
    """left: files that none of the passphrases opened, and that are as they were."""

    public: str
    left: tuple[Path, ...]


@dataclass(frozen=True, slots=True)
class Rotated:
    """Public keys in hex; kept: the file of the identity of before."""

    old: str
    new: str
    kept: Path


def export(
    store: Keystore, passphrases: Sequence[str], new: str, whose: str | None = None
) -> tuple[str, str]:
    """The public key, and an ncryptsec under a `new` passphrase that has been opened again.

    whose: the public key in hex of an identity of before; None for the one there is.
    Raises KeystoreError, Malformed.
    """
    store.require_identity()
    path = None if whose is None else _file_of(store, whose)
    if path is not None and not path.exists():
        names = ", ".join(one.name for one in former(store)) or "none"
        raise KeystoreError(f"There is no {path.name} in {store.data}; of before there is: {names}")
    key = store.open(tuple(passphrases), path)
    return key.public, encrypted(key, new)


def write_export(path: Path, text: str, *, force: bool) -> None:
    """Write an ncryptsec for a person's own keeping, mode 0600. Raises KeystoreError."""
    if path.exists() and not force:
        raise KeystoreError(f"{path} is there already. Choose another name, or say --force.")
    try:
        write_whole(path, text + "\n", mode=0o600)
    except OSError as error:
        raise KeystoreError(f"{path} cannot be written: {error.strerror}") from error


def change_passphrase(store: Keystore, passphrases: Sequence[str], new: str | None) -> Changed:
    """Put everything under the `new` passphrase; None for a random one that is kept beside.

    passphrases: of which one opens the identity now. Raises KeystoreError, Malformed.
    """
    passphrases, key = _settled(store, passphrases)
    chosen = new or secrets.token_urlsafe(PASSPHRASE_BYTES)
    # Every passphrase that may have been in use stays until nothing lies under it.
    if new is None:
        write_whole(store.changing, chosen + "\n", mode=0o400)
    elif store.passphrase.exists():
        store.passphrase.replace(store.changing)
        sync_folder(store.data)
    left = _put_all_under(store, passphrases, chosen)
    write_whole(store.encrypted, encrypted(key, chosen) + "\n", mode=0o400)
    if new is None:
        store.changing.replace(store.passphrase)
    else:
        store.changing.unlink(missing_ok=True)
    sync_folder(store.data)
    if store.open((chosen,)) != key:
        raise KeystoreError(f"{store.encrypted} holds another key than it was given.")
    return Changed(key.public, left)


def _put_all_under(store: Keystore, known: tuple[str, ...], new: str) -> tuple[Path, ...]:
    """All but the identity; returns the files that no known passphrase opens."""
    left = [path for path in former(store) if not _put_under(store, path, (*known, new), new)]
    return (*left, *ModelStore(store.data).put_under(known, new))


def _put_under(store: Keystore, path: Path, passphrases: tuple[str, ...], new: str) -> bool:
    try:
        key = store.open(passphrases, path)
    except KeystoreError:
        return False  # it was left under a passphrase of its own
    write_whole(path, encrypted(key, new) + "\n", mode=0o400)
    return True


def rotate(store: Keystore, passphrases: Sequence[str]) -> Rotated:
    """Make a new identity under the passphrase of the old one, which is kept.

    Nothing may serve meanwhile. Raises KeystoreError, Malformed.
    """
    (passphrase, *_), old = _settled(store, passphrases)
    new = SecretKey.generate(secrets.token_bytes)
    kept = _file_of(store, old.public)
    if not kept.exists():
        os.link(store.encrypted, kept)
    # In this order: the public part alone, later, means that the key is in its place.
    write_whole(store.next_encrypted, encrypted(new, passphrase) + "\n", mode=0o400)
    write_whole(store.next_public, new.public + "\n", mode=0o444)
    store.next_encrypted.replace(store.encrypted)
    sync_folder(store.data)
    store.recover()
    sync_folder(store.data)
    if store.open((passphrase,)) != new:
        raise KeystoreError(f"{store.encrypted} holds another key than it was given.")
    return Rotated(old.public, new.public, kept)


def _settled(store: Keystore, given: Sequence[str]) -> tuple[tuple[str, ...], SecretKey]:
    """End what was cut off: at most one passphrase is kept afterwards, and it opens the key.

    Returns the passphrases that are known, first the one that opens the key, and the key.
    """
    store.require_identity()
    store.recover()
    sweep(store.data)
    known = tuple(dict.fromkeys((*given, *store.kept())))
    key, opens = _opened_by(store, known)
    known = tuple(sorted(known, key=lambda one: one != opens))
    if store.changing.exists():
        _put_all_under(store, known, opens)
        if store.changing.read_text().rstrip("\n") == opens:
            store.changing.replace(store.passphrase)
        else:
            store.changing.unlink()
        sync_folder(store.data)
    return known, key


def _opened_by(store: Keystore, passphrases: Sequence[str]) -> tuple[SecretKey, str]:
    for passphrase in passphrases[:-1]:
        try:
            return store.open((passphrase,)), passphrase
        except KeystoreError:
            continue
    return store.open(tuple(passphrases[-1:])), "".join(passphrases[-1:])


def _file_of(store: Keystore, public: str) -> Path:
    return store.data / f"identity-{nip19.encode_npub(public)}.ncryptsec"


def former(store: Keystore) -> Iterator[Path]:
    """The files of identities of before."""
    yield from sorted(store.data.glob("identity-npub1*.ncryptsec"))


def sweep(data: Path) -> None:
    """Remove parts of files whose writer was killed."""
    for name in ("identity", "passphrase"):
        for part in data.glob(f".{name}*"):
            part.unlink(missing_ok=True)
