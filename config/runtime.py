"""Shell: the short folder that holds the sockets of one installation.

A Unix socket's path holds at most 107 bytes, a data folder's may be longer. So the sockets stand
in a folder of mode 0700 whose name is derived from the data folder's.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path


class RuntimeFolderError(Exception):
    """The folder for the sockets cannot be used; the message says why and what to do."""


def runtime_dir(data: Path, environ: Mapping[str, str] = os.environ) -> Path:
    """Make, where it is not there, and return the runtime folder of the data folder `data`.

    Raises RuntimeFolderError when somebody else owns it: in /tmp anybody may have made it
    first, to read what passes through our sockets.
    """
    uid = os.getuid()
    name = f"nostrclaw-{uid}-{sha256(str(data.resolve()).encode()).hexdigest()[:10]}"
    parent = Path(environ.get("XDG_RUNTIME_DIR") or ("/run" if uid == 0 else "/tmp"))  # noqa: S108
    if not _is_safe(parent, uid) or len(os.fsencode(parent)) > 40:
        parent = Path("/tmp")  # noqa: S108 - owner and mode are checked below
    path = parent / name
    path.mkdir(mode=0o700, exist_ok=True)
    found = path.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != uid:
        raise RuntimeFolderError(
            f"{path} belongs to somebody else. Remove it, or set XDG_RUNTIME_DIR to a folder "
            "of your own."
        )
    path.chmod(0o700)
    return path


def _is_safe(parent: Path, uid: int) -> bool:
    """Say whether we may write there, and nobody else can put another folder in ours' place."""
    if not os.access(parent, os.W_OK):
        return False
    # Attack: root, by `su`, with another user's XDG_RUNTIME_DIR.
    found = parent.stat()
    is_shared = bool(found.st_mode & 0o022) and not found.st_mode & stat.S_ISVTX
    return found.st_uid in (0, uid) and not is_shared
