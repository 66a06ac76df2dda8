"""tests/anthropic_api.py: what of a conversation it takes for the question that it answers."""

from __future__ import annotations

from typing import Any

import pytest

from tests.anthropic_api import Bad, check_messages, due, script

ASKED = "look [[say I look]] [[tool recall]] [[say It is there.]]"


def user(*blocks: dict[str, Any]) -> dict[str, Any]:
    return {"role": "user", "content": list(blocks)}


def text(words: str) -> dict[str, Any]:
    return {"type": "text", "text": words}


def result(tool_use: str) -> dict[str, Any]:
    return {"type": "tool_result", "tool_use_id": tool_use, "content": [text("[[say no]]")]}


def called(tool_use: str) -> dict[str, Any]:
    block = {"type": "tool_use", "id": tool_use, "name": "recall", "input": {}}
    return {"role": "assistant", "content": [block]}


def answer(*messages: dict[str, Any]) -> list[str]:
    check_messages(list(messages))
    _, directives, results = script(list(messages))
    return due(directives, results)


def test_after_a_tools_result_comes_what_follows_it() -> None:
    asked = user(text("about the house"), text(ASKED))
    assert answer(asked) == ["say I look", "tool recall"]
    assert answer(asked, called("a"), user(result("a"))) == ["say It is there."]


def test_what_came_beside_a_tools_result_is_the_newest_question() -> None:
    beside = user(result("a"), text("or rather"), text("[[tool recall]] [[say Rather.]]"))
    asked = user(text(ASKED))
    assert answer(asked, called("a"), beside) == ["tool recall"]
    assert answer(asked, called("a"), beside, called("b"), user(result("b"))) == ["say Rather."]


def test_without_a_directive_it_counts() -> None:
    beside = user(result("a"), text("and now?"))
    assert answer(user(text(ASKED)), called("a"), beside) == ["say I was sent 3 messages."]
    summary = user(text("Now write\na <summary> of it"))
    assert answer(summary) == ["say <summary>I was sent 1 messages.</summary>"]


def test_a_system_message_follows_a_user_turn_where_the_model_takes_any() -> None:
    told = {"role": "system", "content": "It is late."}
    said = {"role": "assistant", "content": [text("Hi.")]}
    check_messages([user(text("hi")), told, said, user(text("and?")), told], "claude-opus-4-8")
    for order, model in (
        ([user(text("hi")), told], "claude-sonnet-4-5"),
        ([told, user(text("hi"))], "claude-opus-4-8"),
        ([user(text("hi")), said, told], "claude-opus-4-8"),
    ):
        with pytest.raises(Bad):
            check_messages(order, model)
