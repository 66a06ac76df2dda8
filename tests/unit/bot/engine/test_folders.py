"""Folders: names that are no paths, links that are not followed, walks that end."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.engine import folders
from bot.engine.folders import UnsafeFolder, measure

MIB = 1 << 20


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.mark.parametrize("name", ["main", "a", "A-b_c", "0" * 64])
def test_a_folder_is_made_open_to_the_container_below_a_closed_one(
    tmp_path: Path, name: str
) -> None:
    made = folders.container_folder(tmp_path / "groups", name)
    assert made == tmp_path / "groups" / name
    assert mode(made) == 0o777
    assert mode(made.parent) == 0o700
    assert folders.container_folder(tmp_path / "groups", name) == made


@pytest.mark.parametrize(
    "name",
    ["", ".", "..", "../keys", "a/b", "/etc", "-a", "_a", ".claude", "a b", "a\n", "é", "0" * 65],
)
def test_a_name_that_could_be_a_path_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(UnsafeFolder, match="cannot be a folder's name"):
        folders.container_folder(tmp_path, name)


@given(st.text(max_size=70))
def test_no_name_leads_out_of_its_parent(name: str) -> None:
    try:
        folders.check_name(name)
    except UnsafeFolder:
        return
    assert Path("/parent", name).parent == Path("/parent")
    assert name.isascii()


@pytest.mark.parametrize("what", ["link", "link to nothing", "file"])
def test_what_is_no_folder_is_refused_and_left_alone(tmp_path: Path, what: str) -> None:
    """Attack: a link in place of the folder, to have another one mounted and opened to all."""
    keys = tmp_path / "keys"
    keys.mkdir(mode=0o700)
    at = tmp_path / "groups" / "main"
    at.parent.mkdir()
    match what:
        case "link":
            at.symlink_to(keys)
        case "file":
            at.write_text("mine")
        case _:
            at.symlink_to(tmp_path / "nowhere")
    with pytest.raises(UnsafeFolder, match="without following links"):
        folders.container_folder(at.parent, "main")
    assert mode(keys) == 0o700
    assert not (tmp_path / "nowhere").exists()


def test_a_linked_parent_is_refused(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "groups").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(UnsafeFolder, match="without following links"):
        folders.container_folder(tmp_path / "groups", "main")


def test_a_session_sees_the_innermost_folder_only(tmp_path: Path) -> None:
    made = folders.sessions_folder(tmp_path / "sessions", "main")
    assert made == tmp_path / "sessions/main/.claude"
    assert (mode(made), mode(made.parent)) == (0o777, 0o700)


def test_a_run_reads_one_folder_and_writes_the_other(tmp_path: Path) -> None:
    ipc_in, ipc_out = folders.ipc_folders(tmp_path / "ipc", "ab12")
    assert (mode(ipc_in), mode(ipc_out)) == (0o755, 0o777)
    (ipc_out / "file").write_text("x")
    (ipc_out / "link").symlink_to(tmp_path)
    (tmp_path / "kept").write_text("kept")
    folders.remove_run(tmp_path / "ipc", "ab12")
    assert not (tmp_path / "ipc/ab12").exists()
    assert (tmp_path / "kept").exists()


def test_a_run_is_removed_whatever_it_left(tmp_path: Path) -> None:
    kept = tmp_path / "kept"
    kept.write_text("not yours")
    _, out = folders.ipc_folders(tmp_path / "ipc", "run")
    for number in range(20):
        (out / f"{number}" / "below").mkdir(parents=True)
        (out / f"{number}" / "below" / "file").write_text("x")
    (out / "link").symlink_to(kept)
    (out / "0" / "folder link").symlink_to(tmp_path)
    os.mkfifo(out / "1" / "pipe")
    folders.remove_run(tmp_path / "ipc", "run")
    assert list((tmp_path / "ipc").iterdir()) == []
    assert kept.read_text() == "not yours"


def test_a_run_that_is_a_link_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "keys").mkdir()
    (tmp_path / "keys" / "router").touch()
    (tmp_path / "ipc").mkdir()
    (tmp_path / "ipc" / "run").symlink_to(tmp_path / "keys")
    folders.remove_run(tmp_path / "ipc", "run")
    assert (tmp_path / "keys" / "router").exists()


def test_a_deep_tree_is_removed_without_descending(tmp_path: Path) -> None:
    """Attack: a tree as deep as the stack, to end the process that removes it."""
    _, out = folders.ipc_folders(tmp_path / "ipc", "run")
    descriptor = os.open(out, os.O_RDONLY)
    for _ in range(3_000):
        os.mkdir("d", dir_fd=descriptor)
        below = os.open("d", os.O_RDONLY, dir_fd=descriptor)
        os.close(descriptor)
        descriptor = below
    os.close(descriptor)
    folders.remove_runs(tmp_path / "ipc")
    assert list((tmp_path / "ipc").iterdir()) == []


def test_the_umask_decides_nothing(tmp_path: Path) -> None:
    before = os.umask(0o077)
    try:
        assert mode(folders.socket_folder(tmp_path / "s", "ab" * 32)) == 0o755
        assert mode(folders.container_folder(tmp_path / "groups", "main")) == 0o777
    finally:
        os.umask(before)
    assert (tmp_path / "s" / ("ab" * 8)).is_dir()


def test_a_project_that_contains_data_is_refused(tmp_path: Path) -> None:
    tree, data = tmp_path / "tree", tmp_path / "data"
    tree.mkdir()
    data.mkdir()
    assert folders.check_project(tree, data) == tree
    for project, kept in [
        (tree, tree),
        (tmp_path, data),
        (tree, tree / "data"),
        (data / "x", data),
    ]:
        with pytest.raises(UnsafeFolder, match="contain one another"):
            folders.check_project(project, kept)
    link = tmp_path / "link"
    link.symlink_to(data)
    with pytest.raises(UnsafeFolder):
        folders.check_project(link, data)


def test_a_tree_is_added_up(tmp_path: Path) -> None:
    (tmp_path / "a/b").mkdir(parents=True)
    for n in range(3):
        (tmp_path / f"a/b/{n}").write_bytes(b"x" * 100_000)
    usage = measure(tmp_path, limit_bytes=10 * MIB)
    assert 300_000 <= usage.allocated_bytes < 400_000
    assert (usage.entries, usage.beyond) == (5, None)


def test_links_and_holes_and_second_names_count_nothing_more(tmp_path: Path) -> None:
    inside, outside = tmp_path / "in", tmp_path / "out"
    inside.mkdir()
    outside.mkdir()
    (outside / "large").write_bytes(b"x" * 5 * MIB)
    (inside / "link").symlink_to(outside)
    (inside / "to file").symlink_to(outside / "large")
    with (inside / "hole").open("wb") as hole:
        hole.truncate(100 * MIB)
    (inside / "one").write_bytes(b"x" * MIB)
    for n in range(10):
        (inside / f"name {n}").hardlink_to(inside / "one")
    usage = measure(inside, limit_bytes=3 * MIB)
    assert usage.beyond is None
    assert MIB <= usage.allocated_bytes < 2 * MIB


@pytest.mark.parametrize("n_files", [10, 11])
def test_bytes_are_limited(tmp_path: Path, n_files: int) -> None:
    for n in range(n_files):
        (tmp_path / str(n)).write_bytes(b"x" * MIB)
    usage = measure(tmp_path, limit_bytes=10 * MIB + 512_000)
    assert usage.beyond == (None if n_files == 10 else "takes more than 10 MiB")


def test_names_are_limited(tmp_path: Path) -> None:
    """Attack: a million empty files, which take no bytes and no end to walk."""
    for n in range(101):
        (tmp_path / str(n)).touch()
    assert measure(tmp_path, limit_bytes=MIB, max_entries=101).beyond is None
    usage = measure(tmp_path, limit_bytes=MIB, max_entries=100)
    assert usage.beyond == "holds more than 100 files"


def test_depth_is_limited_beyond_the_length_of_a_path(tmp_path: Path) -> None:
    """Attack: what lies deeper than the longest path that a program can name."""
    deep = os.open(tmp_path, os.O_RDONLY)
    for _ in range(200):
        os.mkdir("d" * 50, dir_fd=deep)
        below = os.open("d" * 50, os.O_RDONLY, dir_fd=deep)
        os.close(deep)
        deep = below
    os.close(deep)
    before = len(list(Path("/proc/self/fd").iterdir())) if Path("/proc/self/fd").exists() else 0
    usage = measure(tmp_path, limit_bytes=MIB * 100)
    assert usage.beyond == f"is deeper than {folders.MAX_DEPTH} folders"
    if before:
        assert len(list(Path("/proc/self/fd").iterdir())) == before


def test_a_link_in_place_of_the_folder_is_not_walked(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path)
    with pytest.raises(UnsafeFolder):
        measure(tmp_path / "link", limit_bytes=MIB)
