"""signer/commands/key.py: the commands as processes, their sentences, a locked signer."""

from __future__ import annotations

import asyncio
import json
import os
import pty
import select
import socket
import stat
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from nips import nip19, nip49
from nips.refusal import Refused
from relay_local.client import Caller
from signer import custody, doorkeeper
from signer.exclusive import alone
from signer.keystore import Keystore, KeystoreError
from tests.unit.signer.house import House, key
from tests.unit.signer.processes import Installation, Process, installation, short_folder
from tests.unit.signer.test_descent import ROOT, SOMEBODY
from tests.unit.signer.test_kernel_keyring import HAS_ONE

OWN = key(9)
NSEC = nip19.encode_nsec(OWN.raw)
Result = subprocess.CompletedProcess[str]


def run(action: str, folder: Path, *options: str, **given: str) -> Result:
    """Run `key ACTION`; each of `given` comes through a descriptor: from_fd=… is --from-fd."""
    argv = [sys.executable, "-m", "signer", "key", action, "--data", str(folder), *options]
    descriptors = []
    for name, text in given.items():
        reads, writes = os.pipe()
        os.write(writes, text.encode())
        os.close(writes)
        descriptors.append(reads)
        argv += [f"--{name.replace('_', '-')}", str(reads)]
    try:
        return subprocess.run(
            argv, pass_fds=descriptors, capture_output=True, text=True, check=False, timeout=60,
            start_new_session=True, stdin=subprocess.DEVNULL,
        )  # fmt: skip
    finally:
        for reads in descriptors:
            os.close(reads)


def at_a_terminal(argv: list[str], *answers: tuple[str, str]) -> tuple[int, str]:
    """Run a command at a terminal; to each prompt comes its answer. Its status, all it showed."""
    child, terminal = pty.fork()
    if child == 0:
        os.execv(argv[0], argv)
    shown = b""
    waiting = list(answers)
    deadline_s = time.monotonic() + 60
    while time.monotonic() < deadline_s:
        ready, _, _ = select.select([terminal], [], [], 1)
        if ready:
            try:
                part = os.read(terminal, 4_096)
            except OSError:  # its other end is closed
                break
            shown += part
        if waiting and shown.decode(errors="replace").rstrip().endswith(waiting[0][0]):
            os.write(terminal, waiting.pop(0)[1].encode() + b"\n")
    _, status = os.waitpid(child, 0)
    os.close(terminal)
    return os.waitstatus_to_exitcode(status), shown.decode(errors="replace")


def key_argv(action: str, folder: Path, *options: str) -> list[str]:
    return [sys.executable, "-m", "signer", "key", action, "--data", str(folder), *options]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """An identity whose passphrase is kept beside it."""
    made = tmp_path / "signer"
    Keystore(made).create(NSEC, None)
    return made


# export


def test_an_export_is_written_once_and_opens(folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "copy"
    done = run("export", folder, "--out", str(out), new_passphrase_fd="for paper")
    assert done.returncode == 0, done.stderr
    assert stat.S_IMODE(out.stat().st_mode) == 0o600
    assert nip49.decrypt(out.read_text(), "for paper") == OWN
    assert "was opened with it again" in done.stderr
    before = out.read_bytes()
    done = run("export", folder, "--out", str(out), new_passphrase_fd="another")
    assert done.returncode == 2
    assert "--force" in done.stderr
    assert out.read_bytes() == before
    done = run("export", folder, "--out", str(out), "--force", new_passphrase_fd="another")
    assert nip49.decrypt(out.read_text(), "another") == OWN


def test_an_export_is_printed_alone(folder: Path) -> None:
    done = run("export", folder, new_passphrase_fd="for paper")
    assert nip49.decrypt(done.stdout, "for paper") == OWN
    said = json.loads(run("export", folder, "--json", new_passphrase_fd="x").stdout)
    assert said["npub"] == nip19.encode_npub(OWN.public)
    assert nip49.decrypt(said["ncryptsec"], "x") == OWN


def test_the_terminal_asks_twice_and_shows_nothing(folder: Path) -> None:
    argv = key_argv("export", folder)
    status, shown = at_a_terminal(argv, ("passphrase:", "tulips"), ("again:", "tulips"))
    assert status == 0, shown
    assert "tulips" not in shown
    assert nip49.decrypt(shown.strip().splitlines()[-1], "tulips") == OWN
    status, shown = at_a_terminal(argv, ("passphrase:", "tulips"), ("again:", "roses"))
    assert status == 2
    assert "are not the same" in shown
    status, shown = at_a_terminal(argv, ("passphrase:", ""))
    assert status == 2
    assert "That is empty" in shown


# import


@pytest.mark.parametrize("text", [NSEC, OWN.raw.hex(), f"  {NSEC}\n"])
def test_a_key_is_imported(tmp_path: Path, text: str) -> None:
    store = Keystore(tmp_path / "s")
    done = run("import", store.data, from_fd=text, new_passphrase_fd="tulips")
    assert done.returncode == 0, done.stderr
    assert store.open(("tulips",)) == OWN
    assert not store.passphrase.exists()
    assert "yours alone" in done.stderr
    assert NSEC not in done.stderr + done.stdout


def test_an_ncryptsec_is_imported_with_its_passphrase(folder: Path, tmp_path: Path) -> None:
    _, text = custody.export(Keystore(folder), Keystore(folder).kept(), "for paper")
    store = Keystore(tmp_path / "s")
    done = run("import", store.data, "--keep", from_fd=text, passphrase_fd="wrong")
    assert done.returncode == 2
    assert "passphrase is wrong" in done.stderr
    assert not store.encrypted.exists()
    done = run("import", store.data, "--keep", "--json", from_fd=text, passphrase_fd="for paper")
    assert json.loads(done.stdout) == {"npub": nip19.encode_npub(OWN.public)}
    assert store.open(store.kept()) == OWN


def test_an_nsec_typed_is_not_shown(tmp_path: Path) -> None:
    status, shown = at_a_terminal(key_argv("import", tmp_path / "s", "--keep"), ("identity:", NSEC))
    assert status == 0, shown
    assert NSEC not in shown
    assert nip19.encode_npub(OWN.public) in shown


def test_no_import_takes_another_identitys_place(folder: Path) -> None:
    before = (folder / "identity.ncryptsec").read_bytes()
    done = run("import", folder, "--keep", from_fd=key(10).raw.hex())
    assert done.returncode == 2
    assert "key rotate" in done.stderr
    assert "another --data" in done.stderr
    assert (folder / "identity.ncryptsec").read_bytes() == before


@pytest.mark.parametrize("text", ["nsec1xyz", "", nip19.encode_npub(OWN.public), "00" * 32])
def test_what_is_no_key_is_not_imported_nor_repeated(tmp_path: Path, text: str) -> None:
    done = run("import", tmp_path / "s", "--keep", from_fd=text)
    assert done.returncode == 2
    assert "is no key" in done.stderr
    assert not text or text not in done.stderr
    assert not (tmp_path / "s").exists()


# Sentences


@pytest.mark.parametrize(
    ("action", "options", "words"),
    [
        ("export", (), "There is no terminal to ask at"),
        ("export", ("--new-passphrase-fd", "97"), "Descriptor 97 cannot be read"),
        ("passphrase", ("--passphrase-fd", "97"), "Descriptor 97 cannot be read"),
        ("passphrase", ("--keep", "--new-passphrase-fd", "0"), "not both"),
        ("export", ("--former", "npub1xyz"), "signer: "),
        ("lock", (), "key passphrase"),
        ("unlock", ("--passphrase-fd", "97"), "Descriptor 97 cannot be read"),
    ],
)
def test_a_mistake_is_one_sentence(
    folder: Path, action: str, options: tuple[str, ...], words: str
) -> None:
    done = run(action, folder, *options)
    assert done.returncode == 2
    assert words in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("action", ["export", "passphrase", "rotate", "lock", "unlock"])
def test_without_an_identity_the_remedy_is_said(tmp_path: Path, action: str) -> None:
    done = run(action, tmp_path)
    assert done.returncode == 2
    assert "Make one: python -m signer init" in done.stderr


@pytest.mark.parametrize("text", ["", "\n", "x" * 5_000])
def test_what_is_no_passphrase_changes_nothing(folder: Path, text: str) -> None:
    before = (folder / "identity.ncryptsec").read_bytes()
    done = run("passphrase", folder, new_passphrase_fd=text)
    assert done.returncode == 2
    assert "Descriptor" in done.stderr
    assert (folder / "identity.ncryptsec").read_bytes() == before


def test_spaces_belong_to_a_passphrase(folder: Path) -> None:
    run("passphrase", folder, new_passphrase_fd=" two  words \n")
    assert Keystore(folder).open((" two  words ",)) == OWN


def test_systemds_credential_is_found(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run("passphrase", folder, new_passphrase_fd="tulips")
    (tmp_path / "nostrclaw-passphrase").write_text("tulips\n")
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    done = run("passphrase", folder, "--keep")
    assert done.returncode == 0, done.stderr
    assert Keystore(folder).open(Keystore(folder).kept()) == OWN


def test_two_commands_do_not_change_the_keys_at_once(folder: Path) -> None:
    with alone(folder):
        done = run("passphrase", folder, "--keep")
    assert done.returncode == 2
    assert "Another command changes the keys" in done.stderr


# A locked signer


@pytest.fixture
async def place(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Installation]:
    """A relay; a signer whose passphrase a person keeps runs and is locked."""
    async with installation(short_folder(tmp_path_factory.mktemp("k")), House()) as place:
        done = await asyncio.to_thread(run, "passphrase", place.folder / "s",
                                       new_passphrase_fd="tulips")  # fmt: skip
        assert done.returncode == 0, done.stderr
        await place.start_relay()
        await place.start_signer()
        yield place


async def asked(action: str, place: Installation, **given: str) -> Result:
    return await asyncio.to_thread(run, action, place.folder / "s", **given)


async def is_locked(part: Caller) -> bool:
    try:
        return await part.call("ping", deadline_s=10) != "pong"
    except Refused as error:
        return str(error) == "error: the signer is locked; unlock it: nostrclaw key unlock"


async def test_a_locked_signer_waits_is_unlocked_and_locked(place: Installation) -> None:
    bridge = await place.caller(place.house.bridge)
    assert await is_locked(bridge)
    done = await asked("unlock", place, passphrase_fd="roses")
    assert done.returncode == 2
    assert "passphrase is wrong" in done.stderr
    assert await is_locked(bridge)
    done = await asked("unlock", place, passphrase_fd="tulips")
    assert (done.returncode, done.stderr) == (0, "The signer is unlocked.\n")
    assert not await is_locked(bridge)
    done = await asked("lock", place)
    assert done.returncode == 0
    assert await is_locked(bridge)
    await asked("unlock", place, passphrase_fd="tulips")
    assert not await is_locked(bridge)
    assert place.signer is not None
    assert "tulips" not in place.signer.log.read_text()
    assert await place.signer.stop() == 0


async def test_a_killed_signer_leaves_no_doorkeeper_and_starts_again(place: Installation) -> None:
    assert place.signer is not None
    pid = place.signer.running.pid
    (keeper,) = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    await place.signer.kill()
    deadline_s = time.monotonic() + 10
    while Path(f"/proc/{keeper}").exists() and time.monotonic() < deadline_s:
        await asyncio.sleep(0.02)
    assert not Path(f"/proc/{keeper}").exists()
    await place.start_signer()
    assert (await asked("unlock", place, passphrase_fd="tulips")).returncode == 0


async def test_within_one_boot_a_restart_needs_no_passphrase(place: Installation) -> None:
    if not HAS_ONE:
        return
    assert place.signer is not None
    await place.signer.stop()
    await place.start_signer("--keyring-hours", "1")
    bridge = await place.caller(place.house.bridge)
    assert await is_locked(bridge)
    await asked("unlock", place, passphrase_fd="tulips")
    for end in (Process.kill, Process.stop):
        await end(place.signer)
        await place.start_signer("--keyring-hours", "1")
        assert not await is_locked(bridge)
    await place.signer.kill()
    done = await asked("lock", place)  # while none runs
    assert "No signer runs" in done.stderr
    await place.start_signer("--keyring-hours", "1")
    assert await is_locked(bridge)
    assert (await asked("lock", place)).returncode == 0


async def test_an_identity_is_not_replaced_under_a_running_signer(place: Installation) -> None:
    done = await asked("rotate", place, passphrase_fd="tulips")
    assert done.returncode == 2
    assert "A signer runs with" in done.stderr
    assert not list(custody.former(Keystore(place.folder / "s")))


async def test_one_folder_has_one_signer(place: Installation) -> None:
    second = await asyncio.create_subprocess_exec(
        *place.signer_argv(place.signers_address), stderr=asyncio.subprocess.PIPE
    )
    _, errors = await asyncio.wait_for(second.communicate(), 30)
    assert second.returncode == 2
    assert b"A signer runs with" in errors


async def test_nonsense_at_the_door_changes_nothing(place: Installation) -> None:
    inside = place.folder / "s" / doorkeeper.SOCKET
    assert stat.S_IMODE(inside.stat().st_mode) == 0o600

    def said(what: bytes) -> str:
        with socket.socket(socket.AF_UNIX) as caller:
            caller.settimeout(30)
            caller.connect(str(inside))
            caller.sendall(what)
            caller.shutdown(socket.SHUT_WR)
            return caller.recv(4_096).decode()

    for what in (b"", b"\n", b"{}\n", b"[1]\n", b'{"do":"sign"}\n', b"\xff\n", b"x" * 20_000):
        answer = json.loads(await asyncio.to_thread(said, what))
        assert answer["done"] is False, what
    assert (await asked("unlock", place, passphrase_fd="tulips")).returncode == 0


def test_another_user_is_refused_at_the_door(tmp_path: Path) -> None:
    """Even one who was handed the way in: the folder keeps all others out before."""
    if not ROOT:
        return
    reads, writes = os.pipe()
    listening = socket.socket(socket.AF_UNIX)
    listening.bind("\0nostrclaw-test-" + os.urandom(8).hex())  # a name without a folder
    listening.listen()
    child = os.fork()
    if child == 0:
        os.setresuid(SOMEBODY, SOMEBODY, SOMEBODY)
        with socket.socket(socket.AF_UNIX) as caller:
            caller.connect(listening.getsockname())
            os.write(writes, b"in")
        os._exit(0)
    caller, _ = listening.accept()
    assert os.read(reads, 2) == b"in"
    with pytest.raises(KeystoreError, match=f"User {SOMEBODY}"):
        doorkeeper._require_ours(caller)
    os.waitpid(child, 0)
    for descriptor in (reads, writes):
        os.close(descriptor)
    caller.close()
    listening.close()
