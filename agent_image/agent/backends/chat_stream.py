"""Pure: a streamed answer of OpenAI's dialect, put together from its chunks.

A chunk holds pieces of a text and of tool calls; the calls are told apart by their index, and their
arguments come as pieces of a JSON text. Servers on one's own machine differ a little: Ollama sends
a call whole; some give every call the index 0, or send no id; reasoning comes in a field of its own
(`reasoning_content`, `reasoning`), which is left alone here, or within the text as `<think>`.
Source: OpenAI "Chat completions: streaming"; the servers' own documentation.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

import orjson

MAX_ANSWER_CHARS = 1_000_000
MAX_CALLS = 64
_THOUGHT = re.compile(r"\s*<think>.*?(?:</think>|\Z)", re.DOTALL)
# Where the template of the prompt ends with `<think>`, the answer has its end alone.
_THOUGHTS_END = re.compile(r"\A(?:(?!<think>).)*?^[ \t]*</think>[ \t]*$", re.DOTALL | re.MULTILINE)


class Endless(Exception):
    """The answer is longer than any that is kept."""


@dataclass(frozen=True, slots=True)
class ToolCall:
    """arguments: JSON as the model wrote it, which may be anything."""

    id: str
    name: str
    arguments: str


@dataclass(frozen=True, slots=True)
class Reply:
    """What the model came to. text: to be said, without its thoughts. stop: why it ended, `stop`,
    `length`, `tool_calls`, `content_filter` or another word; None: the answer broke off."""

    text: str
    calls: tuple[ToolCall, ...]
    stop: str | None


@dataclass(slots=True)
class _Growing:
    id: str
    name: str = ""
    arguments: list[str] = field(default_factory=list)


class ReplyReader:
    """`feed` it every event of the stream, then take the `reply`."""

    def __init__(self) -> None:
        self._texts: list[str] = []
        self._calls: list[_Growing] = []
        self._at: dict[int, _Growing] = {}
        self._stop: str | None = None
        self._n_chars = 0

    def feed(self, event: Mapping[str, object]) -> str:
        """Take one chunk and return the text in it; what is not of its form is ignored.

        Raises Endless.
        """
        choices = event.get("choices")
        if not isinstance(choices, list) or not choices or not isinstance(choices[0], dict):
            return ""  # the one with the usage has no choice
        choice, written = choices[0], ""
        if isinstance(delta := choice.get("delta"), dict):
            if isinstance(text := delta.get("content"), str):
                self._count(text)
                self._texts.append(text)
                written = text
            if isinstance(calls := delta.get("tool_calls"), list):
                for call in calls:
                    if isinstance(call, dict):
                        self._grow(call)
        if isinstance(stop := choice.get("finish_reason"), str) and stop:
            self._stop = stop
        return written

    def reply(self) -> Reply:
        """All of it."""
        calls = tuple(
            ToolCall(one.id or f"call_{n}", one.name, "".join(one.arguments))
            for n, one in enumerate(self._calls)
        )
        return Reply(spoken("".join(self._texts)), calls, self._stop)

    def _grow(self, piece: Mapping[str, object]) -> None:
        given = piece.get("function")
        function = given if isinstance(given, dict) else {}
        index, call_id, name = piece.get("index"), _text(piece.get("id")), function.get("name")
        at = index if isinstance(index, int) else len(self._calls)
        growing = self._at.get(at)
        # A second call under the same index: it has a name, and an id of its own.
        is_another = growing is not None and name and call_id not in ("", growing.id)
        if growing is None or (is_another and growing.name):
            if len(self._calls) == MAX_CALLS:
                raise Endless
            growing = self._at[at] = _Growing(call_id)
            self._calls.append(growing)
        growing.name = growing.name or _text(name)
        arguments = function.get("arguments")
        written = _json(arguments) if isinstance(arguments, dict) else _text(arguments)
        self._count(written)
        growing.arguments.append(written)

    def _count(self, text: str) -> None:
        self._n_chars += len(text)
        if self._n_chars > MAX_ANSWER_CHARS:
            raise Endless


def spoken(text: str) -> str:
    """A model's text without the thoughts that it begins with."""
    if ended := _THOUGHTS_END.match(text):
        return text[ended.end() :].strip()
    while thought := _THOUGHT.match(text):
        text = text[thought.end() :]
    return text.strip()


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _json(value: Mapping[str, object]) -> str:
    return orjson.dumps(value).decode()
