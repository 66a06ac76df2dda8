"""`nostrclaw task …`, as processes, with a real router on a real relay."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from bot.commands import asked
from bot.commands.asked import EditTask, NewTask
from bot.commands.grammar import parse
from bot.operate.assembly import SOURCE_TREE
from bot.operate.task import edit_command, new_command
from bot.tasks.wanted import Wanted
from tests.unit.bot.commands.stage import Stage, a_stage


@pytest.fixture(scope="module")
async def stage() -> AsyncIterator[Stage]:
    async with a_stage() as made, made.router():
        yield made


# One process for all of them: it is the imports that take the time.
TYPIST = """
import json, sys
from typer.testing import CliRunner
from bot.cli import app
calls, runner = json.load(sys.stdin), CliRunner()
ended = [runner.invoke(app, call, input=typed) for call, typed in calls]
print(json.dumps([(one.exit_code, one.output) for one in ended]))
"""


async def typed(data: Path, *calls: tuple[tuple[str, ...], str]) -> list[tuple[int, str]]:
    """`nostrclaw task …`, one after the other, each with what it reads from stdin: its exit
    status, and what it says."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", TYPIST, cwd=SOURCE_TREE,
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    given = [(["task", *call, "--data", str(data)], stdin) for call, stdin in calls]
    said, _ = await asyncio.wait_for(process.communicate(json.dumps(given).encode()), 60)
    return [tuple(one) for one in json.loads(said)]


SAID = [
    (("new", "on call", "Say", "who", "--title", "Door", "--gate", "test -e dry"), "", 0,
     "“Door”: on call, waiting for it."),
    (("show", "Door"), "", 0, "Only if this ends well: test -e dry"),
    (("hook", "Door"), "", 0, "at no port yet: set [webhooks] listen in nostrclaw.toml"),
    (("hook", "Door"), "", 0, "Secret, shown this once; one that it had before counts no more: "),
    (("edit", "Door", "--gate", "none", "--when", "on mention"), "", 0, "“Door”: on mention"),
    (("hook", "Door"), "", 1, "That task is not called: it runs on mention."),
    (("hook", "Window"), "", 1, "There is no task 'Window'."),
    (("cancel", "Door"), "", 0, "✅ Cancelled: "),
    (("new", "0 16 * * 1-5", "Remind", "me", "--title", "Plants", "--tz", "Europe/Berlin",
      "--times", "5"), "", 0, "✅ Planned: "),
    (("list", "main"), "", 0, "“Plants”: 0 16 * * 1-5"),
    (("list",), "", 0, "“Plants”: 0 16 * * 1-5"),
    (("edit", "plants", "--prompt", "-", "--late", "no"), 'One\n"Two', 0, "✅ It is now: "),
    (("show", "plants"), "", 0, "all\nRuns left: 5 of 5\nWhat is to be done:\n│ One\n│ \"Two\n"),
    (("edit", "plants", "--title", "A", "--version", "0" * 8), "", 1, "look at it again"),
    (("edit", "plants"), "", 2, "Say what is to change: --when"),
    (("run", "plants"), "", 0, "✅ It runs now"),
    (("runs", "plants", "5"), "", 0, "besides its times"),
    (("pause", "plants"), "", 0, "paused"),
    (("resume", "plants"), "", 0, "✅ Goes on"),
    (("new", "0 0 31 2 *", "Hi"), "", 1, "never comes"),
    (("cancel", "plants"), "", 0, "✅ Cancelled"),
    (("list",), "", 0, "✅ Nothing is planned."),
]  # fmt: skip


async def test_from_the_first_to_the_last(stage: Stage) -> None:
    found = await typed(stage.place.data, *((arguments, stdin) for arguments, stdin, _, _ in SAID))
    for (status, said), (arguments, _, wanted, words) in zip(found, SAID, strict=True):
        assert status == wanted, (arguments, said)
        assert words in said


async def test_for_programs(stage: Stage) -> None:
    new = ("new", "@daily", "Hi", "--group", "main", "--until", "in 30d", "--json")
    ((status, said),) = await typed(stage.place.data, (new, ""))
    made = json.loads(said)
    assert (status, made["ok"]) == (0, True)
    assert (made["data"]["when"], made["data"]["prompt"]) == ("@daily", "Hi")
    assert made["data"]["until"]


@pytest.mark.parametrize("prompt", ["Hi", "“Quoted”", '"', "One\n\n  Two", "title x until y", "-x"])
@pytest.mark.parametrize("title", ["Plants", 'Say "yes"', "until none", "for main"])
def test_whatever_is_typed_becomes_the_command_that_is_meant(prompt: str, title: str) -> None:
    said = {"title": title, "until": "2026-12-24 18:00", "times": "5"}
    assert parse(new_command("every 15m", prompt, "Our family", said)) == NewTask(
        Wanted(when="every 15m", prompt=prompt, **said), "Our family"
    )
    assert parse(edit_command("run", prompt, said | {"when": "@daily", "version": "0a"})) == (
        EditTask("run", Wanted(when="@daily", prompt=prompt, **said), "0a")
    )
    read = parse(edit_command("3f2a", None, {"title": title}))
    assert read == asked.EditTask("3f2a", Wanted(title=title))
