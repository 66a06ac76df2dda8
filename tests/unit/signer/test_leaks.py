"""The bot's key and its passphrase are looked for in all that the signer leaves and shows, with
each form of memory forced: arguments, environments, memory, a core, logs, databases, files."""

from __future__ import annotations

import asyncio
import os
import resource
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import orjson
import pytest

from nips.event import Template
from nips.key import SecretKey
from signer.keystore import Keystore
from signer.secret import Memory
from tests import leaks
from tests.leaks import Needles
from tests.unit.signer.house import House, text
from tests.unit.signer.processes import Installation, installation, short_folder
from tests.unit.signer.test_descent import ROOT
from tests.unit.signer.test_key import run
from tests.unit.signer.test_service import group, said, session

PERSON = "a person keeps it"
KEPT = "it is kept beside"
HOLDER = """
import sys, time
raw = bytes.fromhex(sys.stdin.readline()); sys.stdin.close()
print("holds", flush=True)
time.sleep(600)
"""


@pytest.fixture
def needles() -> Needles:
    """A fresh key and passphrase, which only this process and the signer know."""
    key = SecretKey.generate(secrets.token_bytes)
    return Needles.of_key(key.raw) | Needles.of_text("passphrase", secrets.token_urlsafe(24))


def test_the_search_finds_what_is_there(needles: Needles, tmp_path: Path) -> None:
    """A search that finds nothing anywhere would let every test here pass."""
    raw = needles.forms["key, raw"]
    for name, form in needles.forms.items():
        path = tmp_path / "found"
        path.write_bytes(b"x" * (leaks._CHUNK_BYTES - 10) + form + b"y")  # across two chunks
        assert leaks.in_files(needles, tmp_path) >= {f"{path}: {name}"}
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER, needles.forms["key in hex"].decode()],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        env=os.environ | {"LEAK": needles.forms["passphrase"].decode()},
    ) as holder:  # fmt: skip
        assert holder.stdin is not None
        assert holder.stdout is not None
        holder.stdin.write(raw.hex() + "\n")
        holder.stdin.flush()
        assert holder.stdout.readline() == "holds\n"
        found, read = leaks.in_arguments_and_environments(needles)
        assert {f"process {holder.pid}: {n}" for n in ("key in hex", "passphrase")} <= found
        assert read > 1
        dumped = leaks.in_memory(needles, holder.pid).dumped
        assert any(hit.endswith("key, raw") for hit in dumped)
        holder.kill()


@pytest.fixture(params=[KEPT, PERSON])
async def place(
    request: pytest.FixtureRequest, needles: Needles, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Installation]:
    """A relay; an identity made of the key that is looked for."""
    base = short_folder(tmp_path_factory.mktemp("l"))
    async with installation(base, House()) as place:
        folder = place.folder / "s"
        for path in ("identity.ncryptsec", "identity.pub", "passphrase"):
            (folder / path).unlink()
        given = {"from_fd": needles.forms["key as nsec"].decode()}
        if request.param == PERSON:
            given["new_passphrase_fd"] = needles.forms["passphrase"].decode()
        options = ["--keep"] if request.param == KEPT else []
        done = await asyncio.to_thread(run, "import", folder, *options, **given)
        assert done.returncode == 0, done.stderr
        assert needles.in_bytes((done.stdout + done.stderr).encode()) == []
        place.bot = SecretKey(needles.forms["key, raw"]).public
        (place.folder / "roles.toml").write_text(place.roles.to_toml())
        await place.start_relay()
        yield place


async def speak(place: Installation) -> None:
    """Use the key in each way there is."""
    router = await group(place)
    await place.grant(router, place.house.bridge_grant(now=int(time.time())))
    speaker = await session(place, router)
    bridge = await place.caller(place.house.bridge)
    stranger = SecretKey.generate(secrets.token_bytes)
    bot = SecretKey(b"\1" * 32)
    object.__setattr__(bot, "public", place.bot)  # to address a gift takes no secret key
    for n in range(20):
        await speaker.call("sign_event", said(place, f"message {n}"), deadline_s=20)
        gift = replace(place.house, bot=bot).gift(f"mail {n}")
        opened = orjson.loads(await bridge.call("unwrap", text(gift), deadline_s=20))
        assert opened["rumor"]["content"] == f"mail {n}"
    rumor = Template(place.bot, int(time.time()), 14, (("p", stranger.public),), "an answer")
    sealed = await bridge.call("seal", stranger.public, text(rumor), deadline_s=20)
    assert orjson.loads(sealed)["kind"] == 13


def children_of(pid: int) -> list[int]:
    found = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [int(child) for child in found]


@pytest.mark.parametrize("memory", list(Memory))
async def test_the_key_is_nowhere(place: Installation, needles: Needles, memory: Memory) -> None:
    store = Keystore(place.folder / "s")
    await place.start_signer("--memory", memory)
    assert place.signer is not None
    assert place.relay is not None
    kept = store.kept()
    if not kept:
        given = needles.forms["passphrase"].decode()
        done = await asyncio.to_thread(run, "unlock", store.data, passphrase_fd=given)
        assert done.returncode == 0, done.stderr
        assert needles.in_bytes((done.stdout + done.stderr).encode()) == []
    needles |= Needles.of_text("kept passphrase", kept[0]) if kept else Needles({})
    await speak(place)
    assert f"memory={memory}" in place.signer.log.read_text()

    found, read = leaks.in_arguments_and_environments(needles)
    assert found == set()
    assert read > 2
    signer = place.signer.running.pid
    for pid in (signer, *children_of(signer), place.relay.running.pid):
        if not ROOT and pid != place.relay.running.pid:
            with pytest.raises(PermissionError):  # PR_SET_DUMPABLE 0: not even its own user
                leaks.in_memory(needles, pid)
            continue
        in_memory = leaks.in_memory(needles, pid)
        assert in_memory.dumped == [], "a core would hold it"
        assert in_memory.read_bytes > 5 << 20
        if pid != signer:
            assert in_memory.kept == []
        elif memory is Memory.MEMFD_SECRET:
            assert (in_memory.kept, in_memory.hidden) == ([], 1)
        else:  # the locked page, which root may read: the one copy there is
            (only,) = in_memory.kept
            assert only.endswith("key, raw")

    await place.signer.stop()
    await place.relay.stop()
    beside = {f"{store.passphrase}: kept passphrase"} if kept else set()
    assert leaks.in_files(needles, place.folder) == beside


@pytest.mark.parametrize("memory", list(Memory))
async def test_a_forced_core_is_not_written(
    place: Installation, needles: Needles, memory: Memory
) -> None:
    """Attack: whoever may signal it, and raise its limits, ends it with a core."""
    options = ["--memory", memory]
    reads, writes = os.pipe()
    os.write(writes, needles.forms["passphrase"])
    os.close(writes)
    if not Keystore(place.folder / "s").kept():
        options += ["--passphrase-fd", str(reads)]
    cwd = place.folder / "s"
    log = (place.folder / "signer.log").open("wb")
    running = subprocess.Popen(
        [*place.signer_argv(place.signers_address), *options],
        stdout=subprocess.PIPE, stderr=log, pass_fds=[reads], cwd=cwd,
        env=os.environ | {"PYTHONPATH": str(Path(__file__).parents[3])},
    )  # fmt: skip
    os.close(reads)
    assert running.stdout is not None
    line = await asyncio.to_thread(running.stdout.readline)
    assert line == b"signer: ready\n", (place.folder / "signer.log").read_text()
    if ROOT:
        unlimited = (resource.RLIM_INFINITY, resource.RLIM_INFINITY)
        with suppress(PermissionError):  # of a root without CAP_SYS_RESOURCE: then nobody can
            resource.prlimit(running.pid, resource.RLIMIT_CORE, unlimited)
    before = {path.name for path in cwd.iterdir()}
    running.send_signal(signal.SIGABRT)
    ended = os.waitid(os.P_PID, running.pid, os.WEXITED | os.WNOWAIT)
    assert ended is not None
    assert (ended.si_code, ended.si_status) == (os.CLD_KILLED, signal.SIGABRT)  # not CLD_DUMPED
    running.wait()
    running.stdout.close()
    log.close()
    assert {path.name for path in cwd.iterdir()} <= before
    hits = leaks.in_files(Needles.of_key(needles.forms["key, raw"]), place.folder)
    assert hits == set()
