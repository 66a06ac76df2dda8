"""signer/keystore.py: the identity at rest."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from nips import nip19, nip49
from nips.key import SecretKey
from nips.nip19 import decode_bech32
from signer.keystore import (
    LOG_N,
    LOG_N_OF_RANDOM,
    Keystore,
    KeystoreError,
    read_text,
    write_whole,
)
from tests.unit.signer.house import key

OWN = key(9)


@pytest.fixture
def store(tmp_path: Path) -> Keystore:
    return Keystore(tmp_path / "signer")


def unlocked(store: Keystore, passphrase: str | None = None) -> bytes:
    reads = store.unlock(passphrase)
    with os.fdopen(reads, "rb") as pipe:
        return pipe.read()


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_a_new_identity_is_random_encrypted_and_for_its_owner_alone(
    store: Keystore, tmp_path: Path
) -> None:
    public, made = store.create(None, None)
    assert made
    raw = unlocked(store)
    assert SecretKey(raw).public == public
    other, _ = Keystore(tmp_path / "other").create(None, None)
    assert other != public
    assert mode(store.data) == 0o700
    assert mode(store.encrypted) == mode(store.passphrase) == 0o400
    for path in store.data.iterdir():
        assert raw.hex() not in path.read_text()
        assert nip19.encode_nsec(raw) not in path.read_text()


def rounds(store: Keystore) -> int:
    return decode_bech32(store.encrypted.read_text().strip())[1][1]


def test_only_what_can_be_guessed_is_guessed_slowly(tmp_path: Path) -> None:
    """Attack: a short passphrase in the file's place, which the identity is then made under."""
    random, persons, planted = (Keystore(tmp_path / name) for name in "abc")
    random.create(None, None)
    persons.create(None, "tulips")
    planted.data.mkdir()
    write_whole(planted.passphrase, "tulips\n", mode=0o400)
    planted.create(None, None)
    assert (rounds(random), rounds(persons), rounds(planted)) == (LOG_N_OF_RANDOM, LOG_N, LOG_N)
    assert LOG_N >= 16


def test_made_again_it_is_the_same(store: Keystore) -> None:
    public, _ = store.create(None, None)
    assert store.create(None, None) == (public, False)


@pytest.mark.parametrize("given", [nip19.encode_nsec(OWN.raw), OWN.raw.hex()])
def test_an_identity_is_imported(store: Keystore, given: str) -> None:
    assert store.create(given, None) == (OWN.public, True)
    assert unlocked(store) == OWN.raw
    assert store.create(given, None) == (OWN.public, False)


def test_no_import_overwrites_another_identity(store: Keystore) -> None:
    public, _ = store.create(None, None)
    with pytest.raises(KeystoreError, match="another identity"):
        store.create(OWN.raw.hex(), None)
    assert SecretKey(unlocked(store)).public == public


@pytest.mark.parametrize(
    "given", ["", "nsec1qqqq", "zz" * 32, "00" * 32, nip19.encode_npub(OWN.public), "é"]
)
def test_what_is_no_key_is_not_imported_nor_repeated(store: Keystore, given: str) -> None:
    with pytest.raises(KeystoreError) as error:
        store.create(given, None)
    assert not given or given not in str(error.value)
    assert not store.encrypted.exists()


def test_a_persons_passphrase_is_kept_nowhere(store: Keystore) -> None:
    store.create(OWN.raw.hex(), "correct horse")
    assert not store.passphrase.exists()
    assert unlocked(store, "correct horse") == OWN.raw
    assert all("correct horse" not in path.read_text() for path in store.data.iterdir())


@pytest.mark.parametrize(("given", "words"), [("wrong", "passphrase is wrong"), (None, "--pass")])
def test_without_the_passphrase_there_is_no_key(
    store: Keystore, given: str | None, words: str
) -> None:
    store.create(OWN.raw.hex(), "correct horse")
    with pytest.raises(KeystoreError, match=words):
        store.unlock(given)


def test_a_changed_file_is_refused(store: Keystore) -> None:
    store.create(OWN.raw.hex(), None)
    changed = store.encrypted.read_text().strip()
    store.encrypted.chmod(0o600)
    store.encrypted.write_text(changed[:-1] + ("q" if changed[-1] != "q" else "p"))
    with pytest.raises(KeystoreError, match="cannot be unlocked"):
        store.unlock(None)


def test_without_an_identity_the_remedy_is_said(store: Keystore) -> None:
    with pytest.raises(KeystoreError, match="python -m signer init"):
        store.unlock(None)


@pytest.mark.parametrize("written", [("passphrase",), ("passphrase", "public")])
def test_a_start_that_was_cut_off_is_taken_up(store: Keystore, written: tuple[str, ...]) -> None:
    store.create(None, None)
    store.encrypted.unlink()
    for name in {"passphrase", "public"} - set(written):
        getattr(store, name).unlink()
    public, made = store.create(None, None)
    assert made
    assert SecretKey(unlocked(store)).public == public == store.public.read_text().strip()


def test_the_file_is_an_ncryptsec_that_others_read(store: Keystore) -> None:
    store.create(OWN.raw.hex(), "correct horse")
    assert nip49.decrypt(store.encrypted.read_text(), "correct horse") == OWN


def test_a_line_comes_through_a_descriptor() -> None:
    reads, writes = os.pipe()
    os.write(writes, b"correct horse\n")
    os.close(writes)
    assert read_text(reads) == "correct horse"
    with pytest.raises(KeystoreError, match="Descriptor"):
        read_text(reads)


def test_a_file_is_replaced_whole(tmp_path: Path) -> None:
    path = tmp_path / "file"
    write_whole(path, "old", mode=0o600)
    write_whole(path, "new", mode=0o400)
    assert path.read_text() == "new"
    assert mode(path) == 0o400
    assert [found.name for found in tmp_path.iterdir()] == ["file"]
