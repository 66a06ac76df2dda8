"""The supervisor with real processes: order, restarts, endings."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from bot.operate.assembly import SOURCE_TREE
from bot.operate.plan import Plan, Program

# Says that it is ready, notes its start and its end in a file, and lives until it is told.
STEADY = """
import os, signal, sys, time
note = open(sys.argv[2], "a")
def end(*_):
    note.write(f"end {sys.argv[1]}\\n"); note.flush(); os._exit(0)
signal.signal(signal.SIGTERM, end)
note.write(f"start {sys.argv[1]}\\n"); note.flush()
print(sys.argv[1] + ": ready", flush=True)
signal.pause()
"""


def steady(name: str, notes: Path) -> Program:
    return Program(name, (sys.executable, "-c", STEADY, name, str(notes)), f"{name}: ready")


@asynccontextmanager
async def supervised(
    tmp_path: Path, *programs: Program
) -> AsyncIterator[asyncio.subprocess.Process]:
    plan = Plan(programs, str(tmp_path / "logs"), str(tmp_path / "status.json"), (), "all up")
    (tmp_path / "plan.json").write_text(plan.to_json())
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "bot.operate.supervisor", str(tmp_path / "plan.json"),
        cwd=SOURCE_TREE, stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    try:
        yield process
    finally:
        if process.returncode is None:
            process.terminate()
            await process.wait()


async def said(process: asyncio.subprocess.Process, words: str) -> str:
    assert process.stdout is not None
    async with asyncio.timeout(20):
        async for line in process.stdout:
            if words in line.decode():
                return line.decode()
    raise AssertionError(f"it never said {words!r}")


def pid_of(tmp_path: Path, name: str) -> int:
    return int(json.loads((tmp_path / "status.json").read_text())["programs"][name]["pid"])


async def test_programs_start_in_order_and_end_in_the_opposite_one(tmp_path: Path) -> None:
    notes = tmp_path / "notes"
    async with supervised(tmp_path, steady("a", notes), steady("b", notes)) as process:
        await said(process, "all up")
    assert notes.read_text().split("\n")[:4] == ["start a", "start b", "end b", "end a"]


async def test_one_that_is_killed_comes_back_alone(tmp_path: Path) -> None:
    notes = tmp_path / "notes"
    async with supervised(tmp_path, steady("a", notes), steady("b", notes)) as process:
        await said(process, "all up")
        before = pid_of(tmp_path, "b")
        os.kill(pid_of(tmp_path, "a"), signal.SIGKILL)
        await said(process, "a ended (-9), starting it again")
        async with asyncio.timeout(20):
            while notes.read_text().count("start a") < 2:
                await asyncio.sleep(0.01)
        assert pid_of(tmp_path, "b") == before


async def test_a_users_mistake_ends_everything_with_its_words(tmp_path: Path) -> None:
    fails = "import sys; sys.stderr.write('port taken'); sys.exit(2)"
    wrong = Program("b", (sys.executable, "-c", fails), "b: ready")
    async with supervised(tmp_path, steady("a", tmp_path / "notes"), wrong) as process:
        assert "port taken" in await said(process, "b cannot start")
        assert await process.wait() == 2
    assert "end a" in (tmp_path / "notes").read_text()


async def test_programs_end_with_a_supervisor_that_was_killed(tmp_path: Path) -> None:
    async with supervised(tmp_path, steady("a", tmp_path / "notes")) as process:
        await said(process, "all up")
        descriptor = os.pidfd_open(pid_of(tmp_path, "a"))
        process.kill()
        await process.wait()
        ended = asyncio.get_running_loop().create_future()
        asyncio.get_running_loop().add_reader(descriptor, ended.set_result, None)
        try:
            await asyncio.wait_for(ended, 20)
        finally:
            asyncio.get_running_loop().remove_reader(descriptor)
            os.close(descriptor)
    assert "end a" in (tmp_path / "notes").read_text()


async def test_what_a_program_says_later_reaches_the_terminal_and_the_status(
    tmp_path: Path,
) -> None:
    speaks = STEADY.replace("signal.pause()", 'print("it rains", flush=True); signal.pause()')
    program = Program("a", (sys.executable, "-c", speaks, "a", str(tmp_path / "n")), "a: ready")
    async with supervised(tmp_path, program) as process:
        await said(process, "it rains")
        programs = json.loads((tmp_path / "status.json").read_text())["programs"]
        assert programs["a"]["said"] == "it rains"
        assert programs["a"]["ready"] is True
