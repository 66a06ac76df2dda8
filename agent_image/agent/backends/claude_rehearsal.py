"""Shell: what stands in the place of the language models while the `claude` program rehearses.

What a program does for the first time takes long: its code is compiled while it runs. So one that
waits for its job is asked a side question, of which its conversation keeps nothing, and this
answers at the door in a word, whatever it is asked; nothing leaves the container.
Source: Anthropic API reference "Streaming messages".
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

import orjson

from agent_image.agent.model import NOTHING, Answer

QUESTION = "Are you ready?"
_WORD = {"type": "text_delta", "text": "Yes."}
_MESSAGE: dict[str, object] = {
    "id": "msg_rehearsal", "type": "message", "role": "assistant", "model": "rehearsal",
    "content": [], "stop_reason": None, "stop_sequence": None,
    "usage": {"input_tokens": 1, "output_tokens": 1},
}  # fmt: skip
_EVENTS: tuple[dict[str, object], ...] = (
    {"type": "message_start", "message": _MESSAGE},
    {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
    {"type": "content_block_delta", "index": 0, "delta": _WORD},
    {"type": "content_block_stop", "index": 0},
    {
        "type": "message_delta",
        "delta": {"stop_reason": "end_turn", "stop_sequence": None},
        "usage": {"output_tokens": 1},
    },
    {"type": "message_stop"},
)


class Rehearsal:
    """A way to models that leads nowhere, as `Models` is one that leads to them."""

    @asynccontextmanager
    async def request(
        self, method: str, path: str, body: bytes, given: Mapping[str, str] = NOTHING
    ) -> AsyncIterator[Answer]:
        """The same answer to everything."""
        yield Answer(200, {"content-type": "text/event-stream; charset=utf-8"}, _stream())


async def _stream() -> AsyncIterator[bytes]:
    for event in _EVENTS:
        yield b"event: %s\ndata: %s\n\n" % (str(event["type"]).encode(), orjson.dumps(event))
