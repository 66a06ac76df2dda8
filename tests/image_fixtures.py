"""The docker engine and the agent's image, brought up once for a run when a test first asks."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import docker
import pytest

from agent_image import build
from bot.engine import host
from bot.engine.host import Engine


@pytest.fixture(scope="session")
def announce(request: pytest.FixtureRequest) -> Callable[[str], None]:
    """Says a line on the terminal although output is captured: bringing up can take a minute."""
    capture = request.config.pluginmanager.getplugin("capturemanager")
    reporter = request.config.pluginmanager.getplugin("terminalreporter")

    def say(text: str) -> None:
        with capture.global_and_fixture_disabled():
            reporter.ensure_newline()
            reporter.write_line(f"  {text}")

    return say


@pytest.fixture(scope="session")
def engine(announce: Callable[[str], None]) -> Iterator[Engine]:
    """The machine's engine, or a private one in the project's .engine, ended after the run."""
    with host.engine(build.PROJECT / ".engine", install=True, announce=announce) as found:
        yield found


@pytest.fixture(scope="session")
def docker_client(engine: Engine) -> Iterator[docker.DockerClient]:
    client = host.connect(engine)
    yield client
    client.close()


@pytest.fixture(scope="session")
def agent_image(docker_client: docker.DockerClient, announce: Callable[[str], None]) -> str:
    """The tag of the agent's image, built from the sources as they are."""
    return build.ensure(docker_client, announce=announce)
