"""The same conversation in a copy of the project: as another user, and below a long path."""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from bot.engine.host import Engine
from bot.operate.assembly import SOURCE_TREE

OTHER_UID = 1234  # neither root nor the container's 1000
CONVERSATION = (
    "tests/e2e/test_conversation.py",
    "tests/e2e/test_users.py::test_the_signer_is_a_user_of_its_own",
)


def copy_of_the_project(target: Path) -> Path:
    """What git would check out, and nothing that was made here."""
    listed = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard"],
        cwd=SOURCE_TREE, capture_output=True, text=True, check=True,
    ).stdout.splitlines()  # fmt: skip
    for name in listed:
        if (SOURCE_TREE / name).is_file():
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(SOURCE_TREE / name, target / name)
    return target


def run(argv: list[str], folder: Path, environ: dict[str, str]) -> str:
    """Run to the end and return what it said. Raises AssertionError with it when it failed."""
    done = subprocess.run(
        argv, cwd=folder, env=environ, capture_output=True, text=True, check=False, timeout=280
    )
    said = done.stdout + done.stderr
    assert done.returncode == 0, said[-4000:]
    return said


def test_from_a_path_of_150_characters(engine: Engine, agent_image: str, tmp_path: Path) -> None:
    folder = tmp_path / ("x" * max(1, 150 - len(str(tmp_path)) - 1))
    assert len(str(folder)) >= 150
    copy_of_the_project(folder)
    # Closed to others, as a home often is: also to the user that the signer becomes.
    assert any(stat.S_IMODE(above.stat().st_mode) == 0o700 for above in folder.parents)
    environ = os.environ | {"DOCKER_HOST": engine.url}
    said = run([sys.executable, "-m", "pytest", "-q", *CONVERSATION], folder, environ)
    assert "2 passed" in said


@pytest.mark.timeout(600)
def test_as_an_unprivileged_user(engine: Engine, agent_image: str) -> None:
    if os.geteuid() != 0:
        # Then every other test of this folder is this one.
        assert os.geteuid() != 1000
        return
    home = Path(f"/var/tmp/nostrclaw-{OTHER_UID}-{os.getpid()}")
    try:
        folder = copy_of_the_project(home / "project")
        for path in (home, *home.rglob("*")):
            os.chown(path, OTHER_UID, OTHER_UID, follow_symlinks=False)
        home.chmod(0o700)
        socket = Path(engine.url.removeprefix("unix://"))
        environ = {
            "PATH": "/usr/local/bin:/usr/bin:/bin",
            "HOME": str(home),
            "DOCKER_HOST": engine.url,
            **{name: value for name, value in os.environ.items() if name.startswith("PIP_")},
        }
        as_other = ["setpriv", f"--reuid={OTHER_UID}", f"--regid={OTHER_UID}", "--clear-groups"]
        with open_to(socket):
            run([*as_other, "make", "install"], folder, environ)
            python = str(folder / ".venv/bin/python")
            said = run([*as_other, python, "-m", "pytest", "-q", *CONVERSATION], folder, environ)
        assert "2 passed" in said
    finally:
        shutil.rmtree(home, ignore_errors=True)


class open_to:  # noqa: N801 - reads as a word in a `with`
    """The engine's socket and its folders, usable by everybody for the length of a block, as a
    member of its group could use them."""

    def __init__(self, socket: Path) -> None:
        closed = [p for p in socket.parents if not p.stat().st_mode & 0o001]
        self._modes = {path: path.stat().st_mode for path in (socket, *closed)}
        self._socket = socket

    def __enter__(self) -> None:
        for path, mode in self._modes.items():
            path.chmod(mode | (0o006 if path == self._socket else 0o001))

    def __exit__(self, *_: object) -> None:
        for path, mode in self._modes.items():
            path.chmod(mode)
