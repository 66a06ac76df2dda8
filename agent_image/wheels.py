"""Shell: the agent's dependencies, installed on the host for the image's Python and machine.

The container and its build have no network, so the host's own pip fetches the wheels, with the
settings this machine has for it, and every file is checked against the lock's hash.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

import docker

from agent_image.base_image import ImageUnavailable

LOCK = Path(__file__).resolve().parent / "requirements.lock"
_ASK = (
    "import json, platform, sys;"
    "print(json.dumps([*sys.version_info[:2], platform.machine(), platform.libc_ver()[1]]))"
)
_OLD_NAMES = {"x86_64": ("2014", "2010", "1"), "aarch64": ("2014",)}
_OLDEST_GLIBC_MINOR = 5


@dataclass(frozen=True, slots=True)
class Target:
    """What the base image runs: Python's version, the machine, glibc's minor version (2.x)."""

    python: tuple[int, int]
    machine: str
    glibc_minor: int

    def platforms(self) -> tuple[str, ...]:
        """The wheel platform tags that run there, newest first (PEP 600)."""
        new = (
            f"manylinux_2_{minor}_{self.machine}"
            for minor in range(self.glibc_minor, _OLDEST_GLIBC_MINOR - 1, -1)
        )
        old = (f"manylinux{year}_{self.machine}" for year in _OLD_NAMES.get(self.machine, ()))
        return (*new, *old, f"linux_{self.machine}")


def ask(client: docker.DockerClient, base: str) -> Target:
    """Ask the base image's own Python. Raises ImageUnavailable where it has none that fits."""
    try:
        said = client.containers.run(
            base,
            ["python3", "-c", _ASK],
            entrypoint="",
            network_mode="none",
            cap_drop=["ALL"],
            remove=True,
        )
        major, minor, machine, glibc = json.loads(said)
        target = Target((major, minor), machine, int(glibc.split(".")[1]))
    except (docker.errors.DockerException, ValueError, IndexError) as error:
        raise ImageUnavailable(
            f"The base image {base} has no Python with glibc that answers ({error}). "
            "Use one based on Debian, such as python:3.12-slim."
        ) from error
    if target.python < (3, 11):
        raise ImageUnavailable(
            f"The base image {base} has Python {major}.{minor}; the agent needs 3.11 or newer."
        )
    return target


def install(target: Target, cache: Path, announce: Callable[[str], None]) -> Path:
    """A folder with the locked packages for `target`, kept in `cache` from one build to the next.

    Raises ImageUnavailable with pip's own last words.
    """
    name = json.dumps([target.python, target.machine, target.glibc_minor])
    digest = sha256(LOCK.read_bytes() + name.encode()).hexdigest()[:16]
    folder = cache / f"site-{digest}"
    if folder.is_dir():
        return folder
    announce("fetching the agent's dependencies")
    partial = cache / f"site-{digest}.partial"
    shutil.rmtree(partial, ignore_errors=True)
    argv = [
        *(sys.executable, "-m", "pip", "install", "--quiet", "--no-input"),
        *("--require-hashes", "--no-deps", "--only-binary=:all:", "--no-user", "--no-compile"),
        *("--target", str(partial), "--implementation", "cp"),
        *("--python-version", f"{target.python[0]}.{target.python[1]}"),
        *(word for platform in target.platforms() for word in ("--platform", platform)),
        *("-r", str(LOCK)),
    ]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        shutil.rmtree(partial, ignore_errors=True)
        words = "\n".join((done.stdout + done.stderr).strip().splitlines()[-6:])
        raise ImageUnavailable(
            f"pip could not fetch the agent's dependencies:\n{words}\n"
            "Check this machine's pip settings, then run this again."
        )
    # Commands in bin/ begin with the path of the host's Python, and RECORD lists their hashes.
    shutil.rmtree(partial / "bin", ignore_errors=True)
    for record in partial.glob("*.dist-info/RECORD"):
        record.unlink()
    partial.rename(folder)
    return folder
