"""Files laid into a group's folder, whatever its agent has put there."""

from __future__ import annotations

import os
import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from bot.bridges.incoming import Incoming, NotKept

FOLDER = "anna"


def keeper(tmp_path: Path, max_bytes: int = 64 << 20) -> Incoming:
    return Incoming(tmp_path / "groups", max_bytes)


def there(tmp_path: Path) -> Path:
    return tmp_path / "groups" / FOLDER / "received"


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_file_is_there_whole_and_the_container_may_use_it(tmp_path: Path) -> None:
    assert keeper(tmp_path).keep(FOLDER, "a.txt", b"hello") == "a.txt"
    path = there(tmp_path) / "a.txt"
    assert path.read_bytes() == b"hello"
    assert stat.S_IMODE(path.stat().st_mode) == 0o644
    # Whoever the container's uid is: it may take files away and lay down its own.
    assert stat.S_IMODE(there(tmp_path).stat().st_mode) == 0o777
    assert stat.S_IMODE(there(tmp_path).parent.stat().st_mode) == 0o777
    assert stat.S_IMODE((tmp_path / "groups").stat().st_mode) == 0o700


def test_the_same_file_again_is_the_one_that_is_there(tmp_path: Path) -> None:
    for _ in range(2):
        assert keeper(tmp_path).keep(FOLDER, "a.txt", b"hello") == "a.txt"
    assert names(there(tmp_path)) == ["a.txt"]


def test_what_the_agent_has_made_of_a_file_stays(tmp_path: Path) -> None:
    keeper(tmp_path).keep(FOLDER, "a.txt", b"hello")
    (there(tmp_path) / "a.txt").write_bytes(b"notes!")
    assert keeper(tmp_path).keep(FOLDER, "a.txt", b"hello") == "a-2.txt"
    assert (there(tmp_path) / "a.txt").read_bytes() == b"notes!"
    assert (there(tmp_path) / "a-2.txt").read_bytes() == b"hello"


def test_what_a_killed_predecessor_left_is_gone(tmp_path: Path) -> None:
    keeper(tmp_path).keep(FOLDER, "a.txt", b"hello")
    (there(tmp_path) / ".part-0011").write_bytes(b"hel")
    keeper(tmp_path).keep(FOLDER, "b.txt", b"hello")
    assert names(there(tmp_path)) == ["a.txt", "b.txt"]


def test_two_bridges_may_bring_something_at_once(tmp_path: Path) -> None:
    """Each clears away what a killed predecessor left unfinished."""
    incoming = keeper(tmp_path)
    given = [f"{number}.txt" for number in range(100)]
    with ThreadPoolExecutor(8) as threads:
        kept = list(threads.map(lambda name: incoming.keep(FOLDER, name, name.encode()), given))
    assert kept == given
    assert names(there(tmp_path)) == sorted(given)


# Attacks by the agent, which writes in the same folder


def test_a_link_in_place_of_the_folder_is_not_followed(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    there(tmp_path).parent.mkdir(parents=True)
    there(tmp_path).symlink_to(outside)
    with pytest.raises(NotKept, match="no folder 'received'"):
        keeper(tmp_path).keep(FOLDER, "a.txt", b"hello")
    assert names(outside) == []


def test_a_link_in_place_of_a_name_is_not_written_through(tmp_path: Path) -> None:
    target = tmp_path / "ours"
    target.write_bytes(b"ours")
    there(tmp_path).mkdir(parents=True)
    (there(tmp_path) / "a.txt").symlink_to(target)
    (there(tmp_path) / "a-2.txt").symlink_to(tmp_path / "nowhere")
    assert keeper(tmp_path).keep(FOLDER, "a.txt", b"hello") == "a-3.txt"
    assert target.read_bytes() == b"ours"
    assert not (tmp_path / "nowhere").exists()


@pytest.mark.parametrize("make", [Path.mkdir, os.mkfifo], ids=["folder", "fifo"])
def test_something_else_in_place_of_a_name_holds_nobody_up(tmp_path: Path, make: object) -> None:
    there(tmp_path).mkdir(parents=True)
    make(there(tmp_path) / "a.txt")  # type: ignore[operator]
    assert keeper(tmp_path).keep(FOLDER, "a.txt", b"hello") == "a-2.txt"


def test_a_file_in_place_of_the_folder_is_said(tmp_path: Path) -> None:
    there(tmp_path).parent.mkdir(parents=True)
    there(tmp_path).write_bytes(b"")
    with pytest.raises(NotKept, match="no folder 'received'"):
        keeper(tmp_path).keep(FOLDER, "a.txt", b"hello")


def test_all_names_taken_is_said(tmp_path: Path) -> None:
    there(tmp_path).mkdir(parents=True)
    for name in ("a.txt", *(f"a-{n}.txt" for n in range(2, 20))):
        (there(tmp_path) / name).write_bytes(b"x")
    with pytest.raises(NotKept, match="names"):
        keeper(tmp_path).keep(FOLDER, "a.txt", b"hello")
    assert not [name for name in names(there(tmp_path)) if name.startswith(".part-")]


def test_a_full_folder_takes_nothing_more(tmp_path: Path) -> None:
    """Attack: a person sends until the disk is full, of which others need some."""
    there(tmp_path).mkdir(parents=True)
    (there(tmp_path).parent / "big").write_bytes(bytes(900_000))
    with pytest.raises(NotKept, match="no room left"):
        keeper(tmp_path, 1_000_000).keep(FOLDER, "a.txt", bytes(200_000))
    assert keeper(tmp_path, 2_000_000).keep(FOLDER, "a.txt", bytes(200_000)) == "a.txt"


def test_a_folders_name_is_one_name(tmp_path: Path) -> None:
    with pytest.raises(NotKept):
        keeper(tmp_path).keep("../keys", "a.txt", b"hello")
    assert not (tmp_path / "keys").exists()
