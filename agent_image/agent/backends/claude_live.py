"""Pure: what the `claude` program's model writes, as it writes it.

The SDK brings the events of the API's stream, and each block of the answer once more as a whole
when it is complete. Where the program asks without a stream, or a stream broke off, the whole is
all that comes.
Source: Agent SDK "Streaming output"; Anthropic API reference "Streaming messages".
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


class LiveText:
    """`feed` it every message of one turn, in order."""

    def __init__(self) -> None:
        self._pieces: dict[int, list[str]] = {}  # of the blocks whose whole has not come, by index
        self._is_in_line = False

    def feed(self, message: Any) -> str:
        """Take one of the SDK's messages; the text in it that was in none before."""
        if getattr(message, "parent_tool_use_id", None) is not None:
            return ""  # of a helper of the model's: it speaks to the model
        match type(message).__name__:
            case "StreamEvent":
                return self._streamed(message.event)
            case "AssistantMessage" if message.error is None:
                return "".join(self._complete(block) for block in message.content)
            case _:
                return ""

    def _streamed(self, event: Mapping[str, Any]) -> str:
        match event:
            case {"type": "message_start"}:
                self._pieces.clear()  # what broke off before does not go on here
            case {
                "type": "content_block_delta",
                "index": int(index),
                "delta": {"type": "text_delta", "text": str(text)},
            } if text:
                pieces = self._pieces.setdefault(index, [])
                pieces.append(text)
                return text if len(pieces) > 1 else self._apart(text)
        return ""

    def _complete(self, block: Any) -> str:
        if not (text := getattr(block, "text", "")):
            # A call is shown for itself, and stands between what was written before and after it.
            self._is_in_line = self._is_in_line and not hasattr(block, "input")
            return ""
        for index, pieces in self._pieces.items():
            if text.startswith(begun := "".join(pieces)):
                del self._pieces[index]
                return str(text.removeprefix(begun))
        return self._apart(text)

    def _apart(self, text: str) -> str:
        """The beginning of a block, in a line of its own."""
        line = f"\n{text}" if self._is_in_line else text
        self._is_in_line = True
        return line


class ClosingText:
    """The text with which a turn ends, as soon as it is whole. `feed` it every message of one turn.

    The program brings its result a while after: it writes the conversation down first.
    """

    def __init__(self) -> None:
        self._pieces: dict[int, list[str]] = {}

    def feed(self, message: Any) -> str:
        """Take one of the SDK's messages; the whole text where it has just ended the turn."""
        of_a_helper = getattr(message, "parent_tool_use_id", None) is not None
        if of_a_helper or type(message).__name__ != "StreamEvent":
            return ""
        match message.event:
            case {"type": "message_start"}:
                self._pieces.clear()
            case {
                "type": "content_block_delta",
                "index": int(index),
                "delta": {"type": "text_delta", "text": str(text)},
            }:
                self._pieces.setdefault(index, []).append(text)
            # "Handling stop reasons": end_turn, "Claude finished its response naturally"; after any
            # other the turn goes on, or fails.
            case {"type": "message_delta", "delta": {"stop_reason": "end_turn"}}:
                return "\n".join("".join(pieces) for pieces in self._pieces.values())
        return ""
