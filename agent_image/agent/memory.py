"""Shell: MEMORY.md in the group's folder: what the agent was told to remember, a line each.

The file is for people too: they may read it, correct it and add to it. Sizes are in bytes.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path

FILE_NAME = "MEMORY.md"
MAX_FILE_BYTES = 256 * 2**10
MAX_ENTRY_BYTES = 4 * 2**10
# A link would have us write, and a named pipe wait, wherever another program in here wants.
SAFELY = os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


class MemoryRefused(Exception):
    """Nothing was written or read; the sentence says why."""


def remember(folder: Path, text: str, day: str) -> bool:
    """Append one entry, on disk when this returns; False when it is there already.

    day: the date put before it, as 2026-11-22. Raises MemoryRefused when the text is empty or too
    long, when the file is full or not a regular file, or when it cannot be written.
    """
    entry = " ".join(text.split())
    if not entry:
        raise MemoryRefused("there is nothing to remember")
    line = f"- {day}: {entry}\n".encode()
    if len(line) > MAX_ENTRY_BYTES:
        raise MemoryRefused(f"an entry may have {MAX_ENTRY_BYTES} bytes, this has {len(line)}")
    try:
        fd = os.open(folder / FILE_NAME, os.O_RDWR | os.O_APPEND | os.O_CREAT | SAFELY, 0o644)
    except OSError as error:
        raise _refusal(error) from error
    try:
        size_bytes = _regular_size(fd)
        if size_bytes + len(line) + 1 > MAX_FILE_BYTES:
            raise MemoryRefused(f"{FILE_NAME} is full ({MAX_FILE_BYTES} bytes); shorten it first")
        written = os.pread(fd, size_bytes, 0)
        # A second attempt at the same job comes by here again.
        if any(known.partition(b": ")[2] == entry.encode() for known in written.splitlines()):
            return False
        if written and not written.endswith(b"\n"):  # a person's editor, or a torn write
            line = b"\n" + line
        os.write(fd, line)
        os.fsync(fd)
    except OSError as error:
        raise _refusal(error) from error
    finally:
        os.close(fd)
    return True


def recall(folder: Path, words: str = "") -> str:
    """Return what is remembered; with `words`, the lines that hold all of them.

    Empty when there is nothing. Raises MemoryRefused when the file is not a regular one or
    cannot be read; of a file above the limit the newest part is returned.
    """
    try:
        fd = os.open(folder / FILE_NAME, os.O_RDONLY | SAFELY)
    except FileNotFoundError:
        return ""
    except OSError as error:
        raise _refusal(error) from error
    try:
        size_bytes = _regular_size(fd)
        kept_bytes = min(size_bytes, MAX_FILE_BYTES)
        text = os.pread(fd, kept_bytes, size_bytes - kept_bytes).decode(errors="replace")
    except OSError as error:
        raise _refusal(error) from error
    finally:
        os.close(fd)
    wanted = words.casefold().split()
    if not wanted:
        return text.strip()
    return "\n".join(
        line for line in text.splitlines() if all(word in line.casefold() for word in wanted)
    )


def _regular_size(fd: int) -> int:
    status = os.fstat(fd)
    if not stat.S_ISREG(status.st_mode):
        raise MemoryRefused(f"{FILE_NAME} is not a regular file; remove it")
    return status.st_size


def _refusal(error: OSError) -> MemoryRefused:
    return MemoryRefused(f"{FILE_NAME} cannot be used: {error.strerror or error}")
