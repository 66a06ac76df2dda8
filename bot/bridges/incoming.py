"""Shell: a file that somebody sent, laid into their group's folder, where its agent finds it.

An agent writes in that folder, also at this very moment. Attack: a link to a file of ours in place
of the folder `received` or of a name in it, a name that is taken, a folder that is full. So each
step is opened relative to the one before and follows no link, nothing that is there is written to,
and the file is whole and on disk before it has its name.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import stat
from hashlib import sha256
from pathlib import Path
from secrets import token_hex
from threading import Lock

from bot.bridges.file_names import shown_name, stored_name, true_type
from bot.engine import folders
from bot.engine.folders import UnsafeFolder
from nips.own.received import FOLDER, ReceivedFile

MIN_FREE_BYTES = 256 << 20  # left to the machine
MAX_NAMESAKES = 9
UNFINISHED = ".part-"

_OPEN_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
_MAKE_FILE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


class NotKept(Exception):
    """The file is not kept; the end of a sentence says why, for a person."""


class Incoming:
    """groups: DATA/groups. max_bytes: of one group's folder."""

    def __init__(self, groups: Path, max_bytes: int) -> None:
        self._groups, self._max_bytes = groups, max_bytes
        self._writing = Lock()  # two bridges may bring something for one group

    async def take(
        self,
        folder: str,
        given: str | None,
        media_type: str,
        content: bytes,
        dimensions: str | None = None,
    ) -> tuple[ReceivedFile, str]:
        """Lay a file into a group's folder under a name that is safe there; returns it, and what
        people may be shown as its name. given, media_type: as its sender says. Raises NotKept."""
        true = true_type(media_type, content)
        digest = sha256(content).hexdigest()
        name = await asyncio.to_thread(self.keep, folder, stored_name(given, true, digest), content)
        kept = ReceivedFile(name, true, digest, len(content), dimensions)
        return kept, shown_name(given, name)

    def keep(self, folder: str, name: str, content: bytes) -> str:
        """Write a file into a group's folder and return the name that it got: `name`, or one with
        a number where another file has it. The same file again is the one that is there.

        One at a time; from any thread. Raises NotKept.
        """
        with self._writing:
            return self._kept(folder, name, content)

    def _kept(self, folder: str, name: str, content: bytes) -> str:
        try:
            group = folders.container_folder(self._groups, folder)
            self._check_room(group, len(content))
            with folders.opened_below(group, FOLDER, 0o777) as received:
                return _keep(received, name, content)
        except UnsafeFolder as error:
            raise NotKept(f"there is no folder {FOLDER!r} to put it into") from error
        except OSError as error:
            raise NotKept(f"it could not be written: {error.strerror}") from error

    def _check_room(self, group: Path, n_bytes: int) -> None:
        space = os.statvfs(group)
        if space.f_bavail * space.f_frsize < MIN_FREE_BYTES + n_bytes:
            raise NotKept("the disk is nearly full; the owner can free some space")
        beyond = folders.measure(group, limit_bytes=self._max_bytes - n_bytes).beyond
        if beyond is not None:
            raise NotKept(
                f"the folder of this conversation has at most {self._max_bytes >> 20} MiB, and "
                "there is no room left"
            )


def _keep(folder: int, name: str, content: bytes) -> str:
    _clear_unfinished(folder)
    part = f"{UNFINISHED}{token_hex(8)}"
    descriptor = os.open(part, _MAKE_FILE, 0o600, dir_fd=folder)
    try:
        view = memoryview(content)
        while view:
            view = view[os.write(descriptor, view) :]
        os.fchmod(descriptor, 0o644)  # the container's uid reads it, whoever that is outside
        os.fsync(descriptor)
        taken = _name_it(folder, part, name, content)
        os.fsync(folder)
        return taken
    finally:
        os.close(descriptor)
        with contextlib.suppress(OSError):
            os.unlink(part, dir_fd=folder)


def _name_it(folder: int, part: str, name: str, content: bytes) -> str:
    stem, dot, ending = name.partition(".")
    for number in range(1, MAX_NAMESAKES + 1):
        candidate = name if number == 1 else f"{stem}-{number}{dot}{ending}"
        try:
            # A link, not a renaming: that would put the file in place of the agent's own.
            os.link(part, candidate, src_dir_fd=folder, dst_dir_fd=folder, follow_symlinks=False)
        except FileExistsError:
            if not _is_there(folder, candidate, content):
                continue
        return candidate
    raise NotKept("all names that it could have are taken")


def _is_there(folder: int, name: str, content: bytes) -> bool:
    """Say whether this very file is there, from before a crash or sent twice."""
    try:
        descriptor = os.open(name, _OPEN_FILE, dir_fd=folder)
    except OSError:
        return False
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode) or status.st_size != len(content):
            return False
        digest, left = sha256(), len(content)
        while left > 0 and (chunk := os.read(descriptor, 1 << 20)):
            digest.update(chunk)
            left -= len(chunk)
        return digest.digest() == sha256(content).digest()
    finally:
        os.close(descriptor)


def _clear_unfinished(folder: int) -> None:
    """Remove what a killed predecessor left: one file is written at a time."""
    for name in os.listdir(folder):
        if name.startswith(UNFINISHED):
            with contextlib.suppress(OSError):
                os.unlink(name, dir_fd=folder)
