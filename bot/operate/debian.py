"""Shell: install Debian packages as root, from the machine's own package sources.

Standard library only, and old syntax: `bootstrap` runs it before there is an environment.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence

FORBID = "NOSTRCLAW_NO_INSTALL"
LOCK_TIMEOUT_S = 300
_LISTS_LOCK = "/var/lib/apt/lists/lock"

# apt waits for dpkg's lock by itself, but not for that of its package lists; so wait here,
# in a process of its own because a blocking lock cannot be given a time limit otherwise.
_WAIT_FOR_LOCK = "import fcntl,sys; fcntl.lockf(open(sys.argv[1],'r+'), fcntl.LOCK_EX)"


class InstallFailed(Exception):
    """The user's machine: a package could not be installed; says why and what to type."""


def may_install(environ: Mapping[str, str]) -> bool:
    """Root, apt-get at hand, and not forbidden by NOSTRCLAW_NO_INSTALL=1."""
    return (
        environ.get(FORBID, "") in ("", "0")
        and os.geteuid() == 0
        and shutil.which("apt-get") is not None
    )


def command(packages: Sequence[str]) -> str:
    """What a person types to install the packages by hand."""
    return "sudo apt-get update && sudo apt-get install " + " ".join(packages)


def install(packages: Sequence[str], *, why: str, announce: Callable[[str], None]) -> None:
    """Install the packages, said aloud first; the callers have asked `may_install`.

    Raises InstallFailed with the last lines of apt's own words.
    """
    announce("installing {} (Debian): {}".format(", ".join(packages), why))
    environment = dict(os.environ, DEBIAN_FRONTEND="noninteractive", LC_ALL="C.UTF-8")
    apt = ["apt-get", "-q", "-y", "-o", f"DPkg::Lock::Timeout={LOCK_TIMEOUT_S}"]
    _wait_for_lists()
    # A failed update is no verdict: an unrelated source may be down, so the install decides.
    _run([*apt, "update"], environment)
    done = _run([*apt, "install", "--no-install-recommends", *packages], environment)
    if done.returncode != 0:
        words = "\n".join(done.stdout.strip().splitlines()[-8:])
        raise InstallFailed(
            "apt-get could not install {}:\n{}\nInstall by hand, then run this again: {}".format(
                ", ".join(packages), words, command(packages)
            )
        )


def _wait_for_lists() -> None:
    try:
        subprocess.run(
            [sys.executable, "-c", _WAIT_FOR_LOCK, _LISTS_LOCK],
            timeout=LOCK_TIMEOUT_S,
            stderr=subprocess.DEVNULL,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return  # apt says itself who holds it


def _run(argv: Sequence[str], environment: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        list(argv),
        env=dict(environment),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )


def main(arguments: Sequence[str]) -> int:
    """`python -m bot.operate.debian WHY PACKAGE…`: for a room that may not import this one."""
    why, *packages = arguments
    if not may_install(os.environ):
        sys.stderr.write(f"Not allowed to install here. Do it by hand: {command(packages)}\n")
        return 1
    try:
        install(packages, why=why, announce=lambda _: None)
    except InstallFailed as failed:
        sys.stderr.write(f"{failed}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
