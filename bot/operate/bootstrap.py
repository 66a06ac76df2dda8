"""Shell: make `.venv` from the lock: `python3 -m bot.operate.bootstrap`, from the project's root.

Standard library and old syntax only (Python 3.8): it runs before there is an environment, with
whatever python3 the machine has, and picks the Python for the environment itself. A stamp,
written last, says what the environment was made of; absent or different means: make it again.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from bot.operate import debian

NAMES = ("python3.13", "python3.12", "python3.11", "python3")
OLDEST = (3, 11)
TRY_TIMEOUT_S = 20
_SHOW = "import sys; print(*sys.version_info[:3], sys.executable, sep='\\n')"


class Python(NamedTuple):
    """An interpreter that was seen running: its version and its real path."""

    version: tuple[int, int, int]
    path: str


class Failed(Exception):
    """The user's machine: why there is no environment, and what to type."""


def bootstrap(project: Path, environ: Mapping[str, str]) -> str:
    """Bring `project/.venv` up to date and say in one line what was done. Raises Failed."""
    venv = project / ".venv"
    wanted = stamp_of(project)
    with _one_at_a_time(project):
        step = next_step(read_stamp(venv), wanted)
        if step == "nothing" and (venv / "bin/nostrclaw").exists() and _runs(venv):
            return ""
        began_s = time.monotonic()
        log = project / ".venv-install.log"
        with log.open("w") as output:
            if step != "project" or not _runs(venv):
                _make(project, venv, environ, output.fileno(), log)
            _say("installing nostrclaw itself")
            own = ["--no-deps", "--no-build-isolation", "--no-index", "--editable", "."]
            _pip(project, venv, own, output.fileno(), log)
        _write_stamp(venv, wanted)
        return f"ready in {time.monotonic() - began_s:.0f} s: .venv/bin/nostrclaw"


def stamp_of(project: Path) -> dict[str, str]:
    """What an environment for this project is made of. A moved environment does not work, as its
    commands begin with its old path: so the path belongs to it."""
    return {
        "lock": hashlib.sha256((project / "requirements.lock").read_bytes()).hexdigest(),
        "project": hashlib.sha256((project / "pyproject.toml").read_bytes()).hexdigest(),
        "place": str(project / ".venv"),
    }


def next_step(found: Mapping[str, str], wanted: Mapping[str, str]) -> str:
    """`nothing`, `project` (only our own metadata changed) or `everything`."""
    if found == wanted:
        return "nothing"
    only_ours = {**found, "project": ""} == {**wanted, "project": ""}
    return "project" if only_ours else "everything"


def read_stamp(venv: Path) -> dict[str, str]:
    """The stamp, empty where there is none: then the environment was never finished."""
    try:
        text = (venv / ".nostrclaw-stamp").read_text("utf-8")
    except (OSError, UnicodeDecodeError):
        return {}
    return {key: value for key, _, value in (line.partition("=") for line in text.splitlines())}


def choose(path: str) -> Python | None:
    """The first suitable interpreter on PATH that really runs: version managers leave names
    there that only print an error, so every one is tried, in every folder."""
    for name in NAMES:
        for folder in path.split(os.pathsep):
            candidate = str(Path(folder or ".") / name)
            found = _try(candidate) if os.access(candidate, os.X_OK) else None
            if found is not None and found.version >= OLDEST:
                return found
    return None


def _try(candidate: str) -> Python | None:
    try:
        said = subprocess.run(
            [candidate, "-I", "-c", _SHOW],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            timeout=TRY_TIMEOUT_S,
            check=True,
        ).stdout
        major, minor, patch, path = said.splitlines()
        return Python((int(major), int(minor), int(patch)), path)
    except (OSError, ValueError, subprocess.SubprocessError):
        return None


def _make(project: Path, venv: Path, environ: Mapping[str, str], output: int, log: Path) -> None:
    python = choose(environ.get("PATH", os.defpath))
    if python is None:
        raise Failed(
            "nostrclaw needs Python 3.11 or newer and none of {} on this PATH runs. "
            "Install one (Debian: sudo apt-get install python3 python3-venv; macOS: "
            "brew install python@3.13), then run `make install` again.".format(", ".join(NAMES))
        )
    _need_venv(python, environ)
    if venv.is_symlink():
        venv.unlink()
    elif venv.exists():
        shutil.rmtree(str(venv))
    _say("making .venv with Python {}.{}.{}".format(*python.version))
    if _run([python.path, "-m", "venv", str(venv)], project, output) != 0:
        raise Failed(_tail(log, f"Python could not make an environment in {venv}."))
    _say("installing the locked packages (about half a minute)")
    # Wheels only: building a source package would fetch build tools that no hash covers.
    locked = ["--require-hashes", "--only-binary=:all:", "-r", "requirements.lock"]
    _pip(project, venv, locked, output, log)


def _need_venv(python: Python, environ: Mapping[str, str]) -> None:
    """Debian keeps venv and ensurepip in packages of their own."""
    if _has_venv(python):
        return
    package = "python{}.{}-venv".format(*python.version[:2])
    if debian.may_install(environ) and python.path.startswith("/usr/bin/"):
        try:
            debian.install([package], why="it makes the environment in .venv", announce=_say)
        except debian.InstallFailed as failed:
            raise Failed(str(failed))  # noqa: B904 - its words are all there is to say
    if not _has_venv(python):
        raise Failed(
            f"Python's venv module is missing for {python.path}. Install it, then run "
            f"`make install` again: {debian.command([package])}"
        )


def _has_venv(python: Python) -> bool:
    argv = [python.path, "-I", "-c", "import ensurepip, venv"]
    return subprocess.call(argv, stderr=subprocess.DEVNULL) == 0


def _pip(project: Path, venv: Path, what: list[str], output: int, log: Path) -> None:
    python = str(venv / "bin/python")
    argv = [python, "-m", "pip", "install", "--no-input", "--no-user", *what]
    if _run(argv, project, output) != 0:
        raise Failed(_tail(log, f"pip could not install {what[-1]}."))


def _run(argv: list[str], project: Path, output: int) -> int:
    return subprocess.call(
        argv,
        cwd=str(project),
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=output,
        env=dict(os.environ, PIP_DISABLE_PIP_VERSION_CHECK="1"),
    )


def _runs(venv: Path) -> bool:
    """Does its Python still start? An upgrade of the system's Python can take it away."""
    return _try(str(venv / "bin/python")) is not None


def _write_stamp(venv: Path, stamp: Mapping[str, str]) -> None:
    text = "".join(f"{key}={value}\n" for key, value in stamp.items())
    partial = venv / ".nostrclaw-stamp.partial"
    partial.write_text(text, "utf-8")
    partial.rename(venv / ".nostrclaw-stamp")


@contextlib.contextmanager
def _one_at_a_time(project: Path) -> Iterator[None]:
    with (project / ".venv-install.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _tail(log: Path, what: str) -> str:
    lines = log.read_text("utf-8", "replace").strip().splitlines()[-12:]
    return "{} Its last words (all of them are in {}):\n  {}".format(
        what, log.name, "\n  ".join(lines)
    )


def _say(text: str) -> None:
    sys.stderr.write(f"  {text}\n")
    sys.stderr.flush()


def main() -> int:
    """Exit status 0 when the environment is ready, 1 with a reason, 130 when interrupted."""
    try:
        done = bootstrap(Path.cwd(), os.environ)
    except Failed as failed:
        sys.stderr.write(f"{failed}\n")
        return 1
    except KeyboardInterrupt:
        sys.stderr.write("Interrupted; `make install` starts again where it matters.\n")
        return 130
    if done:
        _say(done)
    return 0


if __name__ == "__main__":
    sys.exit(main())
