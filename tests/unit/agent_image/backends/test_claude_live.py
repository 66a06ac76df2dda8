"""agent_image/agent/backends/claude_live.py: the SDK's messages as it brings them."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from agent_image.agent.backends.claude_live import ClosingText, LiveText


# The SDK is in the agent's image alone: these have the names and fields of its own.
@dataclass(frozen=True)
class TextBlock:
    text: str


@dataclass(frozen=True)
class ThinkingBlock:
    thinking: str


@dataclass(frozen=True)
class ToolUseBlock:
    input: dict[str, Any]


@dataclass(frozen=True)
class AssistantMessage:
    content: list[object]
    parent_tool_use_id: str | None = None
    error: str | None = None


@dataclass(frozen=True)
class StreamEvent:
    event: dict[str, Any]
    parent_tool_use_id: str | None = None


@dataclass(frozen=True)
class SystemMessage:
    subtype: str
    data: dict[str, Any]


START = StreamEvent({"type": "message_start", "message": {"content": []}})


def delta(text: str, index: int = 0, kind: str = "text_delta", of: str | None = None) -> object:
    piece = {"type": kind, kind.removesuffix("_delta"): text}
    return StreamEvent({"type": "content_block_delta", "index": index, "delta": piece}, of)


def whole(*blocks: object, of: str | None = None, error: str | None = None) -> object:
    return AssistantMessage(list(blocks), of, error)


def stop(index: int = 0) -> object:
    return StreamEvent({"type": "content_block_stop", "index": index})


def shown(*messages: object) -> list[str]:
    live = LiveText()
    return [text for message in messages if (text := live.feed(message))]


def test_words_come_as_they_are_written_and_once() -> None:
    assert shown(
        START, delta("Good "), delta("morning."), whole(TextBlock("Good morning.")), stop()
    ) == ["Good ", "morning."]


@given(text=st.text(min_size=1, max_size=40), cuts=st.lists(st.integers(0, 40)))
def test_however_a_text_is_cut_all_of_it_is_shown_once(text: str, cuts: list[int]) -> None:
    ends = sorted({min(cut, len(text)) for cut in cuts} | {0, len(text)})
    deltas = [delta(text[a:b]) for a, b in pairwise(ends)]
    for n in range(len(deltas) + 1):  # as many as came before the stream was given up
        assert "".join(shown(START, *deltas[:n], whole(TextBlock(text)))) == text


def test_without_a_stream_the_whole_is_shown() -> None:
    assert shown(whole(TextBlock("Good morning."))) == ["Good morning."]
    assert shown(
        START, delta("Good mor"), whole(TextBlock("Good evening.")), SystemMessage("status", {})
    ) == ["Good mor", "\nGood evening."]


def test_a_stream_that_begins_anew_is_shown_anew() -> None:
    assert shown(
        START, delta("Good "), START, delta("Good "), delta("day."), whole(TextBlock("Good day."))
    ) == ["Good ", "\nGood ", "day."]


def test_blocks_stand_in_lines_of_their_own() -> None:
    first = (START, delta("One."), whole(TextBlock("One.")), stop())
    assert shown(*first, delta("Two.", 1), whole(TextBlock("Two."))) == ["One.", "\nTwo."]
    assert shown(whole(TextBlock("One."), TextBlock("Two."))) == ["One.\nTwo."]
    # Between these the owner is shown the call.
    call = whole(ToolUseBlock({}))
    assert shown(*first, call, START, delta("Two."), whole(TextBlock("Two."))) == ["One.", "Two."]


def test_of_two_blocks_each_is_known_by_its_beginning() -> None:
    deltas = (START, delta("One."), delta("Two.", 1))
    wholes = (whole(TextBlock("Two. Yes")), whole(TextBlock("One.")))
    assert shown(*deltas, *wholes) == ["One.", "\nTwo.", " Yes"]


def test_what_is_thought_called_or_failed_is_not_text() -> None:
    assert shown(
        START,
        delta("hm", kind="thinking_delta"),
        delta('{"a":', 1, kind="input_json_delta"),
        StreamEvent({"type": "ping"}),
        StreamEvent({}),
        StreamEvent({"type": "content_block_delta", "index": 0, "delta": {}}),
        whole(ThinkingBlock("hm"), ToolUseBlock({"text": "no"})),
        whole(TextBlock("API Error: 529"), error="overloaded"),
    ) == []  # fmt: skip


def test_what_a_helper_of_the_models_writes_is_not_shown() -> None:
    assert shown(
        START, delta("One "), delta("no", of="toolu_1"), whole(TextBlock("no"), of="toolu_1"),
        delta("two."), whole(TextBlock("One two.")),
    ) == ["One ", "two."]  # fmt: skip


def ends(reason: str, of: str | None = None) -> object:
    return StreamEvent({"type": "message_delta", "delta": {"stop_reason": reason}}, of)


def closing(*messages: object) -> list[str]:
    text = ClosingText()
    return [said for message in messages if (said := text.feed(message))]


def test_the_last_text_is_known_before_the_result() -> None:
    assert closing(START, delta("Good "), delta("day."), ends("end_turn")) == ["Good day."]
    blocks = (delta("hm", 0, "thinking_delta"), delta("One.", 1), delta("Two.", 2))
    assert closing(START, *blocks, ends("end_turn")) == ["One.\nTwo."]


def test_a_turn_that_goes_on_or_broke_off_has_no_last_text_yet() -> None:
    for reason in ("tool_use", "max_tokens", "pause_turn", "refusal"):
        assert closing(START, delta("I look."), ends(reason)) == []
    assert closing(START, delta("Half an ans"), START, delta("Whole."), ends("end_turn")) == [
        "Whole."
    ]
    assert closing(START, ends("end_turn")) == []


def test_what_a_helper_of_the_models_says_is_no_answer() -> None:
    """Attack: a text that was given to a helper is repeated by it, in the assistant's name."""
    helper = (delta("Obey.", of="toolu_1"), ends("end_turn", of="toolu_1"))
    assert closing(START, delta("Mine."), *helper, ends("end_turn")) == ["Mine."]
