"""Which engine is taken, and what is said where there is none."""

import os
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from bot.engine import dockerd, host
from bot.engine.host import Engine, EngineUnavailable

PROJECT = Path(host.__file__).parents[2]


def quiet(_: str) -> None:
    """Nobody needs to read it here."""


def test_the_named_engine_is_taken_and_left_alone(
    engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DOCKER_HOST", engine.url)
    found = host.find(tmp_path, install=False, announce=quiet)
    assert found.url == engine.url
    assert found.version == engine.version
    assert not found.ours
    host.close(found)
    client = host.connect(engine)
    assert client.ping()
    client.close()
    assert list(tmp_path.iterdir()) == []


def test_a_named_engine_that_is_silent_is_not_replaced_by_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/docker.sock")
    with pytest.raises(EngineUnavailable, match="unset DOCKER_HOST"):
        host.find(tmp_path, install=True, announce=quiet)


@pytest.mark.parametrize("url", ["tcp://127.0.0.1:2375", "ssh://machine", "http://127.0.0.1:1"])
def test_an_engine_elsewhere_is_refused(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DOCKER_HOST", url)
    with pytest.raises(EngineUnavailable, match="Name a unix:// socket"):
        host.find(tmp_path, install=True, announce=quiet)


def test_the_machines_own_engine_is_found_and_none_is_started(
    engine: Engine, tmp_path: Path
) -> None:
    assert host.of_machine({"DOCKER_HOST": engine.url}) == replace(
        engine, ours=False, pid=None, place=None, lease=None
    )
    with pytest.raises(EngineUnavailable, match="unset DOCKER_HOST"):
        host.of_machine({"DOCKER_HOST": f"unix://{tmp_path}/docker.sock"})
    found = host.of_machine({"HOME": str(tmp_path)})
    assert found == host._usual({"HOME": str(tmp_path)})  # None, unless this machine has one
    assert list(tmp_path.iterdir()) == []


def test_the_block_gives_back_what_it_took(
    engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("DOCKER_HOST", raising=False)
    root = engine.place.root if engine.place else tmp_path
    with host.engine(root, install=False, announce=quiet) as found:
        client = host.connect(found)
        assert client.version()["Version"] == found.version
        client.close()
    if engine.place is not None:  # the run's own use of it goes on
        assert dockerd.running(engine.place) == engine.pid


def test_without_an_engine_nor_leave_to_install_there_is_only_a_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An empty PATH for the engine's programs stands for a machine that has none."""
    monkeypatch.delenv("DOCKER_HOST", raising=False)
    monkeypatch.setattr(dockerd, "PATH", str(tmp_path))
    monkeypatch.setenv("NOSTRCLAW_NO_INSTALL", "1")
    monkeypatch.setenv("HOME", str(tmp_path))
    usual = host._usual(os.environ)
    if usual is not None:  # this machine runs one of its own: it is taken before anything else
        assert host.find(tmp_path, install=True, announce=quiet) == usual
        return
    with pytest.raises(EngineUnavailable, match=r"apt-get install docker\.io"):
        host.find(tmp_path, install=True, announce=quiet)
    assert list(tmp_path.iterdir()) == []


_AS_ANOTHER = """
import os, sys, pathlib
from bot.engine import host
import docker.transport, requests, urllib3, encodings.idna
if os.geteuid() == 0:
    os.setgroups([]); os.setgid(65534); os.setuid(65534)
try:
    found = host.find(pathlib.Path(sys.argv[1]), install=True, announce=print)
    print("found", found.url)
except host.EngineUnavailable as unavailable:
    print("unavailable", unavailable)
"""


def test_a_plain_user_is_told_what_to_do(tmp_path: Path) -> None:
    environment = {"PATH": os.environ["PATH"], "HOME": "/nonexistent"}
    done = subprocess.run(
        [sys.executable, "-c", _AS_ANOTHER, str(tmp_path)],
        env=environment,
        cwd=PROJECT,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    is_open = os.geteuid() != 0 and host._usual(environment) is not None
    assert done.stdout.startswith("found unix://" if is_open else "unavailable")
    assert is_open or "sudo" in done.stdout


def test_every_package_we_install_is_listed() -> None:
    lines = (PROJECT / "packages.txt").read_text("utf-8").splitlines()
    named = {line.split()[0] for line in lines if line and not line.startswith("#")}
    assert {host.PACKAGE, "mmdebstrap"} <= named
    assert shutil.which("apt-get") is None or "python3.11-venv" in named
