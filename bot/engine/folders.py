"""Shell: the folders that a container gets: named, made, opened and measured without trust.

What lies inside them was written by an agent. Attack: a name such as `../keys`, a symbolic link
in place of a folder, a tree too deep or too full to walk. So names follow a rule, each step is
opened relative to its parent without following links, and a walk ends at its limits.

Modes: a folder is 0777 inside a parent of 0700. Only its owner passes the parent; the
container's uid 1000, which sees the folder alone, may write whoever the owner is. So neither
root nor a change of owner is needed, and rootless and remapped engines work.
"""

from __future__ import annotations

import contextlib
import os
import re
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from secrets import token_hex

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")
MAX_ENTRIES = 200_000
MAX_DEPTH = 64

_OPEN_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


class UnsafeFolder(Exception):
    """A folder is not what it must be; the message says which, why, and what to do."""


@dataclass(frozen=True, slots=True)
class Usage:
    """What a tree takes of the disk. `beyond` names the limit at which the walk gave up."""

    allocated_bytes: int
    entries: int
    beyond: str | None = None


def check_name(name: str) -> str:
    """Return a group folder's name. Raises UnsafeFolder when it breaks the rule."""
    if not NAME.fullmatch(name):
        raise UnsafeFolder(
            f"{name[:80]!r} cannot be a folder's name. Use 1 to 64 letters, digits, - and _, "
            "beginning with a letter or digit."
        )
    return name


def private_folder(path: Path) -> Path:
    """Make, where it is not there, a folder of mode 0700 that is ours. Raises UnsafeFolder."""
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    with _opened(path) as descriptor:
        if os.fstat(descriptor).st_uid != os.geteuid():
            raise UnsafeFolder(f"{path} belongs to another user. Give it back, or move the data.")
        os.fchmod(descriptor, 0o700)
    return path


def container_folder(parent: Path, name: str, *, mode: int = 0o777) -> Path:
    """Make, where it is not there, the folder `name` for a container below a private parent.

    mode: 0o777 where the container writes, 0o755 where it reads. Raises UnsafeFolder when the
    name breaks the rule or something else than a folder stands there.
    """
    check_name(name)
    return _folder_in(private_folder(parent), name, mode)


def sessions_folder(parent: Path, name: str) -> Path:
    """Make `parent/name/.claude`; the container gets only the innermost."""
    outer = container_folder(parent, name, mode=0o700)
    return _folder_in(outer, ".claude", 0o777)


def ipc_folders(parent: Path, run: str) -> tuple[Path, Path]:
    """Make one run's `in` (the container reads) and `out` (it writes) folders."""
    outer = container_folder(parent, run, mode=0o700)
    return _folder_in(outer, "in", 0o755), _folder_in(outer, "out", 0o777)


def socket_folder(parent: Path, session: str) -> Path:
    """Make the folder of a session's sockets (first 16 digits of its public key).

    The relay may make it too, at the same time.
    """
    return container_folder(parent, session[:16], mode=0o755)


def remove_run(parent: Path, name: str) -> None:
    """Remove the folder of a run and all in it; links are removed, never followed.

    Files that a container of another uid shut away from us stay; a later run never uses them.
    """
    path = parent / check_name(name)
    with contextlib.suppress(UnsafeFolder, OSError), _opened(path) as descriptor:
        _empty(descriptor)
    with contextlib.suppress(OSError):
        path.rmdir()


def remove_runs(parent: Path) -> None:
    """Remove the folders of all runs below `parent`: those of a killed predecessor."""
    with contextlib.suppress(FileNotFoundError):
        for left in parent.iterdir():
            if NAME.fullmatch(left.name):
                remove_run(parent, left.name)


def _empty(top: int) -> None:
    """Remove everything in an open folder, with one level open at a time.

    Attack: a tree of thousands of levels, on which a removal that descends runs out of stack or
    of descriptors. So a folder found below is moved up before it is looked into.
    """
    prefix, moved = token_hex(8), count()
    while names := os.listdir(top):
        removed = 0
        for name in names:
            with contextlib.suppress(OSError):
                try:
                    os.unlink(name, dir_fd=top)
                except (IsADirectoryError, PermissionError):  # what POSIX says of a folder
                    _flatten(name, top, prefix, moved)
                    os.rmdir(name, dir_fd=top)
                removed += 1
        if not removed:
            return  # what is left is shut away from us


def _flatten(name: str, top: int, prefix: str, moved: Iterator[int]) -> None:
    folder = os.open(name, _OPEN_FOLDER, dir_fd=top)
    try:
        for below in os.listdir(folder):  # noqa: PTH208 - a path may be replaced meanwhile
            try:
                os.unlink(below, dir_fd=folder)
            except (IsADirectoryError, PermissionError):
                os.rename(below, f"{prefix}-{next(moved)}", src_dir_fd=folder, dst_dir_fd=top)
    finally:
        os.close(folder)


def check_project(project: Path, data: Path) -> Path:
    """Return the source tree that main's agent may read.

    Raises UnsafeFolder when it contains data, or is in it: the agent may read the one, and what
    it is shown must never come from the other.
    """
    tree, kept = project.resolve(), data.resolve()
    if tree == kept or tree in kept.parents or kept in tree.parents:
        raise UnsafeFolder(
            f"The data folder {kept} and the source tree {tree}, which the main group's agent "
            "may read, contain one another. Move the data elsewhere with --data."
        )
    return tree


def measure(folder: Path, *, limit_bytes: int, max_entries: int = MAX_ENTRIES) -> Usage:
    """Walk a tree and add up what it takes of the disk, up to the limits.

    Attack: sparse files, hard links and links elsewhere lie about size, so allocated blocks
    count, each inode once, and nothing is followed. What vanishes meanwhile counts nothing, nor
    does a folder shut to us, which only an engine of another uid can make: the free space that
    the sandbox keeps is the second guard. Raises UnsafeFolder when `folder` is not a folder.
    """
    walk = _Walk(limit_bytes, max_entries)
    with _opened(folder) as descriptor:
        try:
            walk.enter(descriptor, depth=0)
        except _Beyond as beyond:
            return Usage(walk.allocated_bytes, walk.entries, str(beyond))
    return Usage(walk.allocated_bytes, walk.entries)


class _Beyond(Exception):
    """The walk is over: a limit was passed."""


class _Walk:
    """Depth first with one descriptor a level: paths end at 4096 bytes, trees do not."""

    def __init__(self, limit_bytes: int, max_entries: int) -> None:
        self.allocated_bytes, self.entries = 0, 0
        self._limit_bytes, self._max_entries = limit_bytes, max_entries
        self._seen: set[tuple[int, int]] = set()

    def enter(self, descriptor: int, depth: int) -> None:
        if depth > MAX_DEPTH:
            raise _Beyond(f"is deeper than {MAX_DEPTH} folders")
        with os.scandir(descriptor) as found:
            for entry in found:
                with contextlib.suppress(FileNotFoundError, PermissionError, NotADirectoryError):
                    self._count(entry.name, descriptor, depth)

    def _count(self, name: str, parent: int, depth: int) -> None:
        self.entries += 1
        if self.entries > self._max_entries:
            raise _Beyond(f"holds more than {self._max_entries} files")
        status = os.stat(name, dir_fd=parent, follow_symlinks=False)
        identity = (status.st_dev, status.st_ino)
        if identity not in self._seen:
            self._seen.add(identity)
            self.allocated_bytes += status.st_blocks * 512
        if self.allocated_bytes > self._limit_bytes:
            raise _Beyond(f"takes more than {self._limit_bytes >> 20} MiB")
        if stat.S_ISDIR(status.st_mode):
            child = os.open(name, _OPEN_FOLDER, dir_fd=parent)
            try:
                self.enter(child, depth + 1)
            finally:
                os.close(child)


def _folder_in(parent: Path, name: str, mode: int) -> Path:
    with opened_below(parent, name, mode):
        return parent / name


@contextlib.contextmanager
def opened_below(parent: Path, name: str, mode: int) -> Iterator[int]:
    """The folder `name` below another, made where it is not there.

    The descriptor stays that folder's, whatever takes its name meanwhile. Raises UnsafeFolder when
    something else than a folder stands there.
    """
    with _opened(parent) as above:
        with contextlib.suppress(FileExistsError):
            os.mkdir(name, mode, dir_fd=above)
        try:
            descriptor = os.open(name, _OPEN_FOLDER, dir_fd=above)
        except OSError as error:
            raise _not_a_folder(parent / name) from error
    try:
        # What is there already, and right, may belong to the container's uid.
        if stat.S_IMODE(os.fstat(descriptor).st_mode) != mode:
            os.fchmod(descriptor, mode)  # mkdir's mode passed through the umask
        yield descriptor
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[int]:
    try:
        descriptor = os.open(path, _OPEN_FOLDER)
    except OSError as error:
        raise _not_a_folder(path) from error
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _not_a_folder(path: Path) -> UnsafeFolder:
    return UnsafeFolder(
        f"{path} is not a folder that can be opened without following links. "
        "Move away what stands there."
    )
