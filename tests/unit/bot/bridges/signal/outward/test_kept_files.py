"""A file that an agent handed over: read as it was, or not at all."""

from __future__ import annotations

import os
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path

import pytest

from bot.bridges.signal.outward import kept_files
from bot.bridges.signal.outward.kept_files import NotThere, read_kept

CONTENT = b"what was handed over"
DIGEST = sha256(CONTENT).hexdigest()


@pytest.fixture
def data(tmp_path: Path) -> Path:
    folder = tmp_path / "files" / "chess"
    folder.mkdir(parents=True)
    (folder / DIGEST).write_bytes(CONTENT)
    (tmp_path / "secret").write_bytes(CONTENT)
    return tmp_path


def test_it_is_read(data: Path) -> None:
    assert read_kept(data, "chess", DIGEST) == CONTENT


def linked(data: Path) -> None:
    kept = data / "files" / "chess" / DIGEST
    kept.unlink()
    kept.symlink_to(data / "secret")


def linked_folder(data: Path) -> None:
    folder = data / "files" / "chess"
    folder.rename(data / "elsewhere")
    folder.symlink_to(data / "elsewhere")


def linked_files(data: Path) -> None:
    (data / "files").rename(data / "others")
    (data / "files").symlink_to(data / "others")


def a_fifo(data: Path) -> None:
    kept = data / "files" / "chess" / DIGEST
    kept.unlink()
    os.mkfifo(kept)


def a_folder(data: Path) -> None:
    kept = data / "files" / "chess" / DIGEST
    kept.unlink()
    kept.mkdir()


def other_bytes(data: Path) -> None:
    (data / "files" / "chess" / DIGEST).write_bytes(CONTENT + b"!")


def gone(data: Path) -> None:
    (data / "files" / "chess" / DIGEST).unlink()


@pytest.mark.parametrize(
    ("spoil", "why"),
    [
        (linked, "not kept any more"), (linked_folder, "not kept any more"),
        (linked_files, "not kept any more"), (a_fifo, "no file"), (a_folder, "no file"),
        (other_bytes, "not what was handed over"), (gone, "not kept any more"),
    ],
)  # fmt: skip
def test_what_lies_in_its_place_is_not_sent(
    data: Path, spoil: Callable[[Path], None], why: str
) -> None:
    """Attack: whoever got into that folder has a file of ours sent to people."""
    spoil(data)
    with pytest.raises(NotThere, match=why):
        read_kept(data, "chess", DIGEST)


@pytest.mark.parametrize(
    ("folder", "digest"),
    [("../chess", DIGEST), ("", DIGEST), ("chess", "../../secret"), ("chess", DIGEST.upper())],
)
def test_a_name_leads_nowhere_else(data: Path, folder: str, digest: str) -> None:
    with pytest.raises(NotThere, match="no name"):
        read_kept(data, folder, digest)


def test_one_that_is_too_large(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kept_files, "MAX_BYTES", len(CONTENT) - 1)
    with pytest.raises(NotThere, match="more than"):
        read_kept(data, "chess", DIGEST)
