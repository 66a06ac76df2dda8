"""Shell: the Signal service in a container of the machine's own engine, reached from this machine
alone. It runs beside the assistant, not as a part of it: `docs/decisions/0028`.

The private engine that agents run in is of no use here: it has no network, and is meant not to.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import docker
import docker.errors
import requests

from bot.engine.host import Engine, connect

REPOSITORY, TAG = "bbernhard/signal-cli-rest-api", "0.100"
IMAGE = f"{REPOSITORY}:{TAG}"
MODE = "native"
INNER_PORT = 8080
KEPT_AT = "/home/.local/share/signal-cli"  # in the container: keys, contacts, attachments
USER = 1000  # in the container, unless it is told another
LABEL = "nostrclaw.signal"
BY_HAND = "docker compose --profile signal up -d"
_ENGINE_ERRORS = (docker.errors.DockerException, requests.RequestException, OSError)
_TAKEN = ("port is already allocated", "address already in use")


class NotStarted(Exception):
    """The service does not run; the message says why and what to do."""


def port_of(url: str) -> int:
    """The port of this machine at which a container can answer for `url`.

    Raises NotStarted where it is another's address, or one that encrypts.
    """
    given = urlsplit(url)
    if given.scheme != "http" or given.hostname not in ("127.0.0.1", "localhost") or given.path:
        raise NotStarted(
            f"Nothing answers at {url}, and what runs there is not started from here. Start it "
            "there, or give another address with --url."
        )
    return given.port or 80


def name_of(folder: Path) -> str:
    """What the container of an installation is called; folder: where it keeps its data."""
    return f"nostrclaw-signal-{sha256(os.fsencode(folder)).hexdigest()[:8]}"


def start(engine: Engine, folder: Path, port: int, announce: Callable[[str], None]) -> str:
    """Start the service, made first where there is none; returns its container's name.

    folder: made, mode 0700, where it keeps the account's keys. It is started again with the engine,
    until somebody stops it. Raises NotStarted.
    """
    client = connect(engine)
    try:
        return _start(client, engine, folder, port, announce)
    except _ENGINE_ERRORS as error:
        raise NotStarted(_why(error, port)) from error
    finally:
        client.close()


def arguments(engine: Engine, folder: Path, port: int) -> dict[str, Any]:
    """How the container is made."""
    environment = {"MODE": MODE}
    if (uid := os.geteuid()) and not (engine.rootless or engine.remapped):
        # It gives its data to a user of its own: to us, or nobody could keep a copy of them.
        environment |= {"SIGNAL_CLI_UID": str(uid), "SIGNAL_CLI_GID": str(os.getegid())}
    return {
        "image": IMAGE,
        "name": name_of(folder),
        "environment": environment,
        # Attack: whoever reaches the port speaks as the account. On loopback that is this machine.
        # On Docker's usual network every other container would reach it too.
        "network": name_of(folder),
        "ports": {f"{INNER_PORT}/tcp": ("127.0.0.1", port)},
        "volumes": {str(folder): {"bind": KEPT_AT, "mode": "rw"}},
        "restart_policy": {"Name": "unless-stopped"},
        "security_opt": ["no-new-privileges"],
        "log_config": docker.types.LogConfig(
            type="json-file", config={"max-size": "5m", "max-file": "2"}
        ),
        "labels": {LABEL: str(folder)},
    }


def _start(
    client: docker.DockerClient,
    engine: Engine,
    folder: Path,
    port: int,
    announce: Callable[[str], None],
) -> str:
    if not has_network(client):
        raise NotStarted(
            "The Docker engine here has no network, which Signal needs. Start the service with an "
            f"engine that has one, in the folder of this program: {BY_HAND}"
        )
    name = name_of(folder)
    try:
        found = client.containers.get(name)
    except docker.errors.NotFound:
        pass
    else:
        _is_as_meant(found, port)
        found.start()  # running already, it is left alone
        return name
    _fetch(client, announce)
    make_private(folder)
    if not client.networks.list(names=[f"^{name}$"]):
        client.networks.create(name, driver="bridge", labels={LABEL: str(folder)})
    made = client.containers.create(**arguments(engine, folder, port))
    try:
        made.start()
    except docker.errors.APIError:
        made.remove(force=True)  # with another port, say, it is made anew
        raise
    return name


def make_private(folder: Path) -> None:
    """Make the folder, or take it from others' eyes. In a rootless engine the service has given it
    to a user of its own, and then it is theirs to change."""
    folder.mkdir(mode=0o700, exist_ok=True)
    if os.geteuid() in (0, folder.stat().st_uid):
        folder.chmod(0o700)


def has_network(client: docker.DockerClient) -> bool:
    """Say whether the engine's containers reach anything; the private one's do not."""
    return bool(client.networks.list(names=["^bridge$"]))


def _is_as_meant(found: Any, port: int) -> None:
    """Raises NotStarted where the container there was made for another port."""
    given = (found.attrs.get("HostConfig") or {}).get("PortBindings") or {}
    ports = [each.get("HostPort") for each in given.get(f"{INNER_PORT}/tcp") or ()]
    if str(port) not in ports:
        raise NotStarted(
            f"The Signal service here, the container {found.name}, was made for port "
            f"{', '.join(map(str, ports)) or 'none'}. Use that with --url, or take it away (its "
            f"data stay): docker rm --force {found.name}"
        )


def _fetch(client: docker.DockerClient, announce: Callable[[str], None]) -> None:
    try:
        client.images.get(IMAGE)
    except docker.errors.ImageNotFound:
        announce(f"fetching {IMAGE}, some hundred megabytes")
    else:
        return
    try:
        for line in client.api.pull(REPOSITORY, tag=TAG, stream=True, decode=True):
            if why := line.get("error"):
                raise NotStarted(_not_fetched(str(why)))
        client.images.get(IMAGE)
    except _ENGINE_ERRORS as error:
        raise NotStarted(_not_fetched(_reason(error))) from error


def _not_fetched(why: str) -> str:
    return (
        f"The image {IMAGE} could not be fetched: {why}. Look whether the engine reaches Docker "
        f"Hub, then run this again; or bring the image here yourself: docker pull {IMAGE}"
    )


def _why(error: Exception, port: int) -> str:
    reason = _reason(error)
    if any(words in reason for words in _TAKEN):
        return (
            f"Port {port} of this machine is taken by another program. Choose another: "
            f"--url http://127.0.0.1:{port + 1}"
        )
    return f"The Docker engine did not start the Signal service: {reason}"


def _reason(error: Exception) -> str:
    told = getattr(error, "explanation", None) or str(error) or type(error).__name__
    return " ".join(str(told).split())[:300].rstrip(".")
