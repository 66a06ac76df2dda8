"""agent_image/agent/backends/chat_stream.py: chunks as servers send them, and as none should."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent_image.agent.backends.chat_stream import (
    MAX_ANSWER_CHARS,
    Endless,
    Reply,
    ReplyReader,
    ToolCall,
    spoken,
)

values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["choices", "delta", "content", "tool_calls", "index", "id", "function", "name",
                 "arguments", "finish_reason"]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=20,
)  # fmt: skip


def read(deltas: Sequence[dict[str, Any]], stop: str | None = "stop") -> Reply:
    reader = ReplyReader()
    for delta in deltas:
        reader.feed({"choices": [{"index": 0, "delta": delta, "finish_reason": None}]})
    if stop is not None:
        reader.feed({"choices": [{"index": 0, "delta": {}, "finish_reason": stop}]})
    reader.feed({"choices": [], "usage": {"total_tokens": 9}})
    return reader.reply()


def call(name: str | None = None, arguments: Any = None, **more: Any) -> dict[str, Any]:
    function = {"name": name, "arguments": arguments}
    return {"tool_calls": [more | {"function": {k: v for k, v in function.items() if v}}]}


@given(text=st.text(alphabet="ab \n<>/think", max_size=60), cuts=st.lists(st.integers(0, 60)))
def test_a_text_is_the_same_however_it_was_cut(text: str, cuts: list[int]) -> None:
    ends = sorted({min(cut, len(text)) for cut in cuts} | {0, len(text)})
    pieces = [text[a:b] for a, b in pairwise(ends)]
    assert read([{"content": piece} for piece in pieces]).text == spoken(text)


@given(events=st.lists(st.dictionaries(st.just("choices"), values, max_size=1), max_size=5))
def test_nothing_that_is_json_breaks_it(events: list[dict[str, object]]) -> None:
    reader = ReplyReader()
    for event in events:
        reader.feed(event)
    reply = reader.reply()
    assert all(isinstance(one.arguments, str) for one in reply.calls)


@pytest.mark.parametrize(
    ("deltas", "calls"),
    [
        # OpenAI: the id and the name first, then the arguments in pieces, by index.
        (
            [call("a", index=0, id="x"), call(arguments='{"k"', index=0),
             call("b", index=1, id="y"), call(arguments=":1}", index=0),
             call(arguments="{}", index=1)],
            [("x", "a", '{"k":1}'), ("y", "b", "{}")],
        ),
        # All of a call at once, each with the index 0.
        (
            [call("a", "{}", index=0, id="x"), call("a", "{}", index=0, id="y")],
            [("x", "a", "{}"), ("y", "a", "{}")],
        ),
        # No index.
        (
            [call("a", "{}", id="x"), call("b", "{}", id="y")],
            [("x", "a", "{}"), ("y", "b", "{}")],
        ),
        # No id: they are counted.
        (
            [call("a", "{}", index=0), call("b", "{}", index=1)],
            [("call_0", "a", "{}"), ("call_1", "b", "{}")],
        ),
        # Another id with each piece.
        (
            [call("a", index=0, id="x"), call(arguments="{", index=0, id="y"),
             call(arguments="}", index=0, id="z")],
            [("x", "a", "{}")],
        ),
        # The name and the id with each piece.
        (
            [call("a", "{", index=0, id="x"), call("a", "}", index=0, id="x")],
            [("x", "a", "{}")],
        ),
        # Arguments that are no text.
        ([call("a", {"k": 1}, index=0, id="x")], [("x", "a", '{"k":1}')]),
    ],
)  # fmt: skip
def test_calls_are_put_together(
    deltas: list[dict[str, Any]], calls: list[tuple[str, str, str]]
) -> None:
    assert read(deltas).calls == tuple(ToolCall(*one) for one in calls)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("<think>hm</think>yes", "yes"),
        ("\n<think>\nhm\n</think>\n\nyes\n", "yes"),
        ("<think>a</think><think>b</think>yes", "yes"),
        ("<think>cut off in the mid", ""),
        ("hm\n</think>\nyes", "yes"),
        ("the tag </think> ends it", "the tag </think> ends it"),
        ("yes, <think> is a tag", "yes, <think> is a tag"),
        ("", ""),
    ],
)
def test_what_was_thought_is_not_said(text: str, said: str) -> None:
    assert spoken(text) == said


def test_reasoning_has_a_field_of_its_own() -> None:
    reply = read([{"reasoning_content": "hm"}, {"reasoning": "hm"}, {"content": "yes"}])
    assert reply.text == "yes"


def test_an_answer_without_its_end_has_no_reason_to_stop() -> None:
    assert read([{"content": "half"}], stop=None).stop is None
    assert read([{"content": "all"}]).stop == "stop"


def test_an_endless_answer_is_given_up() -> None:
    with pytest.raises(Endless):
        read([{"content": "x" * (MAX_ANSWER_CHARS + 1)}])
    with pytest.raises(Endless):
        read([call("a", "x" * MAX_ANSWER_CHARS, index=0, id="x"), call(arguments="x", index=0)])
    with pytest.raises(Endless):
        read([call("a", "{}", index=n, id=str(n)) for n in range(65)])
