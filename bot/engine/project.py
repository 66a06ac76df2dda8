"""Shell: the program's own source tree, as the main group's agent may read it.

It is never the tree itself that is mounted. Beside the source lie things that are nobody's but
the machine's: `.git` with a remote's password, an `.env`, a private engine's folder, an
environment of a hundred megabytes; a home of mode 0700 above it shuts out the container's uid,
and a link in it leads wherever it likes. So a copy is made at every start: what is ours by name,
regular files of source and prose alone, readable by everybody, below the run folder of mode 0700.
"""

from __future__ import annotations

import os
import shutil
import stat
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from secrets import token_hex

from bot.engine import folders

TREE = Path(__file__).resolve().parents[2]
ROOMS = ("nips", "relay_local", "signer", "bot", "agent_image", "config")
PROSE = (
    "README.md", "ARCHITECTURE.md", "PROTOCOL.md", "CHANGELOG.md", "CONTRIBUTING.md", "LICENSE",
    "Makefile", "pyproject.toml", "packages.txt", "docs",
)  # fmt: skip
SUFFIXES = frozenset({".py", ".md", ".toml", ".txt", ".lock", ".in"})
BARE_NAMES = frozenset({"Dockerfile", "LICENSE", "Makefile"})
MAX_FILE_BYTES = 1 << 20
COPY = "project"

_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


def refresh(run: Path, tree: Path = TREE) -> Path:
    """Make the copy of `tree` below the private folder `run` anew; returns its path.

    Killed at any instant it leaves at most a part under another name, which the next start
    removes. Containers that still see the old copy keep it. Raises OSError, UnsafeFolder.
    """
    above = folders.private_folder(run)
    for left in above.glob(f"{COPY}.*"):
        shutil.rmtree(left, ignore_errors=True)
    made, old = above / f"{COPY}.{token_hex(4)}", above / f"{COPY}.{token_hex(4)}"
    made.mkdir()
    made.chmod(0o755)  # mkdir's mode passed through the umask
    for source, content in _sources(tree):
        target = made / source
        for folder in reversed(target.relative_to(made).parents[:-1]):
            (made / folder).mkdir(exist_ok=True)
            (made / folder).chmod(0o755)
        target.write_bytes(content)
        target.chmod(0o444)
    copy = above / COPY
    with suppress(FileNotFoundError):
        copy.rename(old)
    made.rename(copy)
    shutil.rmtree(old, ignore_errors=True)
    return copy


def _sources(tree: Path) -> Iterator[tuple[Path, bytes]]:
    """(path within the tree, content) of what is shown."""
    # Installed among other packages there is prose that is theirs.
    ours = (*ROOMS, *PROSE) if (tree / "pyproject.toml").is_file() else ROOMS
    for name in ours:
        top = tree / name
        if top.is_symlink():
            continue
        if top.is_file():
            yield from _content(tree, top)
        for folder, below, files in os.walk(top):  # follows no link to a folder
            below[:] = sorted(b for b in below if not b.startswith((".", "__")) and b != "results")
            for file in sorted(files):
                yield from _content(tree, Path(folder) / file)


def _content(tree: Path, path: Path) -> Iterator[tuple[Path, bytes]]:
    if path.name.startswith(".") or (path.suffix not in SUFFIXES and path.name not in BARE_NAMES):
        return
    try:
        descriptor = os.open(path, _READ)
    except OSError:
        return  # a link, or shut to us: nothing that we run
    with os.fdopen(descriptor, "rb") as file:
        status = os.fstat(file.fileno())
        if stat.S_ISREG(status.st_mode) and status.st_size <= MAX_FILE_BYTES:
            yield path.relative_to(tree), file.read(MAX_FILE_BYTES)
