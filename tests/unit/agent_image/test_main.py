"""agent_image/agent/__main__.py: what it is started with, and how it ends, as a real process."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import websockets

from agent_image.agent.__main__ import FOLDER, SOCKET, Arguments, BadInput, Exit, arguments
from nips.key import SecretKey
from tests.unit.agent_image.stage import ROOT, begin

KEY = b"07" * 32 + b"\n"
GOOD = SecretKey(bytes.fromhex("07" * 32)).public


def test_the_command_line_is_read(scene: Any) -> None:
    signer = scene.signer.public
    assert arguments(["--signer", signer]) == Arguments(signer, SOCKET, Path(FOLDER), 600)
    assert arguments(
        ["--folder", "/a b", "--signer", signer, "--socket", "/run/x.sock", "--seconds", "20"]
    ) == Arguments(signer, "/run/x.sock", Path("/a b"), 20)


@pytest.mark.parametrize(("seconds", "patience_s"), [(600, 590), (20, 17), (1, 0.85)])
def test_the_signer_is_waited_for_while_there_is_time_to_say_so(
    scene: Any, seconds: int, patience_s: float
) -> None:
    given = arguments(["--signer", scene.signer.public, "--seconds", str(seconds)])
    assert given.patience_s == pytest.approx(patience_s)


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ([], "--signer must be followed"),
        (["--signer"], "cannot use '--signer'"),
        (["--signer", ""], "cannot use '--signer'"),
        (["--signer", "ff" * 32], "--signer must be followed"),
        (["--socket", "/x"], "--signer must be followed"),
        (["--relay", "/x"], "cannot use '--relay'"),
        (["run"], "cannot use 'run'"),
        (["--signer", GOOD, "--seconds", "0"], "--seconds must be followed"),
        (["--signer", GOOD, "--seconds", "-1"], "--seconds must be followed"),
        (["--signer", GOOD, "--seconds", "1e3"], "--seconds must be followed"),
        (["--signer", GOOD, "--seconds", "9" * 5_000], "--seconds must be followed"),
    ],
)
def test_a_wrong_command_line_says_what_is_right(given: list[str], sentence: str) -> None:
    with pytest.raises(BadInput, match=sentence):
        arguments(given)


@pytest.mark.parametrize(
    "stdin",
    [b"", b"\n", b"07" * 32 + b"00\n", b"07" * 31 + b"\n", b"zz" * 32, b"\xff" * 64, b"00" * 32],
)
async def test_a_wrong_key_ends_in_one_sentence(tmp_path: Path, scene: Any, stdin: bytes) -> None:
    argv = ("agent_image.agent", "--signer", scene.signer.public)
    code, said = await (await begin(tmp_path / "log", *argv, stdin=stdin)).ended()
    assert code == Exit.USAGE
    assert said.startswith("agent: ")
    assert said.count("\n") == 1
    assert b"07070707".decode() not in said


async def test_a_wrong_argument_ends_in_one_sentence(tmp_path: Path) -> None:
    code, said = await (await begin(tmp_path / "log", "agent_image.agent", stdin=KEY)).ended()
    assert code == Exit.USAGE
    assert said == "agent: --signer must be followed by the signer's public key in hex\n"


def test_what_a_socket_never_needs_is_not_imported() -> None:
    """A third of the imports' time; this fails when a dependency draws one of them in again."""
    program = "import agent_image.agent.__main__, sys; print(*sys.modules)"
    packages = Path(websockets.__file__).parents[1]
    done = subprocess.run(
        [sys.executable, "-P", "-S", "-c", program],  # as in the image, where there is no site
        env={"PYTHONPATH": f"{ROOT}:{packages}"},
        capture_output=True,
        text=True,
        check=True,
    )
    loaded = set(done.stdout.split())
    assert "websockets.asyncio.client" in loaded
    unused = {"importlib.metadata", "email", "http.client", "tempfile", "zipfile", "argparse"}
    ours = {"httpx", "pydantic", "structlog", "rich", "docker", "config", "bot", "signer"}
    assert loaded & (unused | ours) == set()
