"""bot/operate/signal_service.py with a real engine. In place of the service's image is one of our
own, which answers; the tests' engine has no network, so that it has one is pretended."""

from __future__ import annotations

import io
import json
import socket
from collections.abc import Iterator
from pathlib import Path
from urllib.request import urlopen

import docker
import docker.errors
import pytest

from bot.engine.host import Engine
from bot.operate import signal_service
from bot.operate.house import free_ports
from bot.operate.signal_service import KEPT_AT, NotStarted, name_of, start

OURS = "nostrclaw-signal-stub:test"
ANSWERING = f"""
import http.server, json, os, pathlib
pathlib.Path({KEPT_AT!r}, "kept").write_text("mine")
class Answer(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        body = json.dumps({{"mode": os.environ["MODE"], "path": self.path}}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    def log_message(self, *_):
        pass
server = http.server.HTTPServer(("0.0.0.0", 8080), Answer)
print("ready", flush=True)
server.serve_forever()
"""


@pytest.fixture(scope="module")
def service_image(docker_client: docker.DockerClient, agent_image: str) -> Iterator[str]:
    file = f"FROM {agent_image}\nUSER 0\nENTRYPOINT {json.dumps(['python3', '-c', ANSWERING])}\n"
    docker_client.images.build(fileobj=io.BytesIO(file.encode()), tag=OURS, rm=True)
    yield OURS
    docker_client.images.remove(OURS, force=True)


@pytest.fixture
def folder(
    docker_client: docker.DockerClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Path]:
    """Where the service keeps its data; container and network are taken away in the end."""
    monkeypatch.setattr(signal_service, "has_network", lambda _: True)
    monkeypatch.setattr(signal_service, "IMAGE", OURS)
    made = tmp_path / "signal"
    yield made
    for container in docker_client.containers.list(all=True, filters={"name": name_of(made)}):
        container.remove(force=True)
    for network in docker_client.networks.list(names=[name_of(made)]):
        network.remove()


def about(client: docker.DockerClient, name: str, port: int, starts: int) -> object:
    """What is answered, once it has been ready so many times."""
    lines = client.containers.get(name).logs(stream=True, follow=True)
    for _ in range(starts):
        assert next(lines) == b"ready\n"
    with urlopen(f"http://127.0.0.1:{port}/v1/about", timeout=10) as answer:
        return json.load(answer)


def test_it_answers_on_this_machine_alone_and_stays(
    engine: Engine, docker_client: docker.DockerClient, service_image: str, folder: Path
) -> None:
    port, said = free_ports(1)[0], list[str]()
    name = start(engine, folder, port, said.append)
    answer = {"mode": "native", "path": "/v1/about"}
    assert about(docker_client, name, port, 1) == answer
    assert said == []  # the image was there
    assert folder.stat().st_mode & 0o777 == 0o700
    assert (folder / "kept").read_text() == "mine"
    made = docker_client.containers.get(name)
    host = made.attrs["HostConfig"]
    assert host["PortBindings"] == {"8080/tcp": [{"HostIp": "127.0.0.1", "HostPort": str(port)}]}
    assert host["RestartPolicy"]["Name"] == "unless-stopped"
    assert host["SecurityOpt"] == ["no-new-privileges"]
    assert host["LogConfig"]["Config"] == {"max-size": "5m", "max-file": "2"}
    assert not host["Privileged"]
    assert list(made.attrs["NetworkSettings"]["Networks"]) == [name]

    assert start(engine, folder, port, said.append) == name
    assert docker_client.containers.get(name).id == made.id
    made.kill()  # by its keeper, say; it is started, not made anew
    assert start(engine, folder, port, said.append) == name
    assert docker_client.containers.get(name).id == made.id
    assert about(docker_client, name, port, 2) == answer

    with pytest.raises(NotStarted, match=rf"was made for port {port}.*docker rm --force {name}"):
        start(engine, folder, free_ports(1)[0], said.append)


def test_a_port_that_is_taken_leaves_nothing_behind(
    engine: Engine, docker_client: docker.DockerClient, service_image: str, folder: Path
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(NotStarted, match=f"Port {port} .* --url http://127.0.0.1:{port + 1}"):
            start(engine, folder, port, print)
    assert docker_client.containers.list(all=True, filters={"name": name_of(folder)}) == []
    assert start(engine, folder, free_ports(1)[0], print) == name_of(folder)


def test_an_image_that_cannot_be_fetched_is_named(
    engine: Engine, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(signal_service, "REPOSITORY", "127.0.0.1:1/signal-cli-rest-api")
    monkeypatch.setattr(signal_service, "IMAGE", "127.0.0.1:1/signal-cli-rest-api:0.100")
    said = list[str]()
    with pytest.raises(NotStarted, match=r"could not be fetched: .*docker pull 127\.0\.0\.1:1/"):
        start(engine, folder, free_ports(1)[0], said.append)
    assert said == ["fetching 127.0.0.1:1/signal-cli-rest-api:0.100, some hundred megabytes"]


def test_the_agents_own_engine_is_not_used(engine: Engine, tmp_path: Path) -> None:
    """It has no network, and is meant not to."""
    if not engine.ours:  # this machine has an engine of its own, which can do it
        return
    with pytest.raises(NotStarted, match=r"has no network.*docker compose --profile signal up -d"):
        start(engine, tmp_path / "signal", free_ports(1)[0], print)
    assert list(tmp_path.iterdir()) == []
