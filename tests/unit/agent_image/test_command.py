"""agent_image/agent/command.py: real programs, their limits, and those that will not end."""

from __future__ import annotations

import asyncio
import os
import time
from pathlib import Path

import pytest

from agent_image.agent.command import HEAD_BYTES, TAIL_BYTES, run


async def test_output_errors_and_exit_code_come_back(tmp_path: Path) -> None:
    done = await run("pwd; echo wrong >&2; exit 3", tmp_path, 10)
    assert done.exit_code == 3
    assert done.output == f"{tmp_path}\nwrong\n"


async def test_stdin_is_empty_and_the_environment_bare(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", "/opt/agent")
    done = await run("cat; env | cut -d= -f1 | sort", tmp_path, 10)
    assert "PATH" in done.output.split()
    assert "PYTHONPATH" not in done.output


async def test_long_output_keeps_its_ends_in_bounded_memory(tmp_path: Path) -> None:
    done = await run("echo first; head -c 20000000 /dev/zero | tr '\\0' x; echo last", tmp_path, 60)
    assert done.output.startswith("first\n")
    assert done.output.endswith("last\n")
    assert done.output_bytes == 20_000_011
    assert len(done.output) < HEAD_BYTES + TAIL_BYTES + 100
    assert f"{20_000_011 - HEAD_BYTES - TAIL_BYTES} bytes left out" in done.output


async def test_control_characters_do_not_reach_a_terminal(tmp_path: Path) -> None:
    done = await run(r"printf 'a\033[31mb\000c\tok\r\n\377'", tmp_path, 10)
    assert done.output == "a\ufffd[31mb\ufffdc\tok\n\ufffd"


async def test_the_time_limit_ends_it_and_its_children(tmp_path: Path) -> None:
    started = time.monotonic()
    done = await run("echo $$ > pid; sleep 60 & echo $! > child; wait", tmp_path, 0.5)
    assert done.exit_code is None
    assert time.monotonic() - started < 5
    for name in ("pid", "child"):
        assert await gone(int((tmp_path / name).read_text()))


async def test_what_a_command_leaves_behind_is_ended(tmp_path: Path) -> None:
    done = await run("sleep 60 & echo $! > child", tmp_path, 10)
    assert done.exit_code == 0
    assert await gone(int((tmp_path / "child").read_text()))


async def test_a_program_that_leaves_its_group_does_not_hold_the_answer(tmp_path: Path) -> None:
    """Attack: a daemon keeps the output open; the answer must come nevertheless."""
    started = time.monotonic()
    done = await run(
        "setsid sh -c 'echo $$ > daemon; exec sleep 30' &\n"
        "while [ ! -s daemon ]; do sleep 0.01; done; echo said",
        tmp_path,
        20,
    )
    try:
        assert done.exit_code == 0
        assert done.output == "said\n"
        assert time.monotonic() - started < 5
    finally:
        os.kill(int((tmp_path / "daemon").read_text()), 9)


async def test_cancelling_kills_it(tmp_path: Path) -> None:
    task = asyncio.create_task(run("echo $$ > pid; exec sleep 60", tmp_path, 60))
    deadline = time.monotonic() + 10
    while not (tmp_path / "pid").exists() or not (tmp_path / "pid").read_text():
        assert time.monotonic() < deadline
        await asyncio.sleep(0.01)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await gone(int((tmp_path / "pid").read_text()))


async def test_a_folder_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="No such file"):
        await run("true", tmp_path / "nowhere", 10)


async def gone(pid: int) -> bool:
    """Wait until a process has ended; a zombie whose parent has not looked yet has."""
    for _ in range(200):
        try:
            state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        except (FileNotFoundError, ProcessLookupError):
            return True
        if state == "Z":
            return True
        await asyncio.sleep(0.02)
    return False
