"""signer/custody.py: changes of the key that a kill -9 may cut off anywhere."""

from __future__ import annotations

import os
import secrets
import signal
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from nips import nip19, nip49
from nips.key import SecretKey
from signer import custody, keystore, sealed
from signer.keystore import Keystore, KeystoreError
from signer.model_providers import Price, Provider
from signer.model_store import ModelStore
from tests.unit.signer.house import key

OWN, BEFORE = key(9), key(10)
CORRECT, OTHER = "correct horse", "battery staple"


@pytest.fixture(autouse=True)
def _cheap_scrypt(monkeypatch: pytest.MonkeyPatch) -> None:
    """These tests are about files; a passphrase is proved slowly enough in test_keystore.py."""
    monkeypatch.setattr(keystore, "LOG_N", 4)


@pytest.fixture
def store(tmp_path: Path) -> Keystore:
    return Keystore(tmp_path / "signer")


def made(store: Keystore, passphrase: str | None) -> Keystore:
    """A store with an identity, one of before, both under the same passphrase."""
    store.create(OWN.raw.hex(), passphrase)
    (opens,) = store.kept() or (str(passphrase),)
    former = store.data / f"identity-{nip19.encode_npub(BEFORE.public)}.ncryptsec"
    keystore.write_whole(former, keystore.encrypted(BEFORE, opens) + "\n", mode=0o400)
    return store


def files(store: Keystore) -> set[str]:
    return {path.name for path in store.data.iterdir()}


FORMER = f"identity-{nip19.encode_npub(BEFORE.public)}.ncryptsec"
ALWAYS = {"identity.ncryptsec", "identity.pub", FORMER}


def killed_at(step: int, work: Callable[[], object]) -> bool:
    """Do the work in a process that is killed before its `step`-th change of the disk; says
    whether it was, or had come to its end."""
    child = os.fork()
    if child == 0:
        done = 0

        def counted(real: Callable[..., Any]) -> Callable[..., Any]:
            def call(*args: Any, **named: Any) -> Any:
                nonlocal done
                done += 1
                if done == step:
                    os.kill(os.getpid(), signal.SIGKILL)
                return real(*args, **named)

            return call

        for owner, name in (
            (os, "fsync"), (os, "link"), (os, "open"), (Path, "replace"), (Path, "unlink"),
        ):  # fmt: skip
            setattr(owner, name, counted(getattr(owner, name)))
        try:
            work()
            os._exit(0)
        except BaseException:  # noqa: BLE001 - nothing of the parent's may run here
            os._exit(1)
    _, status = os.waitpid(child, 0)
    assert status in (0, signal.SIGKILL), "the work failed"
    return status != 0


CHANGES = [
    pytest.param(None, CORRECT, id="from the kept one to a person's"),
    pytest.param(CORRECT, None, id="from a person's to a kept one"),
    pytest.param(None, None, id="from the kept one to another"),
    pytest.param(CORRECT, OTHER, id="from a person's to another"),
]


@pytest.mark.parametrize(("old", "new"), CHANGES)
def test_another_passphrase_opens_everything(
    store: Keystore, old: str | None, new: str | None
) -> None:
    known = made(store, old).kept() or (str(old),)
    changed = custody.change_passphrase(store, known, new)
    assert changed == custody.Changed(OWN.public, ())
    opens = store.kept() if new is None else (new,)
    assert len(opens) == 1
    assert opens != known
    assert store.open(opens) == OWN
    assert store.open(opens, store.data / FORMER) == BEFORE
    with pytest.raises(KeystoreError):
        store.open(known)
    assert files(store) == ALWAYS | ({"passphrase"} if new is None else set())
    assert stat.S_IMODE(store.encrypted.stat().st_mode) == 0o400


@pytest.mark.parametrize(("old", "new"), CHANGES)
def test_killed_anywhere_one_of_the_two_opens_it_and_the_change_is_made_again(
    tmp_path: Path, old: str | None, new: str | None
) -> None:
    step = 0
    was_killed = True
    while was_killed:
        step += 1
        store = made(Keystore(tmp_path / str(step)), old)
        before = store.kept()
        known = before or (str(old),)
        was_killed = killed_at(
            step,
            lambda s=store, k=known: custody.change_passphrase(s, k, new),  # type: ignore[misc]
        )
        # What a person, and a start without one, has to try.
        tries = tuple(p for p in (old, new) if p is not None) + store.kept()
        assert store.open(tries) == OWN, step
        assert store.open(tries, store.data / FORMER) == BEFORE, step
        assert custody.change_passphrase(store, tries, new).left == ()
        assert files(store) == ALWAYS | ({"passphrase"} if new is None else set()), step
        assert store.open(store.kept() if new is None else (new,)) == OWN
    assert step > 6


def test_killed_twice_it_is_still_there(tmp_path: Path) -> None:
    """Attack on ourselves: the second change overwrites the passphrase that the first left."""
    for first in range(1, 30):
        for second in range(1, 30, 6):
            store = made(Keystore(tmp_path / f"{first}-{second}"), None)
            kept = store.kept()
            if not killed_at(first, lambda s=store, k=kept: custody.change_passphrase(s, k, None)):  # type: ignore[misc]
                return
            kept = store.kept()
            killed_at(second, lambda s=store, k=kept: custody.change_passphrase(s, k, None))  # type: ignore[misc]
            assert store.open(store.kept()) == OWN, (first, second)
            assert store.open(store.kept(), store.data / FORMER) == BEFORE, (first, second)


def test_what_lies_under_another_passphrase_is_left_and_named(store: Keystore) -> None:
    made(store, CORRECT)
    keystore.write_whole(
        store.data / FORMER, keystore.encrypted(BEFORE, "forgotten") + "\n", mode=0o400
    )
    assert custody.change_passphrase(store, (CORRECT,), OTHER).left == (store.data / FORMER,)
    assert store.open(("forgotten",), store.data / FORMER) == BEFORE


def test_a_wrong_passphrase_changes_nothing(store: Keystore) -> None:
    made(store, CORRECT)
    before = {path.name: path.read_bytes() for path in store.data.iterdir()}
    for work in (
        lambda: custody.change_passphrase(store, ("wrong",), OTHER),
        lambda: custody.rotate(store, ("wrong",)),
        lambda: custody.export(store, ("wrong",), OTHER),
    ):
        with pytest.raises(KeystoreError, match="passphrase is wrong"):
            work()
    assert {path.name: path.read_bytes() for path in store.data.iterdir()} == before


def test_a_providers_key_goes_along(store: Keystore) -> None:
    made(store, CORRECT)
    provider = Provider("one", "anthropic", "https://models.example", {"m": Price(1, 2, 3)})
    models = ModelStore(store.data)
    models.add(provider, b"sk-secret", (CORRECT,))
    assert custody.change_passphrase(store, (CORRECT,), None).left == ()
    opened = models.unlock(store.kept, models.providers())
    assert opened == {"one": b"sk-secret"}
    (path,) = (store.data / "models").glob("*.sealed")
    assert path.read_text().startswith(sealed.PREFIX)


def test_an_export_is_an_ncryptsec_that_others_read(store: Keystore) -> None:
    made(store, CORRECT)
    public, text = custody.export(store, (CORRECT,), "for paper")
    assert public == OWN.public
    assert nip49.decrypt(text, "for paper") == OWN
    public, text = custody.export(store, (CORRECT,), "for paper", BEFORE.public)
    assert nip49.decrypt(text, "for paper") == BEFORE
    with pytest.raises(KeystoreError, match="of before there is: identity-npub1"):
        custody.export(store, (CORRECT,), "for paper", OWN.public)


def test_an_export_writes_over_nothing(tmp_path: Path) -> None:
    path = tmp_path / "copy"
    custody.write_export(path, "one", force=False)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    with pytest.raises(KeystoreError, match="--force"):
        custody.write_export(path, "two", force=False)
    assert path.read_text() == "one\n"
    custody.write_export(path, "two", force=True)
    assert path.read_text() == "two\n"


@pytest.mark.parametrize("passphrase", [None, CORRECT])
def test_a_rotation_makes_a_new_identity_and_keeps_the_old(
    store: Keystore, passphrase: str | None
) -> None:
    known = made(store, passphrase).kept() or (str(passphrase),)
    done = custody.rotate(store, known)
    assert (done.old, done.new) == (OWN.public, store.open(known).public)
    assert done.new != done.old
    assert store.public.read_text().strip() == done.new
    assert store.open(known, done.kept) == OWN
    assert nip19.encode_npub(OWN.public) in done.kept.name
    again = custody.rotate(store, known)
    assert again.old == done.new
    assert len(list(custody.former(store))) == 3


def test_a_rotation_killed_anywhere_happened_or_did_not(tmp_path: Path) -> None:
    step = 0
    was_killed = True
    while was_killed:
        step += 1
        store = made(Keystore(tmp_path / str(step)), None)
        was_killed = killed_at(step, lambda s=store: custody.rotate(s, s.kept()))  # type: ignore[misc]
        public, now = store.create(None, None)  # what every start does first
        assert not now
        with os.fdopen(store.unlock(None), "rb") as pipe:
            assert SecretKey(pipe.read()).public == public, step
        every = {store.open(store.kept(), p).public for p in store.data.glob("identity*.ncryptsec")}
        assert {OWN.public, BEFORE.public, public} == every, step
        custody.rotate(store, store.kept())
        assert not [name for name in files(store) if name.startswith((".", "identity.next"))]
    assert step > 6


@pytest.mark.parametrize("moved", [False, True])
def test_killed_while_it_ends_what_was_cut_off(tmp_path: Path, *, moved: bool) -> None:
    step, was_killed = 0, True
    while was_killed:
        step += 1
        store = made(Keystore(tmp_path / str(step)), None)
        (kept,) = store.kept()
        # As a rotation leaves them that was killed before, or after, the key was moved.
        goes_on = store.encrypted if moved else store.next_encrypted
        keystore.write_whole(goes_on, keystore.encrypted(key(12), kept) + "\n", mode=0o400)
        keystore.write_whole(store.next_public, key(12).public + "\n", mode=0o444)
        was_killed = killed_at(step, store.recover)
        store.recover()
        opened = store.open((kept,)).public
        assert store.public.read_text().strip() == opened, step
        assert opened == (key(12) if moved else OWN).public
        assert not {name for name in files(store) if "next" in name}
    assert step > (1 if moved else 2)


def test_parts_of_killed_writers_are_swept(store: Keystore) -> None:
    made(store, None)
    for name in (".passphrase.changing.1", ".identity.ncryptsec.22"):
        (store.data / name).write_text(secrets.token_hex(8))
    custody.sweep(store.data)
    assert files(store) == ALWAYS | {"passphrase"}
