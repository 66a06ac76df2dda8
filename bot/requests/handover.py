"""Shell: a file that an agent hands over: opened without trust, kept under its hash, among those
of its group: with the group it is wiped, and one group's files leave the others room.

What lies in a run's `out` folder was made by an agent. Attack: a name such as `../../keys/router`,
a link to a file of ours, a FIFO whose reading never ends, a device, ten sparse gigabytes, a file
that grows while it is read. So the name is one name; each step is opened relative to its parent
without following links and without waiting; only a regular file is read, up to a limit.
"""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from secrets import token_hex

from bot.engine import folders
from bot.engine.folders import UnsafeFolder, private_folder

MAX_FILE_BYTES = 25 << 20
MAX_KEPT_BYTES = 1 << 30  # of all files of a group that are kept
MIN_FREE_BYTES = 256 << 20  # left to the machine
MAX_NAME_BYTES = 120
FOLDER = "files"

_OPEN_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_OPEN_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
_CHUNK_BYTES = 1 << 20


class NotHandedOver(Exception):
    """The file is not taken; the sentence says why, for the agent and for a person."""


@dataclass(frozen=True, slots=True)
class Kept:
    """A file that is kept. name: as the agent calls it; path: where it is on this machine."""

    name: str
    sha256: str
    n_bytes: int
    path: Path


def check_name(name: str) -> str:
    """Return a file's name. Raises NotHandedOver when it is not one plain name."""
    # Attack: a name that leads elsewhere, that no terminal shows as it is, or that runs hidden.
    plain = name.isprintable() and "/" not in name and "\\" not in name
    if not plain or not name.strip() or name != name.strip() or name.startswith("."):
        raise NotHandedOver(f"{name[:80]!r} is no file's name: one name without / in it")
    if len(name.encode(errors="replace")) > MAX_NAME_BYTES:
        raise NotHandedOver(f"a file's name has at most {MAX_NAME_BYTES} bytes")
    return name


def keep(data: Path, session: str, folder: str, name: str) -> Kept:
    """Copy a file from a running session's `out` folder into `data`/files/<folder>/<sha256>.

    session: its public key. folder: its group's. The copy is whole before it has its name, so a
    kill leaves none that is not. Not for two at once. Raises NotHandedOver.
    """
    check_name(name)
    try:
        kept = private_folder(private_folder(data / FOLDER) / folders.check_name(folder))
        _clear_unfinished(kept)
        with _opened(data / "ipc", session[:16], "out") as out, _file(out, name) as source:
            return _copy(source, kept, name)
    except (OSError, UnsafeFolder) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise NotHandedOver(f"{name!r} could not be kept: {reason}") from error


@contextlib.contextmanager
def _opened(top: Path, *names: str) -> Iterator[int]:
    """A folder, each step of the way opened in the one before."""
    descriptor = os.open(top, _OPEN_FOLDER)
    try:
        for name in names:
            below = os.open(name, _OPEN_FOLDER, dir_fd=descriptor)
            os.close(descriptor)
            descriptor = below
        yield descriptor
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def _file(folder: int, name: str) -> Iterator[int]:
    try:
        # O_NONBLOCK: else opening a FIFO waits for a writer who never comes.
        descriptor = os.open(name, _OPEN_FILE, dir_fd=folder)
    except FileNotFoundError:
        raise NotHandedOver(f"there is no {name!r} in /workspace/ipc/out") from None
    except OSError as error:
        raise NotHandedOver(
            f"{name!r} is no file that can be opened without following links"
        ) from error
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise NotHandedOver(f"{name!r} is not a regular file")
        if status.st_size > MAX_FILE_BYTES:
            raise NotHandedOver(_too_large(name))
        if status.st_size == 0:
            raise NotHandedOver(f"{name!r} is empty")
        yield descriptor
    finally:
        os.close(descriptor)


def _copy(source: int, folder: Path, name: str) -> Kept:
    with os.scandir(folder) as entries:
        used = sum(entry.stat(follow_symlinks=False).st_size for entry in entries)
    space = os.statvfs(folder)
    if space.f_bavail * space.f_frsize < MIN_FREE_BYTES + MAX_FILE_BYTES:
        raise NotHandedOver("the disk is nearly full; the owner can free some space")
    digest, n_bytes = sha256(), 0
    part = folder / f"part-{token_hex(8)}"
    descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        while chunk := os.read(source, _CHUNK_BYTES):
            n_bytes += len(chunk)
            if n_bytes > MAX_FILE_BYTES:  # it grew since it was looked at
                raise NotHandedOver(_too_large(name))
            if used + n_bytes > MAX_KEPT_BYTES:
                raise NotHandedOver(
                    f"the files of this conversation that are kept take {MAX_KEPT_BYTES >> 30} GiB "
                    "already; the owner can remove some"
                )
            digest.update(chunk)
            view = memoryview(chunk)
            while view:
                view = view[os.write(descriptor, view) :]
        os.fsync(descriptor)
        path = folder / digest.hexdigest()
        part.rename(path)
        _sync(folder)
    finally:
        os.close(descriptor)
        part.unlink(missing_ok=True)
    return Kept(name, digest.hexdigest(), n_bytes, path)


def _sync(folder: Path) -> None:
    with _opened(folder) as descriptor:
        os.fsync(descriptor)


def _clear_unfinished(folder: Path) -> None:
    """Remove the halves that a killed predecessor left: one file is copied at a time."""
    for part in folder.glob("part-*"):
        part.unlink(missing_ok=True)


def _too_large(name: str) -> str:
    return f"{name!r} is larger than {MAX_FILE_BYTES >> 20} MiB"
