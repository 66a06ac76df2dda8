"""bot/requests/handover.py: a file is taken without trust, or not at all."""

from __future__ import annotations

import os
import socket
from hashlib import sha256
from pathlib import Path

import pytest

from bot.engine import folders
from bot.requests import handover
from bot.requests.handover import NotHandedOver, keep

SESSION = "0a" * 32
GROUP = "family"
SECRET = b"the secret of another"


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A data folder with a run in it, and a secret next to it."""
    folders.ipc_folders(tmp_path / "data" / "ipc", SESSION[:16])
    (tmp_path / "data" / "secret").write_bytes(SECRET)
    return tmp_path / "data"


@pytest.fixture
def out(data: Path) -> Path:
    return data / "ipc" / SESSION[:16] / "out"


def kept(data: Path) -> list[bytes]:
    folder = data / "files" / GROUP
    return [path.read_bytes() for path in folder.iterdir()] if folder.is_dir() else []


def test_a_file_is_kept_under_its_hash(data: Path, out: Path) -> None:
    (out / "report é.txt").write_bytes(b"words")
    found = keep(data, SESSION, GROUP, "report é.txt")
    assert (found.name, found.n_bytes) == ("report é.txt", 5)
    assert found.sha256 == sha256(b"words").hexdigest()
    assert found.path == data / "files" / GROUP / found.sha256
    assert kept(data) == [b"words"]
    assert found.path.stat().st_mode & 0o777 == 0o600
    assert keep(data, SESSION, GROUP, "report é.txt") == found
    assert kept(data) == [b"words"]


@pytest.mark.parametrize(
    "name",
    ["../../secret", "../secret", "/etc/passwd", "a/b", "..", ".", "", " ", ".bashrc", "a\nb",
     "a\\b", "x" * 121, "\u202etxt.exe", "a\0b", " a", "\ud800"],
)  # fmt: skip
def test_a_name_is_one_plain_name(data: Path, out: Path, name: str) -> None:
    (out / "a").write_bytes(b"x")
    with pytest.raises(NotHandedOver):
        keep(data, SESSION, GROUP, name)
    assert kept(data) == []


def test_a_link_is_not_followed(data: Path, out: Path) -> None:
    (out / "link").symlink_to(data / "secret")
    (out / "dangling").symlink_to("nowhere")
    for name in ("link", "dangling"):
        with pytest.raises(NotHandedOver, match="without following links"):
            keep(data, SESSION, GROUP, name)
    assert kept(data) == []


def test_a_link_in_place_of_a_folder_is_not_followed(data: Path, out: Path) -> None:
    other = data / "elsewhere"
    other.mkdir()
    (other / "file").write_bytes(SECRET)
    out.rmdir()
    out.symlink_to(other)
    with pytest.raises(NotHandedOver):
        keep(data, SESSION, GROUP, "file")
    assert kept(data) == []


@pytest.mark.timeout(20)  # a FIFO without a writer would be waited for
def test_what_is_no_regular_file_is_not_read(
    data: Path, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    os.mkfifo(out / "fifo")
    (out / "folder").mkdir()
    with socket.socket(socket.AF_UNIX) as listening:
        monkeypatch.chdir(out)  # a socket's address is short, however long the folder's path
        listening.bind("socket")
        for name in ("fifo", "folder"):
            with pytest.raises(NotHandedOver, match="is not a regular file"):
                keep(data, SESSION, GROUP, name)
        with pytest.raises(NotHandedOver):
            keep(data, SESSION, GROUP, "socket")
    assert kept(data) == []


def test_ten_sparse_gigabytes_are_not_read(
    data: Path, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def reading(_descriptor: int, _n_bytes: int) -> bytes:
        raise AssertionError("it was read")

    monkeypatch.setattr(os, "read", reading)
    with (out / "huge").open("wb") as huge:
        huge.truncate(10 << 30)
    with pytest.raises(NotHandedOver, match="larger than 25 MiB"):
        keep(data, SESSION, GROUP, "huge")
    assert kept(data) == []


def test_a_file_that_grows_while_it_is_read_is_not_kept(
    data: Path, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(handover, "MAX_FILE_BYTES", 100)
    monkeypatch.setattr(handover, "_CHUNK_BYTES", 60)
    (out / "grows").write_bytes(b"x" * 90)
    read = os.read

    def reading(descriptor: int, n_bytes: int) -> bytes:
        if (out / "grows").stat().st_size < 1_000:
            with (out / "grows").open("ab") as more:  # its writer is quicker
                more.write(b"y" * 60)
        return read(descriptor, n_bytes)

    monkeypatch.setattr(os, "read", reading)
    with pytest.raises(NotHandedOver, match="larger than"):
        keep(data, SESSION, GROUP, "grows")
    assert kept(data) == []


def test_what_is_not_there_and_what_is_empty(data: Path, out: Path) -> None:
    (out / "empty").touch()
    for name, why in (("none", "there is no"), ("empty", "is empty")):
        with pytest.raises(NotHandedOver, match=why):
            keep(data, SESSION, GROUP, name)


def test_another_run_has_another_folder(data: Path, out: Path) -> None:
    (out / "mine").write_bytes(b"x")
    other = "0b" * 32
    with pytest.raises(NotHandedOver):  # it has none: it has ended
        keep(data, other, GROUP, "mine")
    folders.ipc_folders(data / "ipc", other[:16])
    with pytest.raises(NotHandedOver, match="there is no"):
        keep(data, other, GROUP, "mine")


def test_the_disk_is_not_filled(data: Path, out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(handover, "MAX_KEPT_BYTES", 150)
    (out / "one").write_bytes(b"1" * 100)
    (out / "two").write_bytes(b"2" * 100)
    keep(data, SESSION, GROUP, "one")
    with pytest.raises(NotHandedOver, match="the owner can remove some"):
        keep(data, SESSION, GROUP, "two")
    assert kept(data) == [b"1" * 100]


def test_a_group_leaves_the_others_room(
    data: Path, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Attack: one group's agent hands over files until nobody else can."""
    monkeypatch.setattr(handover, "MAX_KEPT_BYTES", 150)
    (out / "one").write_bytes(b"1" * 100)
    (out / "two").write_bytes(b"2" * 100)
    keep(data, SESSION, GROUP, "one")
    with pytest.raises(NotHandedOver):
        keep(data, SESSION, GROUP, "two")
    found = keep(data, SESSION, "friends", "two")
    assert found.path.parent == data / "files" / "friends"
    monkeypatch.setattr(handover, "MIN_FREE_BYTES", 1 << 60)
    with pytest.raises(NotHandedOver, match="nearly full"):
        keep(data, SESSION, "work", "one")


def test_what_a_killed_predecessor_left_half_is_cleared(data: Path, out: Path) -> None:
    (out / "one").write_bytes(b"1")
    keep(data, SESSION, GROUP, "one")
    (data / "files" / GROUP / "part-00").write_bytes(b"half")
    keep(data, SESSION, GROUP, "one")
    assert kept(data) == [b"1"]
