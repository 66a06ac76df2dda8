"""Disks that are full, closed or damaged: a plain answer, no crash, and recovery."""

from __future__ import annotations

import os
import resource
import secrets
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from relay_local.relay import DATABASE, CannotStart, RelaySettings, running
from tests.relay_process import relay_process
from tests.unit.relay_local.cast import RELAY, STRANGER
from tests.unit.relay_local.wire import signed, wire


def mount(folder: Path, options: str) -> bool:
    """Put a small filesystem there, where root may."""
    if os.geteuid() != 0:
        return False
    command = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A filesystem of 3 MB where root may mount one, else a folder like any other."""
    folder = tmp_path / "disk"
    folder.mkdir()
    is_mounted = mount(folder, "size=3m")
    yield folder
    if is_mounted:
        subprocess.run(["umount", str(folder)], check=True)


@pytest.mark.parametrize("cause", ["disk", "limit"])
async def test_a_full_disk_is_told_and_survived(small_disk: Path, cause: str) -> None:
    """The disk is full, or files may grow no more: acknowledged events stay, others are refused
    with a reason, and when there is room again all goes on."""
    ballast = small_disk / "ballast"
    has_own_disk = cause == "disk" and os.path.ismount(small_disk)
    kept: list[str] = []
    async with relay_process(small_disk / "relay", "--open") as relay, wire(relay.url) as client:
        before = signed(STRANGER, 1, content="before")
        await client.keep(before)
        if has_own_disk:
            fill(ballast)
        else:
            resource.prlimit(relay.pid, resource.RLIMIT_FSIZE, (400_000, resource.RLIM_INFINITY))
        accepted, message = True, ""
        while accepted and len(kept) < 60:
            big = signed(STRANGER, 1, content=secrets.token_hex(30_000))
            accepted, message = await client.put(big)
            if accepted:
                kept.append(big.id)
        assert not accepted
        assert message.startswith("error: the event could not be stored: ")
        # It reads on, and refuses each event for itself.
        assert before.to_json() in await client.req("a", {"kinds": [1], "limit": 100})
        assert (await client.put(signed(STRANGER, 1, content="y" * 60_000)))[0] is False
        if has_own_disk:
            ballast.unlink()
        else:
            unlimited = (resource.RLIM_INFINITY, resource.RLIM_INFINITY)
            resource.prlimit(relay.pid, resource.RLIMIT_FSIZE, unlimited)
        after = signed(STRANGER, 1, content="after")
        await client.keep(after)
        kept += [before.id, after.id]
        assert await relay.end() == 0
        await relay.start()
        async with wire(relay.url) as again:
            found = await again.req("a", {"kinds": [1], "limit": 100})
            assert sorted(one["id"] for one in found) == sorted(kept)


def fill(path: Path) -> None:
    """Take what is left but a little."""
    with path.open("wb", buffering=0) as file:
        try:
            while True:
                file.write(b"x" * 4_096)
        except OSError:
            file.truncate(max(0, file.tell() - 64 * 1_024))


async def test_a_damaged_database_is_answered_and_not_served_as_whole(tmp_path: Path) -> None:
    settings = RelaySettings(tmp_path / "relay", RELAY, public=True)
    async with running(settings) as relay, wire(relay.url) as client:
        await client.keep(*(signed(STRANGER, 1, content="x" * 5_000) for _ in range(60)))
    file = settings.data / DATABASE
    with file.open("r+b") as damaged:
        size = file.stat().st_size
        for at in range(8_192, size - 4_096, 4_096):
            damaged.seek(at)
            damaged.write(os.urandom(1_024))
    try:
        async with running(settings) as relay, wire(relay.url) as client:
            await client.say("REQ", "a", {"kinds": [1]})
            while (frame := await client.hear())[0] == "EVENT":
                assert frame[2]["kind"] == 1
            assert frame[0] in ("CLOSED", "EOSE")
            accepted, message = await client.put(signed(STRANGER, 1, content="z" * 5_000))
            assert accepted or message.startswith("error: ")
    except CannotStart as error:
        if "damaged" not in str(error) or DATABASE not in str(error):
            raise


async def test_a_file_that_is_no_database_is_said(tmp_path: Path) -> None:
    settings = RelaySettings(tmp_path / "relay", RELAY, public=True)
    settings.data.mkdir()
    (settings.data / DATABASE).write_bytes(b"This is no database. " * 500)
    with pytest.raises(CannotStart, match="backup"):
        async with running(settings):
            pass


async def test_a_folder_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    folder = tmp_path / "read only"
    settings = RelaySettings(folder / "relay", RELAY, public=True)
    folder.mkdir()
    is_mounted = mount(folder, "size=8m")
    try:
        async with running(settings):
            pass
        if is_mounted:
            subprocess.run(["mount", "-o", "remount,ro", str(folder)], check=True)
        else:
            settings.data.chmod(0o500)
            for file in settings.data.iterdir():
                file.chmod(0o400)
        with pytest.raises(CannotStart, match="relay"):
            async with running(settings):
                pass
    finally:
        if is_mounted:
            subprocess.run(["umount", str(folder)], check=True)
        else:
            settings.data.chmod(0o700)
