"""agent_image/agent/task_tools.py, with a real reception on a real relay."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from agent_image.agent.asking import Asking
from agent_image.agent.backends import Answer, Call
from agent_image.agent.speech import Speaker
from agent_image.agent.tools import Toolbox, described
from bot.requests.callers import Session
from bot.requests.methods import Asked, Method, table
from nips.refusal import Prefix, refused
from relay_local.client import Caller, Link
from tests.unit.bot.requests.stage import House, a_house

GROUP = "00000000-0000-4000-8000-000000000002"
NAMES = (
    "schedule_task", "list_tasks", "update_task", "pause_task", "resume_task", "cancel_task",
    "run_task",
)  # fmt: skip


@pytest.fixture(scope="module")
async def house() -> AsyncIterator[House]:
    async with a_house() as made:
        yield made


async def calls(
    house: House, scene: Any, folder: Path, *calls: Call
) -> tuple[list[tuple[str, tuple[str, ...]]], list[Answer]]:
    """Carry out calls: what was asked of the router, and the answers."""
    asked_for: list[tuple[str, tuple[str, ...]]] = []

    def method(name: str) -> Method:
        async def handle(asked: Asked) -> str:
            asked_for.append((name, asked.params))
            if "bad" in asked.params:
                raise refused(Prefix.INVALID, "there is no task 'bad'")
            return f"<{name}>"

        return Method(name, (Session,), handle)

    key = house.session(GROUP)
    speaker = Speaker(Caller(Link("unix:/nowhere", [], None), key, house.roles.signer), float, 60)
    async with house.reception(table(map(method, NAMES))), house.asking(key) as caller:
        toolbox = Toolbox(scene.job(scene.message("hello")), speaker, Asking(caller), folder)
        return asked_for, [await toolbox.execute(call) for call in calls]


async def test_each_tool_asks_for_what_it_says(house: House, scene: Any, tmp_path: Path) -> None:
    when, prompt = "0 16 * * 1-5", "Water „them“"
    asked, answers = await calls(
        house, scene, tmp_path,
        Call("schedule_task", {"when": when, "prompt": prompt}),
        Call("schedule_task", {"when": when, "prompt": prompt, "title": "T", "tz": "UTC",
                               "late": "no", "until": "in 30d", "times": 5,
                               "conversation": "family"}),
        Call("list_tasks", {}),
        Call("list_tasks", {"task": "3f2a", "conversation": "family"}),
        Call("update_task", {"task": "3f2a", "prompt": "Less", "times": -1, "version": "0a1b"}),
        Call("pause_task", {"task": "3f2a"}),
        Call("resume_task", {"task": "3f2a"}),
        Call("cancel_task", {"task": "3f2a"}),
        Call("run_task", {"task": "3f2a"}),
    )  # fmt: skip
    assert [answer.text for answer in answers] == [f"<{name}>" for name, _ in asked]
    (_, first), (_, second), *others = asked
    assert (first[0], json.loads(first[1])) == ("", {"when": when, "prompt": prompt})
    assert (second[0], json.loads(second[1])) == (
        "family",
        {"when": when, "prompt": prompt, "title": "T", "tz": "UTC", "late": "no",
         "until": "in 30d", "times": 5},
    )  # fmt: skip
    assert others == [
        ("list_tasks", ("", "")),
        ("list_tasks", ("3f2a", "family")),
        ("update_task", ("3f2a", '{"prompt": "Less", "times": "none"}', "0a1b")),
        *((f"{what}_task", ("3f2a",)) for what in ("pause", "resume", "cancel", "run")),
    ]


async def test_a_refusal_is_an_answer_in_a_sentence(
    house: House, scene: Any, tmp_path: Path
) -> None:
    asked, (bad, nothing, much) = await calls(
        house, scene, tmp_path,
        Call("pause_task", {"task": "bad"}),
        Call("update_task", {"task": "3f2a"}),
        Call("schedule_task", {"when": "@daily", "prompt": "x", "times": "5"}),
    )  # fmt: skip
    assert (bad.ok, bad.text) == (False, "That did not work: there is no task 'bad'.")
    assert (nothing.ok, nothing.text) == (False, "That did not work: nothing was to change.")
    assert not much.ok
    assert [name for name, _ in asked] == ["pause_task"]


def test_every_agent_has_them_and_none_is_told_of_other_conversations_but_mains() -> None:
    for is_main in (True, False):
        told = {tool.name: tool for tool in described(is_main=is_main)}
        assert set(NAMES) <= set(told)
        parameters: Any = told["schedule_task"].parameters
        assert ("conversation" in parameters["properties"]) is is_main
        assert parameters["required"] == ["when", "prompt"]
