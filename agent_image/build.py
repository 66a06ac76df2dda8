"""Shell: build the agent's image, unless the engine has it: `python -m agent_image.build`.

The image's tag is a hash of everything that goes into it, so a second call is one question to
the engine. The image holds Python, the locked dependencies, and of our own code what the agent
imports: nothing that could unlock, sign or route.
"""

from __future__ import annotations

import argparse
import fcntl
import io
import os
import sys
import tarfile
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from typing import BinaryIO

import docker
import docker.errors

from agent_image import wheels
from agent_image.base_image import PROJECT, ImageUnavailable, choose

__all__ = ["PROJECT", "ImageUnavailable", "context", "ensure", "own_sources", "tag"]

NAME = "nostrclaw-agent"
UID = 1000
OWN_SOURCES = (
    "nips",
    "relay_local/__init__.py",
    "relay_local/client.py",
    "relay_local/client",
    "agent_image/__init__.py",
    "agent_image/agent",
)
RECIPE = ("Dockerfile", "requirements.lock", "build.py", "base_image.py", "wheels.py")
# The program that a package brings along: too large to be copied twice on its way into a layer.
PROGRAM = "claude_agent_sdk/_bundled/claude"
PLACES = ("workspace/group", "workspace/ipc", "workspace/project", "run/nanoclaw", "home/agent")
# The same bytes on every machine: one date for every file, owned by root.
EPOCH_S = 1767225600  # 2026-01-01
_PASSWD = f"root:x:0:0:root:/root:/bin/sh\nagent:x:{UID}:{UID}:agent:/home/agent:/bin/sh\n"
_GROUP = f"root:x:0:\nagent:x:{UID}:\n"


def ensure(
    client: docker.DockerClient,
    *,
    announce: Callable[[str], None],
    base: str | None = None,
    suite: str = "bookworm",
    cache: Path = PROJECT / ".engine",
) -> str:
    """The tag of an image built from exactly these sources, which the engine now has.

    `base` names an image to start from; without it `python:3.12-slim` from a registry, or else
    Debian `suite` made here. `cache` keeps the base's archive and the fetched packages.
    Raises ImageUnavailable.
    """
    wanted = tag(base=base, suite=suite)
    if _has(client, wanted):
        return wanted
    cache.mkdir(mode=0o700, parents=True, exist_ok=True)
    with _one_at_a_time(cache):
        if _has(client, wanted):  # somebody else has built it meanwhile
            return wanted
        chosen = choose(client, announce=announce, base=base, suite=suite, cache=cache)
        site = wheels.install(wheels.ask(client, chosen), cache, announce)
        announce(f"building {wanted} on {chosen}")
        with tempfile.TemporaryFile() as packed:
            context(packed, site)
            packed.seek(0)
            _build(client, wanted, chosen, packed)
    return wanted


def tag(*, base: str | None = None, suite: str = "bookworm", project: Path = PROJECT) -> str:
    """`nostrclaw-agent:<hash of the inputs>`: recipe, lock, our sources, the base asked for."""
    digest = sha256((base or f"{suite} or its equal").encode())
    recipe = [project / "agent_image" / name for name in RECIPE]
    for path in [*recipe, *own_sources(project)]:
        content = path.read_bytes()
        digest.update(f"\0{path.relative_to(project)}\0{len(content)}\0".encode() + content)
    return f"{NAME}:{digest.hexdigest()[:16]}"


def own_sources(project: Path = PROJECT) -> list[Path]:
    """Our files that go into the image, sorted; a link could lead to a key, so none is taken."""
    found: set[Path] = set()
    for name in OWN_SOURCES:
        path = project / name
        found.update([path] if path.is_file() else path.rglob("*"))
    return sorted(
        p for p in found if p.is_file() and not p.is_symlink() and "__pycache__" not in p.parts
    )


def context(out: BinaryIO, site: Path, project: Path = PROJECT) -> None:
    """Write the build context, an uncompressed tar: Dockerfile, site/, program/, source/, places/,
    accounts."""
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as tar:
        _add(tar, "Dockerfile", (project / "agent_image/Dockerfile").read_bytes())
        _add(tar, "passwd", _PASSWD.encode())
        _add(tar, "group", _GROUP.encode())
        for path in sorted(p for p in site.rglob("*") if p.is_file()):
            name = path.relative_to(site).as_posix()
            if name == PROGRAM:
                _stream(tar, "program/opt/claude/claude", path)
            else:
                _add(tar, f"site/{name}", path.read_bytes(), path.stat().st_mode)
        for path in own_sources(project):
            _add(tar, f"source/{path.relative_to(project)}", path.read_bytes())
        for place in PLACES:
            folder = tarfile.TarInfo(f"places/{place}")
            folder.type, folder.mode, folder.mtime = tarfile.DIRTYPE, 0o755, EPOCH_S
            tar.addfile(folder)


def _add(tar: tarfile.TarFile, name: str, content: bytes, mode: int = 0) -> None:
    entry = tarfile.TarInfo(name)
    entry.size, entry.mtime = len(content), EPOCH_S
    entry.mode = 0o755 if mode & 0o100 else 0o644
    tar.addfile(entry, io.BytesIO(content))


def _stream(tar: tarfile.TarFile, name: str, path: Path) -> None:
    """A program that nobody wants to hold in memory."""
    entry = tarfile.TarInfo(name)
    entry.size, entry.mtime, entry.mode = path.stat().st_size, EPOCH_S, 0o755
    with path.open("rb") as file:
        tar.addfile(entry, file)


def _build(client: docker.DockerClient, wanted: str, base: str, packed: BinaryIO) -> None:
    said: list[str] = []
    steps = client.api.build(
        fileobj=packed,
        custom_context=True,
        tag=wanted,
        buildargs={"BASE": base},
        labels={"nostrclaw.inputs": wanted.partition(":")[2], "nostrclaw.base": base},
        network_mode="none",
        rm=True,
        forcerm=True,
        decode=True,
    )
    for step in steps:
        if "error" in step:
            words = "".join(said[-8:]).strip()
            raise ImageUnavailable(
                f"The agent's image could not be built: {step['error']}\n{words}\n"
                "Run `make clean` and try again; if a base image was named, try another one."
            )
        said.append(step.get("stream", ""))


def _has(client: docker.DockerClient, name: str) -> bool:
    try:
        client.images.get(name)
    except docker.errors.ImageNotFound:
        return False
    return True


@contextmanager
def _one_at_a_time(cache: Path) -> Iterator[None]:
    with (cache / "build.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m agent_image.build", description=__doc__)
    parser.add_argument("--engine", default=os.environ.get("DOCKER_HOST"), help="unix://SOCKET")
    parser.add_argument("--base", help="an image to start from")
    parser.add_argument("--suite", default="bookworm", help="Debian suite of a base made here")
    options = parser.parse_args()
    try:
        client = docker.DockerClient(base_url=options.engine, timeout=600)
        wanted = ensure(client, announce=_say, base=options.base, suite=options.suite)
    except docker.errors.DockerException as error:
        _say(f"The engine did not answer as it should ({error}). Start it, or name it: --engine.")
        return 1
    except ImageUnavailable as unavailable:
        _say(str(unavailable))
        return 1
    sys.stdout.write(wanted + "\n")
    return 0


def _say(text: str) -> None:
    sys.stderr.write(text + "\n")


if __name__ == "__main__":
    sys.exit(main())
