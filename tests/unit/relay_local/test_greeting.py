"""What a person at a terminal is told: who may come in, and what to do next."""

from __future__ import annotations

import asyncio
import os
import pty
import sys
from pathlib import Path

import pytest

from nips.nip19 import encode_npub
from relay_local.greeting import greeting
from tests.relay_process import ROOT
from tests.unit.relay_local.cast import OWNER


@pytest.mark.parametrize(
    ("owner", "public", "said"),
    [
        (None, False, "--owner"),
        (OWNER.public, False, encode_npub(OWNER.public)),
        (OWNER.public, False, "NIP-29"),
        (None, True, "everybody may read and write"),
    ],
)
def test_it_says_who_may_come_in(owner: str | None, public: bool, said: str) -> None:
    text = greeting("ws://127.0.0.1:7447", "/home/a/relay", owner, public=public)
    assert said in text
    assert "ws://127.0.0.1:7447" in text
    assert "/home/a/relay" in text
    assert max(map(len, text.splitlines())) <= 160


async def test_at_a_terminal_and_without_a_folder_named(tmp_path: Path) -> None:
    """The first thing that somebody types; a program that reads the line is told no more."""
    told: dict[bool, str] = {}
    for at_terminal in (True, False):
        ours, theirs = pty.openpty()
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "relay_local", "--listen", "127.0.0.1:0",
            "--owner", encode_npub(OWNER.public), cwd=ROOT, stdout=asyncio.subprocess.PIPE,
            stderr=theirs if at_terminal else asyncio.subprocess.PIPE,
            env={**os.environ, "XDG_DATA_HOME": str(tmp_path)},
        )  # fmt: skip
        os.close(theirs)
        assert process.stdout is not None
        line = await asyncio.wait_for(process.stdout.readline(), 30)
        assert line.startswith(b"relay: ready ws://127.0.0.1:")
        process.terminate()
        _, err = await process.communicate()
        told[at_terminal] = os.read(ours, 4_096).decode() if at_terminal else err.decode()
        os.close(ours)
        assert process.returncode == 0
    assert "Private: only you" in told[True]
    assert "Private" not in told[False]
    assert (tmp_path / "nostrclaw-relay" / "events.sqlite").exists()
