"""agent_image/agent/narrate.py: what is shown to the owner of each step. The lines that the group
reads are shown against a real relay in test_session.py."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from agent_image.agent.backends import Answer, Call
from agent_image.agent.narrate import Narrator
from agent_image.agent.observer import Observer
from nips.own.backend_name import BUILTIN, BackendName
from nips.own.frame import Told, parse
from relay_local.client import Link


@pytest.fixture
def observer() -> Observer:
    return Observer()


@pytest.fixture
async def narrator(scene: Any, clock: Callable[[], float], observer: Observer) -> Narrator:
    link, job = Link("unix:/nowhere", [], None), scene.job(scene.message("hello"))
    return Narrator(link, scene.session, job, clock, observer)


def shown(observer: Observer) -> list[tuple[str, dict[str, str]]]:
    """What waits to be sent; each of it is a frame that the signer takes."""
    for one in observer._waiting:
        told = Told(1, one.kind, one.payload)
        assert parse(told.to_json()) == told
    return [(one.kind, one.payload) for one in observer._waiting]


async def test_each_step_is_a_frame(narrator: Narrator, observer: Observer) -> None:
    call = Call("recall", {"words": "Fischreiher 🦩"})
    narrator.resolved(BackendName("claude", "claude-sonnet-4-5"))
    narrator.resolved(BUILTIN)
    narrator.called(call)
    narrator.answered(call, Answer(False, "nothing is remembered"))
    assert shown(observer) == [
        ("session_resolved", {"backend": "claude", "model": "claude-sonnet-4-5"}),
        ("session_resolved", {"backend": "builtin"}),
        (
            "acp_read",
            {"type": "tool_call", "tool": "recall", "text": '{"words":"Fischreiher 🦩"}'},
        ),
        (
            "acp_write",
            {"type": "tool_result", "tool": "recall", "ok": "no", "text": "nothing is remembered"},
        ),
    ]


def endless() -> dict[str, object]:
    outer: dict[str, object] = {}
    inner = outer
    for _ in range(100_000):
        inner["a"] = inner = {}
    return outer


@pytest.mark.parametrize(
    "arguments",
    [
        {"text": json.loads('"half of it: \\ud83e"')},
        {"\ud83e": "a name"},
        {"n": json.loads("9" * 40)},
        {"n": float("nan")},
        {"of": object()},
        {"x": "y" * 100_000},
        {"deep": endless()},
    ],
    ids=["surrogate", "name", "number", "nan", "object", "long", "deep"],
)
async def test_no_arguments_end_the_run_that_is_watched(
    narrator: Narrator, observer: Observer, arguments: dict[str, object]
) -> None:
    """Attack: a model, or whoever talks it into it, calls a tool with what no event can hold."""
    call = Call("send_message", arguments)
    narrator.called(call)
    narrator.answered(call, Answer(False, "\ud83e that is no text"))
    assert [payload["type"] for _, payload in shown(observer)] == ["tool_call", "tool_result"]


async def test_the_tools_name_is_the_models_too(narrator: Narrator, observer: Observer) -> None:
    narrator.called(Call("\ud83e" * 9_000, {"x": "y" * 9_000}))
    assert len(shown(observer)) == 1
