"""The container of Signal's service, before there is one; with an engine: tests/image."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from bot.engine.host import Engine
from bot.operate.assembly import SOURCE_TREE
from bot.operate.signal_service import (
    IMAGE,
    NotStarted,
    arguments,
    make_private,
    name_of,
    port_of,
)
from config import settings

FOLDER = Path("/data/signal")


@pytest.mark.parametrize(
    ("url", "port"),
    [("http://127.0.0.1:8080", 8080), ("http://localhost:9", 9), ("http://127.0.0.1", 80)],
)
def test_the_port_of_an_address_on_this_machine(url: str, port: int) -> None:
    assert port_of(url) == port


@pytest.mark.parametrize(
    "url",
    [
        "http://signal:8080", "http://192.168.1.10:8080", "http://[::1]:8080", "http://0.0.0.0:8080",
        "https://127.0.0.1:8080", "http://127.0.0.1:8080/api",
    ],
)  # fmt: skip
def test_what_is_elsewhere_is_not_started_here(url: str) -> None:
    with pytest.raises(NotStarted, match="not started from here"):
        port_of(url)


@pytest.mark.parametrize("uid", [0, 1234])
@pytest.mark.parametrize("engine", [Engine("u", "1"), Engine("u", "1", rootless=True)])
def test_it_is_reached_from_this_machine_alone(
    engine: Engine, uid: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: uid)
    monkeypatch.setattr(os, "getegid", lambda: 77)
    made = arguments(engine, FOLDER, 8088)
    assert made["ports"] == {"8080/tcp": ("127.0.0.1", 8088)}
    assert made["network"] == made["name"] == name_of(FOLDER)
    assert list(made["volumes"]) == [str(FOLDER)]
    assert made["security_opt"] == ["no-new-privileges"]
    assert "privileged" not in made
    assert "cap_add" not in made
    ours = {"SIGNAL_CLI_UID": "1234", "SIGNAL_CLI_GID": "77"} if uid and not engine.rootless else {}
    assert made["environment"] == {"MODE": "native", **ours}


def test_each_installation_has_its_own() -> None:
    assert name_of(FOLDER) != name_of(Path("/other/signal"))
    assert name_of(FOLDER).startswith("nostrclaw-signal-")


def test_its_folder_is_for_nobody_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Though somebody made it with their usual rights, or the engine's user has it by now."""
    folder = tmp_path / "signal"
    for mode in (0o755, 0o700):
        make_private(folder)
        assert folder.stat().st_mode & 0o777 == 0o700
        folder.chmod(mode)
    folder.chmod(0o711)
    monkeypatch.setattr(os, "geteuid", lambda: folder.stat().st_uid + 1)
    make_private(folder)
    assert folder.stat().st_mode & 0o777 == 0o711


def test_compose_starts_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    """compose.yaml, read line by line: what `nostrclaw signal link` starts is what it starts."""
    text = (SOURCE_TREE / "compose.yaml").read_text("utf-8")
    lines = [line.strip().removeprefix("- ").strip('"') for line in text.splitlines()]
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    made = arguments(Engine("u", "1"), FOLDER, port_of(settings.load(Path("/nowhere")).signal.url))
    ((inner, (host, port)),) = made["ports"].items()
    assert f"image: {IMAGE}" in lines
    assert {f"{name}: {value}" for name, value in made["environment"].items()} == {"MODE: native"}
    assert "MODE: native" in lines
    assert f"{host}:{port}:{inner.removesuffix('/tcp')}" in lines
    (kept_at,) = (volume["bind"] for volume in made["volumes"].values())
    assert any(line.endswith(f"/signal:{kept_at}") for line in lines)
    assert set(made["security_opt"]) <= set(lines)
    assert f"restart: {made['restart_policy']['Name']}" in lines
    assert f"driver: {made['log_config']['Type']}" in lines
    options = made["log_config"]["Config"].items()
    assert all(f"{name}: {value}" in text.replace('"', "") for name, value in options)
    assert 'profiles: ["signal"]' in text
    for word in ("privileged", "cap_add", "network_mode", "0.0.0.0", ":latest", "docker.sock"):
        assert word not in text.replace("no-new-privileges", "")
