"""A provider of language models, for tests: a real HTTP server, as a process of its own.

    python -m tests.model_provider LOG      the API key comes on stdin, one line

It answers as Anthropic's and OpenAI's services do, and misbehaves as the model's name says:
`echo` says the last message back, word by word where it streams. `limited` 429; `broken` 500;
`stalls` never begins, `stalls-later` stops in the middle; `garbage` does not speak HTTP; `leaks`
repeats the key; `redirects`; `hangs-up` in the middle of a body; `slow` sends a word every 50 ms.
Each request it took, and each that was given up by its caller, is a JSON line in LOG.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests.api_process import Answer, ApiProcess, Request, run

WORD_S = 0.05


class Provider(ApiProcess["Speaker"]):
    """See above."""

    def __init__(self, key: str, log: Path) -> None:
        super().__init__(key, log, Speaker)

    async def _answer(self, to: Speaker, request: Request) -> None:
        headers, path, fields = request.headers, request.target, request.fields()
        has_key = self._key in (headers.get("x-api-key"), headers.get("authorization", "")[7:])
        self._note(path=path, headers=sorted(headers), has_key=has_key, fields=fields)
        if not has_key:
            await to.whole(401, {"error": {"message": f"Incorrect API key: {headers}"}})
            return
        if path.endswith("/count_tokens"):
            await to.whole(200, {"input_tokens": len(request.body) // 4})
            return
        match fields["model"]:
            case "limited":
                error = {"type": "error", "error": {"type": "rate_limit_error", "message": "slow"}}
                await to.whole(429, error, ("retry-after", "7"), ("set-cookie", "a=b"))
            case "broken":
                await to.whole(500, {"error": {"message": "it broke"}})
            case "stalls":
                await self._forever.wait()
            case "garbage":
                await to.babble()
                raise ConnectionError
            case "leaks":
                await to.whole(400, {"error": {"message": f"bad: {headers}"}}, ("x-key", self._key))
            case "redirects":
                await to.whole(302, {}, ("location", "http://127.0.0.1:9/v1/messages"))
            case "hangs-up":
                await to.begin(200, ("content-type", "application/json"), ("content-length", "99"))
                await to.piece(b'{"half":')
                raise ConnectionError
            case _:
                await self._speak(to, fields, path.startswith("/v1/messages"))

    async def _speak(self, to: Speaker, fields: dict[str, Any], is_anthropic: bool) -> None:
        words = str(fields["messages"][-1]["content"]).split()
        read = 11
        if not fields.get("stream"):
            text = " ".join(words)
            await to.whole(200, _anthropic(text, read, len(words)) if is_anthropic
                           else _openai(text, read, len(words)))  # fmt: skip
            return
        await to.begin(200, ("content-type", "text/event-stream; charset=utf-8"))
        if is_anthropic:
            usage = {"input_tokens": read, "output_tokens": 1}
            await to.event({"type": "message_start", "message": {"usage": usage}}, named=True)
        for n, word in enumerate(words):
            if fields["model"] == "stalls-later" and n == 1:
                await self._forever.wait()
            if fields["model"] == "slow":
                await asyncio.sleep(WORD_S)
            if is_anthropic:
                delta = {"type": "text_delta", "text": word}
                await to.event({"type": "content_block_delta", "delta": delta}, named=True)
            else:
                await to.event({"choices": [{"delta": {"content": word}}], "usage": None})
        if is_anthropic:
            end = {"type": "message_delta", "usage": {"output_tokens": len(words)}}
            await to.event(end, named=True)
            await to.event({"type": "message_stop"}, named=True)
        else:
            if fields.get("stream_options", {}).get("include_usage"):
                await to.event({"choices": [], "usage": _openai_usage(read, len(words))})
            await to.piece(b"data: [DONE]\n\n")
        await to.end()


class Speaker(Answer):
    """Writes an answer."""

    async def event(self, value: Mapping[str, object], *, named: bool = False) -> None:
        name = f"event: {value['type']}\n" if named else ""
        await self.piece(f"{name}data: {json.dumps(value)}\n\n".encode())

    async def babble(self) -> None:
        """What is not HTTP."""
        await self._write(b"\x00\x01 what?\r\n\r\n")


def _anthropic(text: str, read: int, made: int) -> dict[str, object]:
    return {
        "type": "message",
        "role": "assistant",
        "content": [{"type": "text", "text": text}],
        "usage": {"input_tokens": read, "output_tokens": made},
    }


def _openai(text: str, read: int, made: int) -> dict[str, object]:
    return {
        "object": "chat.completion",
        "choices": [{"message": {"role": "assistant", "content": text}}],
        "usage": _openai_usage(read, made),
    }


def _openai_usage(read: int, made: int) -> dict[str, object]:
    return {"prompt_tokens": read, "completion_tokens": made, "total_tokens": read + made,
            "prompt_tokens_details": {"cached_tokens": 4}}  # fmt: skip


if __name__ == "__main__":
    run(Provider)
