"""Shell: the secrets by which tasks are called: a file each, in DATA/hooks, for its owner's eyes.

    DATA/hooks/<task>   64 hex digits, mode 0600, in a folder of mode 0700

One is made when somebody on this machine asks for it, and shown then; it is in no event, no answer
to an agent, no log. Without one nobody can call the task.
"""

from __future__ import annotations

import os
from collections.abc import Collection
from contextlib import suppress
from pathlib import Path
from secrets import token_bytes

from nips.own.fields import GROUP_ID
from nips.own.hook import SECRET_BYTES

FOLDER = "hooks"
_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_MAKE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


class HookSecrets:
    """data: the data folder. Tasks are named by their ids, UUIDs."""

    def __init__(self, data: Path) -> None:
        self._folder = data / FOLDER

    def make(self, task: str) -> bytes:
        """A new secret of a task; one that it had does not count any more. Raises OSError,
        ValueError for what is no task's id."""
        path = self._path(task)
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        secret = token_bytes(SECRET_BYTES)
        part = path.with_name(f".{path.name}.{os.getpid()}")
        part.unlink(missing_ok=True)
        with os.fdopen(os.open(part, _MAKE, 0o600), "w") as file:
            file.write(secret.hex() + "\n")
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
        return secret

    def of(self, task: str) -> bytes | None:
        """The secret of a task; None where it has none, or none that can be read."""
        with suppress(OSError, ValueError):
            with os.fdopen(os.open(self._path(task), _READ), "rb") as file:
                secret = bytes.fromhex(file.read(2 * SECRET_BYTES + 2).decode("ascii").strip())
            return secret if len(secret) == SECRET_BYTES else None
        return None

    def keep_only(self, tasks: Collection[str]) -> None:
        """Remove those of tasks that there are no more."""
        with suppress(OSError):
            for path in self._folder.iterdir():
                if path.name not in tasks:
                    path.unlink(missing_ok=True)

    def _path(self, task: str) -> Path:
        # Attack: a task called ../keys/router.
        if not GROUP_ID.fullmatch(task):
            raise ValueError("not the id of a task")
        return self._folder / task
