"""Shell: the image that the agent's image starts from.

`python:3.12-slim` where a registry answers; else a small Debian made by mmdebstrap, as root,
from the package sources that this machine itself uses.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import docker
import docker.errors
import requests

OFFICIAL = "python:3.12-slim"
REGISTRY_TIMEOUT_S = 15
PROJECT = Path(__file__).resolve().parent.parent
SUITE_NAME = re.compile(r"^[a-z]{3,20}$")
_KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
# Left out: what nobody reads in a container, and every trace of where packages came from.
_LEFT_OUT = ("/usr/share/doc/*", "/usr/share/man/*", "/usr/share/info/*", "/usr/share/locale/*")
_TRACES = (
    "etc/apt/sources.list*", "etc/apt/apt.conf.d/99mmdebstrap", "etc/resolv.conf", "etc/hostname",
    "var/lib/apt/lists/*", "var/cache/apt/*", "var/cache/ldconfig/*", "var/log/*", "tmp/*",
)  # fmt: skip


class ImageUnavailable(Exception):
    """The user's machine cannot make the agent's image: one sentence why, one with the remedy."""


@dataclass(frozen=True, slots=True)
class Source:
    """One archive of a suite, as apt's `sources.list` names it."""

    uri: str
    suite: str
    components: tuple[str, ...]


def choose(
    client: docker.DockerClient,
    *,
    announce: Callable[[str], None],
    base: str | None,
    suite: str,
    cache: Path,
) -> str:
    """The name of a base image that the engine now has. Raises ImageUnavailable."""
    if base is not None:
        if not _has(client, base) and not _pull(client, base, announce):
            raise ImageUnavailable(
                f"The engine has no image {base} and no registry gave it within "
                f"{REGISTRY_TIMEOUT_S} s. Load it (docker load), or leave --base out."
            )
        return base
    if _has(client, OFFICIAL) or _pull(client, OFFICIAL, announce):
        return OFFICIAL
    return _debian(client, announce=announce, suite=suite, cache=cache)


def _has(client: docker.DockerClient, name: str) -> bool:
    try:
        client.images.get(name)
    except docker.errors.ImageNotFound:
        return False
    return True


def _pull(client: docker.DockerClient, name: str, announce: Callable[[str], None]) -> bool:
    """Pull the image if its registry answers at all within the time limit."""
    usual_s, client.api.timeout = client.api.timeout, REGISTRY_TIMEOUT_S
    try:
        client.api.inspect_distribution(name)
    except (docker.errors.DockerException, requests.RequestException):
        return False
    finally:
        client.api.timeout = usual_s
    announce(f"pulling {name}")
    repository, _, tag = name.rpartition(":")
    try:
        client.images.pull(repository or name, tag=tag if repository else "latest")
    except (docker.errors.DockerException, requests.RequestException):
        return False
    return True


def _debian(
    client: docker.DockerClient, *, announce: Callable[[str], None], suite: str, cache: Path
) -> str:
    if not SUITE_NAME.match(suite):
        raise ImageUnavailable(f"{suite} is not the name of a Debian suite such as bookworm.")
    name = f"nostrclaw-base:{suite}"
    if _has(client, name):
        return name
    tarball = cache / f"base-{suite}.tar"
    if not tarball.exists():
        _bootstrap(suite, tarball, announce)
    announce(f"importing the base image {name}")
    client.api.import_image(str(tarball), repository="nostrclaw-base", tag=suite)
    return name


def _bootstrap(suite: str, tarball: Path, announce: Callable[[str], None]) -> None:
    found = list(sources(suite, Path("/")))
    if sys.platform != "linux" or os.geteuid() != 0 or not found or not _KEYRING.exists():
        raise ImageUnavailable(
            "No image registry answers, and a base image can be made here only by root on a "
            f"Debian machine. Give the engine the image {OFFICIAL} (docker pull, or docker load "
            "of a saved one), then run this again."
        )
    if shutil.which("mmdebstrap") is None:
        _install_mmdebstrap(announce)
    announce(f"making a base image of Debian {suite} (about a minute, once)")
    partial = tarball.with_suffix(".partial")
    argv = [
        "mmdebstrap",
        "--variant=minbase",
        "--include=python3,ca-certificates",
        "--mode=root",
        "--format=tar",
        "--quiet",
        *(f"--dpkgopt=path-exclude={pattern}" for pattern in _LEFT_OUT),
        *(f"--aptopt={option}" for option in _apt_options()),
        *(f'--customize-hook=rm -rf "$1"/{pattern}' for pattern in _TRACES),
        # Lists and logs were just removed by us, in a known order.
        "--skip=cleanup/apt/lists",
        suite,
        str(partial),
        "-",
    ]
    text = "".join(
        f"deb [signed-by={_KEYRING}] {s.uri} {s.suite} {' '.join(s.components)}\n" for s in found
    )
    done = subprocess.run(argv, input=text, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        partial.unlink(missing_ok=True)
        words = "\n".join(done.stderr.strip().splitlines()[-6:])
        raise ImageUnavailable(
            f"mmdebstrap could not make a base image of Debian {suite}:\n{words}\n"
            "Check that `apt-get update` works here and that the suite exists."
        )
    partial.replace(tarball)


def _install_mmdebstrap(announce: Callable[[str], None]) -> None:
    # A process of its own: rooms do not import each other.
    argv = [sys.executable, "-m", "bot.operate.debian", "it makes the base image", "mmdebstrap"]
    announce("installing mmdebstrap (Debian): it makes the base image")
    done = subprocess.run(argv, cwd=PROJECT, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise ImageUnavailable(done.stderr.strip())


def sources(suite: str, machine: Path) -> Iterator[Source]:
    """This machine's own Debian archives, asked for another suite where it needs one.

    Yields the suite itself and, where the machine has them, its updates and security archives.
    """
    release = machine / "etc/os-release"
    own = re.search(r"^VERSION_CODENAME=(\w+)$", release.read_text("utf-8"), re.MULTILINE)
    if own is None:
        return
    seen = set()
    for source in _own_sources(machine / "etc/apt"):
        base, dash, ending = source.suite.partition("-")
        wanted = Source(source.uri, f"{suite}{dash}{ending}", ("main",))
        is_archive = base == own[1] and ending in ("", "updates", "security")
        if is_archive and "main" in source.components and wanted not in seen:
            seen.add(wanted)
            yield wanted


def _own_sources(apt: Path) -> Iterator[Source]:
    for file in [apt / "sources.list", *sorted((apt / "sources.list.d").glob("*"))]:
        if not file.is_file():
            continue
        text = file.read_text("utf-8", "replace")
        if file.suffix == ".sources":
            yield from _deb822(text)
        elif file.suffix == ".list":
            yield from _one_line(text)


def _deb822(text: str) -> Iterator[Source]:
    for stanza in re.split(r"\n\s*\n", text):
        lines = [line for line in stanza.splitlines() if not line.startswith("#")]
        fields = {
            key.strip().lower(): value.split()
            for key, colon, value in (line.partition(":") for line in lines)
            if colon
        }
        if "deb" in fields.get("types", []) and fields.get("enabled") != ["no"]:
            for uri in fields.get("uris", []):
                for suite in fields.get("suites", []):
                    yield Source(uri.rstrip("/"), suite, tuple(fields.get("components", [])))


def _one_line(text: str) -> Iterator[Source]:
    for line in text.splitlines():
        found = re.match(r"^deb\s+(?:\[[^\]]*\]\s*)?(\S+)\s+(\S+)\s+([^#]+)", line)
        if found:
            yield Source(found[1].rstrip("/"), found[2], tuple(found[3].split()))


def _apt_options() -> Iterator[str]:
    """How this machine's apt reaches its archives: a proxy, a certificate, a clock's leniency."""
    with contextlib.suppress(OSError):
        dump = subprocess.run(
            ["apt-config", "dump"],  # noqa: S607 - where apt lies is the machine's business
            capture_output=True,
            text=True,
            check=False,
        ).stdout
        for line in dump.splitlines():
            if re.match(r"^Acquire::(https?::[\w:.-]+|Check-\S+|Retries) \"[^\"]+\";$", line):
                yield line.removesuffix(";")
