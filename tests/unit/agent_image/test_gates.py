"""agent_image/agent/gates.py: real commands that let a task through, or do not, or never end."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from agent_image.agent import gates
from agent_image.agent.job import Job, Message
from agent_image.agent.occasion import GATE, Beside

PROMPT = Message("11" * 32, "0a" * 32, 31_923, 7, "Water them.", False, task="Plants")
JOB = Job("11" * 32, "group", "0b" * 32, PROMPT, ())


def behind(gate: str, *besides: Beside) -> Job:
    return replace(JOB, message=replace(PROMPT, gate=gate, besides=besides))


async def test_without_a_gate_nothing_is_asked(tmp_path: Path) -> None:
    assert await gates.passed(JOB, tmp_path, 60) == (JOB, None)
    assert await gates.passed(None, tmp_path, 60) == (None, None)


async def test_what_it_has_written_is_given_with_the_task(tmp_path: Path) -> None:
    before = Beside("a", "b", "c")
    job, why = await gates.passed(behind("echo 12 new; pwd", before), tmp_path, 60)
    assert why is None
    assert job is not None
    assert job.message.besides == (before, Beside(GATE, "Its output:", f"12 new\n{tmp_path}\n"))
    job, _ = await gates.passed(behind("true"), tmp_path, 60)
    assert job is not None
    assert job.message.besides == ()


@pytest.mark.parametrize(
    ("gate", "why"),
    [
        ("exit 1", "exit code 1"),
        ("no-such-program-here", "exit code 127"),
        ("kill -9 $$", "exit code -9"),
        # Attack: a gate that hangs, and takes its children with it.
        ("sleep 60 & sleep 60", "no end within 0.2 s"),
    ],
)
async def test_what_it_does_not_let_through(gate: str, why: str, tmp_path: Path) -> None:
    assert await gates.passed(behind(gate), tmp_path, 0.4 if "sleep" in gate else 60) == (None, why)


async def test_one_that_cannot_be_started(tmp_path: Path) -> None:
    assert await gates.passed(behind("true"), tmp_path / "gone", 60) == (
        None, "it could not be started: No such file or directory",
    )  # fmt: skip
