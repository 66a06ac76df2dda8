"""signer/descent.py: started as root the signer is a user of its own, and works all the same."""

from __future__ import annotations

import asyncio
import ctypes
import os
import pwd
import secrets
import signal
import sqlite3
import stat
import struct
import subprocess
import time
from collections.abc import AsyncIterator, Callable
from contextlib import closing, suppress
from dataclasses import replace
from pathlib import Path

import orjson
import pytest

from nips.event import Event
from nips.key import SecretKey
from signer import kernel_keyring
from signer.descent import FIRST_UID, LAST_UID, CannotDescend, descend, reachable, settle
from signer.exclusive import hold_serving
from signer.keystore import KeystoreError
from signer.ledger import Ledger
from signer.model_ledger import ModelLedger
from tests.unit.signer.house import House, text
from tests.unit.signer.processes import Installation, installation, short_folder
from tests.unit.signer.test_service import group, place_bot, said, session

ROOT = os.geteuid() == 0
SOMEBODY = 61_500  # neither root nor any signer
CLONE_NEWUSER = 0x10000000
JOIN_SESSION, READ, SESSION = ctypes.c_long(1), ctypes.c_long(11), ctypes.c_long(-3)  # keyctl(2)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "signer"
    made.mkdir(mode=0o700)
    (made / "models").mkdir()
    (made / "models" / "key").write_text("sealed")
    (made / "identity.pub").write_text("hex")
    return made


def outcome(work: Callable[[], object]) -> str:
    """What the work returns or raises, as text, in a process of its own."""
    reads, writes = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            said = str(work())
        except BaseException as error:  # noqa: BLE001 - nothing of the parent's may run here
            said = f"{type(error).__name__}: {error}"
        os.write(writes, said.encode())
        os._exit(0)
    os.close(writes)
    with os.fdopen(reads) as pipe:
        said = pipe.read()
    os.waitpid(child, 0)
    return said


def as_user(uid: int, work: Callable[[], object]) -> str:
    """What the work returns or raises as this user."""

    def changed() -> object:
        os.setgroups([])
        os.setresgid(uid, uid, uid)
        os.setresuid(uid, uid, uid)
        return work()

    return outcome(changed)


def test_one_who_is_not_root_stays_who_they_are(folder: Path) -> None:
    if ROOT:
        folder.chmod(0o777)
        assert "not started as root" in as_user(SOMEBODY, lambda: settle(folder))
        return
    with pytest.raises(CannotDescend, match="not started as root"):
        settle(folder)


def test_the_folder_is_given_to_a_user_that_nobody_is(folder: Path) -> None:
    if not ROOT:
        return
    uid = settle(folder)
    assert FIRST_UID <= uid <= LAST_UID
    with pytest.raises(KeyError):
        pwd.getpwuid(uid)
    assert uid not in {p.stat().st_uid for p in Path("/proc").iterdir() if p.name.isdigit()}
    owned = (folder, *folder.rglob("*"))
    assert {(p.stat().st_uid, p.stat().st_gid) for p in owned} == {(uid, uid)}
    (folder / "new").write_text("by root")
    assert settle(folder) == uid
    assert (folder / "new").stat().st_uid == uid


def test_what_a_taken_over_signer_left_is_not_given_to_it(folder: Path, tmp_path: Path) -> None:
    if not ROOT:
        return
    theirs = tmp_path / "shadow"
    theirs.write_text("root's")
    os.link(theirs, folder / "hard")
    (folder / "soft").symlink_to(theirs)
    settle(folder)
    assert theirs.stat().st_uid == 0


def test_names_that_are_swapped_meanwhile_lead_nowhere(folder: Path, tmp_path: Path) -> None:
    """Attack: what a taken-over signer left running puts a link where a folder was."""
    if not ROOT:
        return
    for above in (*tmp_path.parents[:-2], tmp_path):
        above.chmod(above.stat().st_mode | 0o011)
    (theirs := tmp_path / "etc").mkdir()
    (theirs / "key").write_text("root's")
    uid = settle(folder)
    swapping = os.fork()
    if swapping == 0:
        os.setresuid(uid, uid, uid)
        while True:
            (folder / "models").rename(folder / "aside")
            (folder / "models").symlink_to(theirs)
            (folder / "models").unlink()
            (folder / "aside").rename(folder / "models")
    try:
        until = time.monotonic() + 3
        while time.monotonic() < until and (theirs / "key").stat().st_uid == 0:
            with suppress(FileNotFoundError):
                settle(folder)
    finally:
        os.kill(swapping, signal.SIGKILL)
        os.waitpid(swapping, 0)
    assert (theirs / "key").stat().st_uid == 0


def test_a_second_name_of_a_file_is_not_taken_for_the_lock(folder: Path, tmp_path: Path) -> None:
    if not ROOT:
        return
    settle(folder)
    theirs = tmp_path / "shadow"
    theirs.write_text("root's")
    os.link(theirs, folder / "lock")
    with pytest.raises(KeystoreError, match="another name"):
        hold_serving(folder)
    assert theirs.stat().st_uid == 0


def hot_journal(named: Path) -> bytes:
    """SQLite's rollback journal of a transaction over several files, which names the super-journal
    that goes when it has been rolled back. Source: SQLite "Database File Format", 3."""
    magic, name = bytes.fromhex("d9d505f920a163d7"), os.fsencode(named)
    head = magic + struct.pack(">5I", 0, 1, 1, 512, 4096)
    told = struct.pack(">II", len(name), sum(name))
    return head.ljust(512, b"\0") + struct.pack(">I", 0x40000000 // 4096 + 1) + name + told + magic


@pytest.mark.parametrize("opened", [Ledger, ModelLedger])
def test_a_database_left_by_a_taken_over_signer_changes_nothing_else(
    folder: Path, tmp_path: Path, opened: type[Ledger | ModelLedger]
) -> None:
    """Attack: a journal by which SQLite, opening the ledger as root, removes a file of root's."""
    theirs = tmp_path / "passwd"
    theirs.write_text("root's")
    path = folder / "ledger.sqlite"
    with closing(sqlite3.connect(path)) as db:
        db.execute("CREATE TABLE t (x)")
    if not ROOT:
        return
    (folder / "ledger.sqlite-journal").write_bytes(hot_journal(theirs))
    settle(folder)
    groups = os.getgroups()
    with suppress(sqlite3.Error):
        opened(path).close()
    assert theirs.exists()
    assert (os.geteuid(), os.getegid(), os.getgroups()) == (0, 0, groups)
    (folder / "ledger.sqlite-journal").unlink(missing_ok=True)
    path.unlink()
    opened(path).close()
    assert path.stat().st_uid == folder.stat().st_uid


def test_a_ledger_that_is_a_link_is_not_opened(folder: Path, tmp_path: Path) -> None:
    (folder / "ledger.sqlite").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(OSError, match="symbolic links"):
        Ledger(folder / "ledger.sqlite")
    assert not (tmp_path / "elsewhere").exists()


def test_the_keys_of_whoever_started_it_stay_behind(folder: Path) -> None:
    """Attack: a taken-over signer reads what root keeps in its session's keyring."""
    if not ROOT:
        return
    uid = settle(folder)
    libc = ctypes.CDLL(None, use_errno=True)
    libc.syscall.restype = ctypes.c_long
    add_key, keyctl = kernel_keyring._numbers()
    serial = 0

    def read() -> bytes | None:
        found = ctypes.create_string_buffer(16)
        n_bytes = libc.syscall(keyctl, READ, ctypes.c_long(serial), found, ctypes.c_long(16))
        return found.raw[:n_bytes] if n_bytes >= 0 else None

    def descended() -> object:
        nonlocal serial
        if libc.syscall(keyctl, JOIN_SESSION, None) < 0:
            return "no keyrings here"
        serial = libc.syscall(add_key, b"user", b"roots", b"secret", ctypes.c_long(6), SESSION)
        before = read()
        descend(uid)
        return (before, read())

    said = outcome(descended)
    assert said in ("no keyrings here", str((b"secret", None)))


def test_there_is_no_way_back(folder: Path) -> None:
    if not ROOT:
        return
    uid = settle(folder)

    def descended() -> str:
        ctypes.CDLL(None).prctl(1, signal.SIGTERM)  # PR_SET_PDEATHSIG
        os.setgroups([SOMEBODY])
        descend(uid)
        refused = 0
        for back in (os.setuid, os.seteuid, os.setgid):
            try:
                back(0)
            except PermissionError:
                refused += 1
        status = Path("/proc/self/status").read_text()
        on_death = ctypes.c_int(0)
        ctypes.CDLL(None).prctl(2, ctypes.byref(on_death))
        return str((
            refused == 3,
            os.getresuid() == os.getresgid() == (uid, uid, uid),
            os.getgroups() == [],
            "CapEff:\t0000000000000000" in status,
            "CapPrm:\t0000000000000000" in status,
            "NoNewPrivs:\t1" in status,
            ctypes.CDLL(None).prctl(3, 0, 0, 0, 0) == 0,  # PR_GET_DUMPABLE
            on_death.value == signal.SIGTERM,
        ))  # fmt: skip

    assert outcome(descended) == str((True,) * 8)


def test_what_was_opened_before_stays_reachable(folder: Path) -> None:
    if not ROOT:
        return
    folder.parent.chmod(0o700)
    uid = settle(folder)

    def descended() -> str:
        inside = reachable(folder)
        descend(uid)
        try:
            (folder / "identity.pub").read_text()
        except PermissionError:
            (inside / "pairing.json").write_text("{}")
            return (inside / "identity.pub").read_text()
        return "the folder was open to it anyhow"

    assert outcome(descended) == "hex"
    assert (folder / "pairing.json").stat().st_uid == uid


def test_root_of_a_namespace_without_other_users_stays(folder: Path) -> None:
    if not ROOT:
        return

    def alone() -> object:
        os.setgroups([])
        if ctypes.CDLL(None, use_errno=True).unshare(CLONE_NEWUSER):
            return f"no user {ctypes.get_errno()}"  # the kernel has no such namespaces
        Path("/proc/self/uid_map").write_text("0 0 1")
        Path("/proc/self/setgroups").write_text("deny")
        Path("/proc/self/gid_map").write_text("0 0 1")
        return settle(folder)

    said = outcome(alone)
    assert "no user" in said
    assert folder.stat().st_uid == 0


# The whole signer


@pytest.fixture
async def place(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Installation]:
    base = short_folder(tmp_path_factory.mktemp("d"))
    assert stat.S_IMODE(base.stat().st_mode) == 0o700  # as a home often is
    async with installation(base, House()) as place:
        yield place


def users_of(pid: int) -> set[int]:
    """Real, effective, saved and file system uid."""
    status = Path(f"/proc/{pid}/status").read_text()
    (line,) = (line for line in status.splitlines() if line.startswith("Uid:"))
    return {int(uid) for uid in line.split()[1:]}


async def test_below_a_closed_home_it_signs_and_outlives_its_relay(
    place: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPROFILEIMPORTTIME", "1")
    await place.start_relay()
    await place.start_signer()
    assert place.signer is not None
    assert place.relay is not None
    uid = (place.folder / "s").stat().st_uid
    assert users_of(place.signer.running.pid) == {uid}
    assert (uid != 0) == ROOT
    assert users_of(place.relay.running.pid) == {os.geteuid()}

    await group(place)
    for round_ in ("before", "after"):
        router = await place.link(place.house.router)
        bridge = await place.caller(place.house.bridge)
        await place.grant(router, place.house.bridge_grant(now=int(time.time())))
        speaker = await session(place, router, SecretKey.generate(secrets.token_bytes))
        signed = await speaker.call("sign_event", said(place, round_), deadline_s=20)
        assert Event.from_json(orjson.loads(signed)).pubkey == place.bot
        gift = replace(place.house, bot=place_bot(place)).gift(round_)
        opened = await bridge.call("unwrap", text(gift), deadline_s=20)
        assert orjson.loads(opened)["rumor"]["content"] == round_
        await place.links.aclose()
        await place.relay.stop()
        await place.start_relay()
    for command in ("audit", "clock", "pair"):
        await place.command(command)
    assert await place.signer.stop() == 0

    log = place.signer.log.read_text()
    if ROOT:
        assert f"uid={uid}" in log
        # Attack on ourselves: a module that is imported only when needed, from a folder that
        # this user may not enter, ends the signer in the middle of a conversation.
        before, _, after = log.partition("the signer is a user of its own")
        assert "import time:" in before
        late = [line for line in after.splitlines() if line.startswith("import time:")]
        assert late == []
    # What root's commands wrote, while it ran and afterwards, is the signer's all the same.
    for left in (place.folder / "s").glob("ledger.sqlite-*"):
        left.unlink()
    for command in ("clock", "audit", "pair", "init"):
        await place.command(command)
    for path in (place.folder / "s").rglob("*"):
        assert path.stat().st_uid == uid, path
    await place.start_signer()


READS = """
import os, sys
pid, folder = sys.argv[1:]
proc = [f"/proc/{pid}/{name}" for name in ("mem", "environ", "maps")]
files = [f"{folder}/{name}" for name in ("passphrase", "identity.ncryptsec", "ledger.sqlite")]
for path in proc + files:
    try:
        with open(path, "rb") as file:
            file.read(1)
        print("read", path)
    except OSError:
        pass
import ctypes
if ctypes.CDLL(None).ptrace(16, int(pid), 0, 0) == 0:  # PTRACE_ATTACH
    print("attached")
print("done")
"""


async def test_another_user_reads_nothing_of_it(place: Installation) -> None:
    if not ROOT:
        return
    await place.start_relay()
    await place.start_signer()
    assert place.signer is not None
    # Even where every folder above is open.
    opened = [p for p in place.folder.parents if p.stat().st_mode & 0o001 == 0]
    for folder in (place.folder, *opened):
        folder.chmod(0o755)
    neighbour = (place.folder / "s").stat().st_uid + 1
    for uid in (SOMEBODY, neighbour):
        done = await asyncio.to_thread(
            subprocess.run,
            ["setpriv", f"--reuid={uid}", f"--regid={uid}", "--clear-groups", "/usr/bin/python3",
             "-c", READS, str(place.signer.running.pid), str(place.folder / "s")],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.stdout == "done\n", done.stdout + done.stderr
    for folder in opened:
        folder.chmod(0o700)


async def test_a_relay_that_this_user_cannot_reach_is_said(place: Installation) -> None:
    if not ROOT:
        return
    await place.start_relay()
    running = await asyncio.create_subprocess_exec(
        *place.signer_argv(place.address), stderr=asyncio.subprocess.PIPE
    )
    _, errors = await asyncio.wait_for(running.communicate(), 30)
    assert running.returncode == 2
    assert "who may not use" in errors.decode()
    assert "install -d -m 700 -o" in errors.decode()
