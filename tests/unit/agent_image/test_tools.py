"""agent_image/agent/tools.py: calls carried out with real files and programs. What speaks is
shown against a real signer in test_session.py."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from agent_image.agent.asking import Asking
from agent_image.agent.backends import Call
from agent_image.agent.speech import LONGEST_STEP_S, Speaker
from agent_image.agent.tools import (
    MAINS_PARAMETERS,
    MAINS_TOOLS,
    MAX_TEXT_BYTES,
    Toolbox,
    described,
)
from relay_local.client import Caller, Link


@pytest.fixture
async def speaker(scene: Any, clock: Callable[[], float]) -> Speaker:
    """A speaker whose link never connects: what reaches it would wait."""
    link = Link("unix:/nowhere", [], None)
    return Speaker(Caller(link, scene.session, scene.signer.public), clock, 60.0)


@pytest.fixture
async def asking(scene: Any) -> Asking:
    """A way to the router that never connects."""
    return Asking(Caller(Link("unix:/nowhere", [], None), scene.session, scene.router.public))


@pytest.fixture
def toolbox(scene: Any, speaker: Speaker, asking: Asking, tmp_path: Path) -> Toolbox:
    return Toolbox(scene.job(scene.message("hello")), speaker, asking, tmp_path)


def test_every_tool_is_described_for_a_model() -> None:
    told = {tool.name: tool for tool in described(is_main=True)}
    assert list(told) == [
        "send_message",
        "react",
        "publish_note",
        "publish_article",
        "publish_reply",
        "comment",
        "react_publicly",
        "retract",
        "publish_event",
        "remember",
        "recall",
        "run_command",
        "search_history",
        "nostr_query",
        "send_file",
        "set_persona",
        "set_group",
        "list_groups",
        "register_group",
        "ask_owner",
        "propose_change",
        "schedule_task",
        "list_tasks",
        "update_task",
        "pause_task",
        "resume_task",
        "cancel_task",
        "run_task",
    ]
    assert all(tool.description for tool in told.values())
    assert told["run_command"].parameters == {
        "type": "object",
        "properties": {
            "line": {"type": "string", "description": "a command line for /bin/sh"},
            "limit_s": {"type": "integer", "description": "seconds it may take, 1 to 300"},
        },
        "required": ["line"],
        "additionalProperties": False,
    }


async def test_every_tool_that_is_described_is_there(toolbox: Toolbox) -> None:
    for tool in described(is_main=True):
        answer = await toolbox.execute(Call(tool.name, {"no such": 1}))
        assert "has no argument 'no such'" in answer.text


def test_what_is_mains_alone_no_other_agent_is_told_of() -> None:
    elsewhere = {tool.name: str(tool.parameters) for tool in described(is_main=False)}
    assert elsewhere.keys().isdisjoint(MAINS_TOOLS)
    assert {"send_message", "set_group", "set_persona"} <= elsewhere.keys()
    for name in MAINS_PARAMETERS:
        assert not any(f"'{name}'" in parameters for parameters in elsewhere.values())
    in_main = {tool.name: str(tool.parameters) for tool in described(is_main=True)}
    assert in_main.keys() >= MAINS_TOOLS
    assert "'conversation'" in in_main["send_message"]


async def test_memory_is_kept_in_the_folder(toolbox: Toolbox, tmp_path: Path) -> None:
    first = await toolbox.execute(Call("remember", {"text": "the cat is Mia"}))
    again = await toolbox.execute(Call("remember", {"text": "the cat is Mia"}))
    assert (first.ok, first.text) == (True, "remembered")
    assert (again.ok, again.text) == (True, "this was remembered already")
    assert (tmp_path / "MEMORY.md").read_text() == "- 2027-01-15: the cat is Mia\n"
    assert (await toolbox.execute(Call("recall", {}))).text == "- 2027-01-15: the cat is Mia"
    assert (await toolbox.execute(Call("recall", {"words": "dog"}))).text == ""


async def test_a_command_runs_in_the_folder(toolbox: Toolbox, tmp_path: Path) -> None:
    answer = await toolbox.execute(Call("run_command", {"line": "pwd; exit 4"}))
    assert (answer.ok, answer.text) == (True, f"exit code 4\n{tmp_path}")
    answer = await toolbox.execute(Call("run_command", {"line": "sleep 9", "limit_s": 1}))
    assert (answer.ok, answer.text) == (True, "stopped after 1 s")


@pytest.mark.timeout(10)
@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (Call("format_disk", {}), "There is no tool called 'format_disk'."),
        (Call("execute", {}), "no tool"),
        (Call("__init__", {}), "no tool"),
        (Call("send_message", {}), "needs the argument 'text'"),
        (Call("send_message", {"text": "\n "}), "a message needs a text"),
        (
            Call("send_message", {"text": "é" * MAX_TEXT_BYTES}),
            f"a message may have {MAX_TEXT_BYTES} bytes and this has {2 * MAX_TEXT_BYTES}",
        ),
        (Call("send_message", {"text": "x", "reply_to": "00" * 32}), "no message of that id"),
        (Call("react", {"sign": "two words"}), "one emoji"),
        (Call("react", {"sign": ""}), "one emoji"),
        (Call("react", {"sign": " 👍"}), "one emoji"),
        (Call("react", {"sign": "👍" * 17}), "one emoji"),
        (Call("react", {"sign": "+", "message": "x"}), "no message of that id"),
        (Call("publish_note", {"text": ""}), "a note needs a text"),
        (Call("publish_event", {"kind": 65_536, "content": ""}), "from 0 to 65535"),
        (Call("publish_event", {"kind": -1, "content": ""}), "from 0 to 65535"),
        (Call("remember", {"text": " "}), "nothing to remember"),
        (Call("run_command", {"line": " "}), "no command"),
        (Call("run_command", {"line": "a\0b"}), "no command"),
        (Call("run_command", {"line": "ls", "limit_s": 0}), "from 1 to 300"),
        (Call("run_command", {"line": "ls", "limit_s": 301}), "from 1 to 300"),
    ],
)
async def test_a_call_that_makes_no_sense_is_answered(
    toolbox: Toolbox, call: Call, sentence: str
) -> None:
    answer = await toolbox.execute(call)
    assert not answer.ok
    assert sentence in answer.text


async def test_a_folder_that_is_gone_is_answered(
    scene: Any, speaker: Speaker, asking: Asking, tmp_path: Path
) -> None:
    toolbox = Toolbox(scene.job(scene.message("hello")), speaker, asking, tmp_path / "gone")
    for call in (Call("run_command", {"line": "ls"}), Call("remember", {"text": "x"})):
        answer = await toolbox.execute(call)
        assert not answer.ok
        assert "No such file or directory" in answer.text


def test_events_of_one_second_keep_their_order(scene: Any, speaker: Speaker) -> None:
    first = speaker.created_at()
    assert (first, speaker.created_at(), speaker.created_at()) == (
        scene.now,
        scene.now + 1,
        scene.now + 2,
    )
    for _ in range(100):
        assert speaker.created_at() <= scene.now + LONGEST_STEP_S
