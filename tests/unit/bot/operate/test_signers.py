"""bot/operate/signers.py: what the signer is told of its installation."""

from __future__ import annotations

import json
from pathlib import Path

from bot.operate.signers import of_bunker
from config import settings
from config.runtime import runtime_dir


def test_the_installations_folder_roles_and_relay(tmp_path: Path) -> None:
    settings.write(tmp_path, {"listen": "127.0.0.1:7999"})
    assert of_bunker(tmp_path, ["--kinds", "1"]) == [
        "bunker", "--data", str(tmp_path / "signer"), "--roles", str(tmp_path / "roles.toml"),
        "--relay", "ws://127.0.0.1:7999", "--kinds", "1",
    ]  # fmt: skip


def test_the_relay_as_it_was_started_last(tmp_path: Path) -> None:
    run = runtime_dir(tmp_path)
    try:
        argv = ["python", "-m", "relay_local", "--listen", "127.0.0.1:1234"]
        (run / "plan.json").write_text(json.dumps({"programs": [{"name": "relay", "argv": argv}]}))
        assert "ws://127.0.0.1:1234" in of_bunker(tmp_path, [])
    finally:
        (run / "plan.json").unlink()
        run.rmdir()


def test_a_relay_that_is_named_is_the_only_one(tmp_path: Path) -> None:
    for given in (["--relay", "wss://a.example"], ["--relay=wss://a.example"]):
        arguments = of_bunker(tmp_path, given)
        assert arguments[-len(given) :] == given
        assert not [one for one in arguments if one.startswith("ws://")]


def test_a_folder_that_is_not_there_is_not_made(tmp_path: Path) -> None:
    assert "--relay" not in of_bunker(tmp_path / "none", ["list"])
    assert not (tmp_path / "none").exists()
