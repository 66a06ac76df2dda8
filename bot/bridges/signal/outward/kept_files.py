"""Shell: a file that an agent handed over, read from where the router keeps it.

Its name there is its hash. Attack: a link, a FIFO or other bytes in its place, by whoever got into
that folder: whatever is read is sent to people. So each step is opened in the one before without
following links, and the hash is checked of what was read.
"""

from __future__ import annotations

import contextlib
import os
import stat
from hashlib import sha256
from pathlib import Path

from nips.key import is_hex
from nips.own.binding import FOLDER

FILES = "files"
MAX_BYTES = 25 << 20

_OPEN_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_OPEN_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC


class NotThere(Exception):
    """The file cannot be sent; the end of a sentence says why, for a person."""


def read_kept(data: Path, folder: str, digest: str) -> bytes:
    """Read DATA/files/<folder>/<sha256 in hex>. Raises NotThere."""
    if not FOLDER.fullmatch(folder) or not is_hex(digest, 32):
        raise NotThere("it has no name under which files are kept")
    try:
        with contextlib.ExitStack() as stack:
            files = _opened(stack, data / FILES, _OPEN_FOLDER, None)
            own = _opened(stack, folder, _OPEN_FOLDER, files)
            content = _read(_opened(stack, digest, _OPEN_FILE, own))
    except OSError as error:
        raise NotThere("it is not kept any more") from error
    if sha256(content).hexdigest() != digest:
        raise NotThere("it is not what was handed over")
    return content


def _opened(
    stack: contextlib.ExitStack, path: Path | str, flags: int, folder: int | None
) -> int:  # fmt: skip
    descriptor = os.open(path, flags, dir_fd=folder)
    stack.callback(os.close, descriptor)
    return descriptor


def _read(descriptor: int) -> bytes:
    status = os.fstat(descriptor)
    if not stat.S_ISREG(status.st_mode):
        raise NotThere("it is no file")
    if status.st_size > MAX_BYTES:
        raise NotThere(f"it has more than {MAX_BYTES >> 20} MiB")
    chunks, left = [], MAX_BYTES
    while left and (chunk := os.read(descriptor, min(left, 1 << 20))):
        chunks.append(chunk)
        left -= len(chunk)
    return b"".join(chunks)
