"""signer/kernel_keyring.py: what the kernel keeps, for whom and how long; one that refuses."""

from __future__ import annotations

import ctypes
import os
import platform
import secrets
import struct
import time
from collections.abc import Callable, Iterator

import pytest

from nips import nip49
from signer import custody
from signer.kernel_keyring import _SYSCALLS, KernelKeyring, KeyringRefused, forget
from signer.keystore import Keystore, KeystoreError, NoPassphrase
from tests.unit.signer.house import key
from tests.unit.signer.test_descent import ROOT, SOMEBODY, as_user, outcome

WRAPPING = bytes(range(32))
OWN = key(9)


def kernel_has_one() -> bool:
    """Say whether this machine's kernel lets us: in many a container it does not, which the last
    tests of this file are about."""
    try:
        KernelKeyring(secrets.token_hex(32), 1).put(WRAPPING)
    except KeyringRefused:
        return False
    return True


HAS_ONE = kernel_has_one()


@pytest.fixture
def keyring() -> Iterator[KernelKeyring]:
    made = KernelKeyring(secrets.token_hex(32), 600)
    yield made
    if HAS_ONE:
        made.clear()


def refused_by_the_kernel(work: Callable[[], object]) -> str:
    """The work's outcome where, as in most containers, seccomp refuses add_key and keyctl."""

    def filtered() -> object:
        libc = ctypes.CDLL(None, use_errno=True)
        numbers = _SYSCALLS[platform.machine()]
        load, equal, give = 0x20, 0x15, 0x06
        lines = [(load, 0, 0, 0)]  # the system call's number
        lines += [(equal, len(numbers) - n, 0, number) for n, number in enumerate(numbers)]
        lines += [(give, 0, 0, 0x7FFF0000), (give, 0, 0, 0x00050000 | 1)]  # allow; EPERM
        code = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *line) for line in lines))
        program = struct.pack("HxxxxxxQ", len(lines), ctypes.addressof(code))
        assert libc.prctl(38, 1, 0, 0, 0) == 0  # PR_SET_NO_NEW_PRIVS
        assert libc.prctl(22, 2, ctypes.create_string_buffer(program)) == 0  # PR_SET_SECCOMP
        return work()

    return outcome(filtered)


def test_what_was_put_in_is_there_until_it_is_forgotten(keyring: KernelKeyring) -> None:
    if not HAS_ONE:
        return
    assert keyring.get() is None
    assert keyring.clear() is False
    keyring.put(WRAPPING)
    assert keyring.get() == WRAPPING
    assert outcome(lambda: keyring.get() == WRAPPING) == "True"  # in another process too
    keyring.put(WRAPPING[::-1])
    assert keyring.get() == WRAPPING[::-1]
    assert keyring.clear() is True
    assert keyring.get() is None


def test_it_ends_by_itself(keyring: KernelKeyring) -> None:
    if not HAS_ONE:
        return
    short = KernelKeyring(keyring.name, 1)
    short.put(WRAPPING)
    assert short.get() == WRAPPING
    deadline_s = time.monotonic() + 10
    while short.get() is not None:
        assert time.monotonic() < deadline_s
        time.sleep(0.1)


def test_another_user_has_none_of_it(keyring: KernelKeyring) -> None:
    if not (ROOT and HAS_ONE):
        return
    keyring.put(WRAPPING)
    assert as_user(SOMEBODY, keyring.get) == "None"
    assert as_user(SOMEBODY, lambda: KernelKeyring(keyring.name, 60).put(WRAPPING)) == "None"
    assert as_user(SOMEBODY + 1, keyring.get) == "None"
    # The kernel keeps it although no process of that user is left.
    assert as_user(SOMEBODY, keyring.get) == str(WRAPPING)
    assert as_user(SOMEBODY, keyring.clear) == "True"
    assert keyring.get() == WRAPPING


def test_root_makes_the_signers_user_forget(
    keyring: KernelKeyring, tmp_path_factory: pytest.TempPathFactory
) -> None:
    if not (ROOT and HAS_ONE):
        return
    folder = tmp_path_factory.mktemp("k")
    os.chown(folder, SOMEBODY, SOMEBODY)
    as_user(SOMEBODY, lambda: keyring.put(WRAPPING))
    assert forget(folder, keyring.name) is True
    assert as_user(SOMEBODY, keyring.get) == "None"
    assert forget(folder, keyring.name) is False


def test_a_kernel_that_refuses_is_named() -> None:
    name = secrets.token_hex(32)
    said = refused_by_the_kernel(lambda: KernelKeyring(name, 60).put(WRAPPING))
    assert said == f"{KeyringRefused.__name__}: the kernel refused its keyring: " + os.strerror(1)
    said = refused_by_the_kernel(lambda: KernelKeyring(name, 60).get())
    assert said.startswith(KeyringRefused.__name__)


# The keystore with it


@pytest.fixture
def store(tmp_path_factory: pytest.TempPathFactory) -> Keystore:
    made = Keystore(tmp_path_factory.mktemp("s") / "signer")
    made.create(OWN.raw.hex(), "correct horse")
    return made


def unlocked(store: Keystore, passphrase: str | None, keyring: KernelKeyring | None) -> bytes:
    with os.fdopen(store.unlock(passphrase, keyring), "rb") as pipe:
        return pipe.read()


def test_a_second_start_needs_no_passphrase(store: Keystore, keyring: KernelKeyring) -> None:
    if not HAS_ONE:
        return
    with pytest.raises(NoPassphrase):
        store.unlock(None, keyring)
    assert unlocked(store, "correct horse", keyring) == OWN.raw
    assert unlocked(store, None, keyring) == OWN.raw
    cached = keyring.get()
    assert cached is not None
    # Worth something together with the file only: neither the key nor the passphrase.
    assert OWN.raw not in cached
    assert nip49.decrypt_with(store.encrypted.read_text(), cached) == OWN


def test_a_changed_passphrase_makes_it_worthless(store: Keystore, keyring: KernelKeyring) -> None:
    if not HAS_ONE:
        return
    unlocked(store, "correct horse", keyring)
    custody.change_passphrase(store, ("correct horse",), "battery staple")
    with pytest.raises(NoPassphrase):
        store.unlock(None, keyring)
    assert keyring.get() is None
    assert unlocked(store, "battery staple", keyring) == OWN.raw
    assert unlocked(store, None, keyring) == OWN.raw


def test_a_wrong_passphrase_is_not_kept(store: Keystore, keyring: KernelKeyring) -> None:
    if not HAS_ONE:
        return
    with pytest.raises(KeystoreError, match="passphrase is wrong"):
        store.unlock("wrong", keyring)
    assert keyring.get() is None


def test_where_the_kernel_refuses_it_works_without(store: Keystore) -> None:
    keyring = KernelKeyring(secrets.token_hex(32), 600)
    said = refused_by_the_kernel(lambda: unlocked(store, "correct horse", keyring).hex())
    assert said == OWN.raw.hex()
    said = refused_by_the_kernel(lambda: unlocked(store, None, keyring))
    assert said.startswith(NoPassphrase.__name__)
