"""Shell: which conversation the `claude` program goes on with: a file in its mounted folder.

The program keeps each conversation under an id; the group's newest stands in this file, with how
often it has gone on since, so that whoever has read it sees that there is more by now. The folder
is the agent's to write: nothing in it is believed, and no link in it is followed.
"""

from __future__ import annotations

import json
import os
import stat
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

FILE_NAME = "nostrclaw-thread.json"
MAX_FILE_BYTES = 1_000
# A link would have us read or write, and a named pipe wait, wherever another program here wants.
SAFELY = os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


@dataclass(frozen=True, slots=True)
class Thread:
    """A conversation's id, a UUID; the number of its turns; the message that the last of them
    answered: its time (unix seconds), up to which the group's messages stand in it, and its id."""

    id: str
    n_turns: int
    seen_until: int = 0
    answered: str = ""


def read(folder: Path) -> Thread | None:
    """The conversation to go on with; None where there is none that can be read."""
    try:
        fd = os.open(folder / FILE_NAME, os.O_RDONLY | SAFELY)
        try:
            if not stat.S_ISREG(os.fstat(fd).st_mode):
                return None
            value = json.loads(os.read(fd, MAX_FILE_BYTES))
        finally:
            os.close(fd)
        # Attack: an id such as `x --mcp-config …` becomes words of a command line.
        id_, answered = str(UUID(value["id"])), str(value["answered"])
        return Thread(id_, int(value["turns"]), int(value["seen_until"]), answered)
    except (OSError, ValueError, KeyError, TypeError, AttributeError, OverflowError):
        return None


def write(folder: Path, thread: Thread) -> None:
    """Remember a conversation. Raises OSError, and then the one before stands there."""
    new = folder / f".{FILE_NAME}.new"
    new.unlink(missing_ok=True)
    fd = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL | SAFELY, 0o600)
    try:
        value = {
            "id": thread.id,
            "turns": thread.n_turns,
            "seen_until": thread.seen_until,
            "answered": thread.answered,
        }
        os.write(fd, json.dumps(value).encode())
    finally:
        os.close(fd)
    new.replace(folder / FILE_NAME)
