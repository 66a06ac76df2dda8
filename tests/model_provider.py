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
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import h11

WORD_S = 0.05


class Provider:
    """See above."""

    def __init__(self, key: str, log: Path) -> None:
        self._key, self._log = key, log
        self._forever = asyncio.Event()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connection = h11.Connection(h11.SERVER)
        try:
            while True:
                request, body = await self._request(connection, reader)
                if request is None:
                    return
                await self._answer(connection, writer, request, body)
                if connection.our_state is not h11.DONE:
                    return
                connection.start_next_cycle()
        except (ConnectionError, h11.RemoteProtocolError):
            self._note(gone=True)
        finally:
            writer.close()

    async def _request(
        self, connection: h11.Connection, reader: asyncio.StreamReader
    ) -> tuple[h11.Request | None, bytes]:
        request: h11.Request | None = None
        body = bytearray()
        while True:
            match connection.next_event():
                case h11.NEED_DATA:
                    connection.receive_data(await reader.read(65_536))
                case h11.Request() as head:
                    request = head
                case h11.Data(data=data):
                    body += data
                case h11.EndOfMessage():
                    return request, bytes(body)
                case _:
                    return None, b""

    async def _answer(
        self,
        connection: h11.Connection,
        writer: asyncio.StreamWriter,
        request: h11.Request,
        body: bytes,
    ) -> None:
        headers = {name.decode(): value.decode() for name, value in request.headers}
        path = request.target.decode()
        fields = json.loads(body or b"{}")
        self._note(
            path=path,
            headers=sorted(headers),
            has_key=self._key in (headers.get("x-api-key"), headers.get("authorization", "")[7:]),
            fields=fields,
        )
        say = Speaker(connection, writer)
        if self._key not in (headers.get("x-api-key"), headers.get("authorization", "")[7:]):
            await say.whole(401, {"error": {"message": f"Incorrect API key: {headers}"}})
            return
        is_anthropic = path.startswith("/v1/messages")
        if path.endswith("/count_tokens"):
            await say.whole(200, {"input_tokens": len(body) // 4})
            return
        match fields["model"]:
            case "limited":
                error = {"type": "error", "error": {"type": "rate_limit_error", "message": "slow"}}
                await say.whole(429, error, ("retry-after", "7"), ("set-cookie", "a=b"))
            case "broken":
                await say.whole(500, {"error": {"message": "it broke"}})
            case "stalls":
                await self._forever.wait()
            case "garbage":
                writer.write(b"\x00\x01 what?\r\n\r\n")
                await writer.drain()
                writer.close()
                raise ConnectionError
            case "leaks":
                await say.whole(
                    400, {"error": {"message": f"bad: {headers}"}}, ("x-key", self._key)
                )
            case "redirects":
                await say.whole(302, {}, ("location", "http://127.0.0.1:9/v1/messages"))
            case "hangs-up":
                await say.begin(200, ("content-type", "application/json"), ("content-length", "99"))
                await say.piece(b'{"half":')
                writer.close()
                raise ConnectionError
            case _:
                await self._speak(say, fields, is_anthropic)

    async def _speak(self, say: Speaker, fields: dict[str, Any], is_anthropic: bool) -> None:
        words = str(fields["messages"][-1]["content"]).split()
        read = 11
        if not fields.get("stream"):
            text = " ".join(words)
            await say.whole(200, _anthropic(text, read, len(words)) if is_anthropic
                            else _openai(text, read, len(words)))  # fmt: skip
            return
        await say.begin(200, ("content-type", "text/event-stream; charset=utf-8"))
        if is_anthropic:
            usage = {"input_tokens": read, "output_tokens": 1}
            await say.event({"type": "message_start", "message": {"usage": usage}}, named=True)
        for n, word in enumerate(words):
            if fields["model"] == "stalls-later" and n == 1:
                await self._forever.wait()
            if fields["model"] == "slow":
                await asyncio.sleep(WORD_S)
            if is_anthropic:
                delta = {"type": "text_delta", "text": word}
                await say.event({"type": "content_block_delta", "delta": delta}, named=True)
            else:
                await say.event({"choices": [{"delta": {"content": word}}], "usage": None})
        if is_anthropic:
            end = {"type": "message_delta", "usage": {"output_tokens": len(words)}}
            await say.event(end, named=True)
            await say.event({"type": "message_stop"}, named=True)
        else:
            if fields.get("stream_options", {}).get("include_usage"):
                await say.event({"choices": [], "usage": _openai_usage(read, len(words))})
            await say.piece(b"data: [DONE]\n\n")
        await say.end()

    def _note(self, **what: object) -> None:
        with self._log.open("a") as log:
            log.write(json.dumps(what) + "\n")


class Speaker:
    """Writes an answer."""

    def __init__(self, connection: h11.Connection, writer: asyncio.StreamWriter) -> None:
        self._connection, self._writer = connection, writer

    async def whole(self, status: int, value: object, *headers: tuple[str, str]) -> None:
        body = json.dumps(value).encode()
        length = ("content-length", str(len(body)))
        await self.begin(status, ("content-type", "application/json"), length, *headers)
        await self.piece(body)
        await self.end()

    async def begin(self, status: int, *headers: tuple[str, str]) -> None:
        await self._send(h11.Response(status_code=status, headers=list(headers)))

    async def event(self, value: Mapping[str, object], *, named: bool = False) -> None:
        name = f"event: {value['type']}\n" if named else ""
        await self.piece(f"{name}data: {json.dumps(value)}\n\n".encode())

    async def piece(self, data: bytes) -> None:
        await self._send(h11.Data(data=data))

    async def end(self) -> None:
        await self._send(h11.EndOfMessage())

    async def _send(self, event: h11.Response | h11.Data | h11.EndOfMessage) -> None:
        if data := self._connection.send(event):
            self._writer.write(data)
            await self._writer.drain()


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


async def main() -> None:
    provider = Provider(sys.stdin.readline().strip(), Path(sys.argv[1]))
    server = await asyncio.start_server(provider.serve, "127.0.0.1", 0)
    print(f"provider: ready {server.sockets[0].getsockname()[1]}", flush=True)
    async with server:
        await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main())
