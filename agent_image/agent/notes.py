"""Shell: the notes in the group's folder that a model is shown at the beginning.

CLAUDE.md holds how the assistant is to behave in this conversation, MEMORY.md what it was told to
remember. People and agents write both.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path

from agent_image.agent import memory
from agent_image.agent.surroundings import Note

INSTRUCTIONS = "CLAUDE.md"
MAX_NOTE_BYTES = 16 * 2**10
# A link would have us read, and a named pipe wait, wherever another program in here wants.
SAFELY = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


def instructions(folder: Path) -> Note:
    """The beginning of CLAUDE.md."""
    return _read(folder / INSTRUCTIONS, newest=False)


def remembered(folder: Path) -> Note:
    """The end of MEMORY.md, which is the newest; `recall` finds the rest."""
    return _read(folder / memory.FILE_NAME, newest=True)


def _read(path: Path, *, newest: bool) -> Note:
    """An empty note where there is no regular file, or none that can be read."""
    try:
        fd = os.open(path, SAFELY)
    except OSError:
        return Note()
    try:
        status = os.fstat(fd)
        if not stat.S_ISREG(status.st_mode):
            return Note()
        is_cut = status.st_size > MAX_NOTE_BYTES
        start = status.st_size - MAX_NOTE_BYTES if newest and is_cut else 0
        text = os.pread(fd, MAX_NOTE_BYTES, start).decode(errors="replace")
    except OSError:
        return Note()
    finally:
        os.close(fd)
    return Note(text, is_cut)
