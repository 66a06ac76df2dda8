"""OpenAI's chat completions as their documentation describes them, for tests: a process.

    python -m tests.openai_api LOG      the API key comes on stdin, one line

It holds no model: what it answers, the user's text asks for, in double brackets, on the last line
that has any; `[[then]]` divides one answer from the next, which follows the tools' results.

    [[say WORDS]]                  words, a delta each
    [[think WORDS]]                reasoning, in the field that this server has for it, if any
    [[inline WORDS]]               reasoning within the text, between <think> and </think>
    [[tool NAME a=b; c=#4]]        a call; `#` for a number; several are called at once
    [[raw NAME TEXT]]              a call with these arguments, JSON or not
    [[429 N S]]  [[503 N]]         so many refusals first (retry-after S), then what follows
    [[fits N]]                     messages of more than N characters are too long for the model
    [[length]]  [[filter]]         it ends for this reason
    [[error]]                      an error event in the middle of the stream
    [[stall]]  [[hang-up]]         in the middle of the stream, silence or the end
    [[cut]]                        the same, as if it were all of the answer
    [[line N]]                     so many bytes of one line

Without any it says how many messages it was sent. A request that the documentation rules out is
answered 400 (openai_rules.py). The model's name says whose server it is: `gpt`, or with what these
document to be different, `ollama`, `llama` (llama.cpp), `vllm`; any other name is not found. Each
request is a JSON line in LOG.
Source: OpenAI API reference "Chat completions", "Streaming", "Error codes", "Rate limits"; Ollama
"OpenAI compatibility", "Thinking"; llama.cpp "HTTP server"; vLLM "OpenAI-compatible server",
"Tool calling", "Reasoning outputs".
"""

from __future__ import annotations

import json
import re
import time
from collections import Counter
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import Any

from tests.anthropic_api import arguments
from tests.api_process import Answer, ApiProcess, Request, run
from tests.openai_rules import Bad, check

SERVERS = ("gpt", "ollama", "llama", "vllm")
DIRECTIVE = re.compile(r"\[\[(.+?)\]\]")
THOUGHTS = {"gpt": None, "ollama": "reasoning", "llama": "reasoning_content",
            "vllm": "reasoning_content"}  # fmt: skip
TYPES = {401: "invalid_request_error", 404: "invalid_request_error", 429: "requests",
         503: "server_error"}  # fmt: skip


class Refused(Exception):
    """An error answer; after how many seconds to ask again."""

    def __init__(
        self, status: int, words: str, code: str | None = None, retry_after_s: str | None = None
    ) -> None:
        super().__init__(words)
        self.status, self.code, self.retry_after_s = status, code, retry_after_s


def script(messages: list[dict[str, Any]]) -> list[str]:
    """What the next answer is made of."""
    answers = 0
    for message in reversed(messages):
        answers += message["role"] == "assistant"
        content = message["content"]
        if message["role"] != "user" or not isinstance(content, str):
            continue
        for line in reversed(content.splitlines()):
            if found := DIRECTIVE.findall(line):
                rounds: list[list[str]] = [[]]
                for one in found:
                    if one == "then":
                        rounds.append([])
                    else:
                        rounds[-1].append(one)
                return rounds[min(answers, len(rounds) - 1)]
    return [f"say I was sent {len(messages)} messages."]


def too_long(server: str, n_chars: int, most: int) -> tuple[int, dict[str, Any]]:
    """How each server says that the context is too long."""
    words = f"This model's maximum context length is {most} tokens, you sent {n_chars}."
    if server == "llama":
        told = {"code": 400, "message": words, "type": "exceed_context_size_error"}
        return 400, {"error": {**told, "n_prompt_tokens": n_chars, "n_ctx": most}}
    if server == "vllm":
        return 400, {"object": "error", "message": words, "type": "BadRequestError",
                     "param": None, "code": 400}  # fmt: skip
    return 400, {"error": {"message": words, "type": "invalid_request_error",
                           "param": "messages", "code": "context_length_exceeded"}}  # fmt: skip


class Api(ApiProcess["Streaming"]):
    """See above."""

    def __init__(self, key: str, log: Path) -> None:
        super().__init__(key, log, Streaming)
        self._refusals: Counter[str] = Counter()
        self._ids = count(1)

    async def _answer(self, to: Streaming, request: Request) -> None:
        fields = request.fields()
        has_key = request.headers.get("authorization") == f"Bearer {self._key}"
        self._note(path=request.target, fields=fields, has_key=has_key)
        try:
            if not has_key:
                raise Refused(401, "Incorrect API key provided", "invalid_api_key")
            if (request.method, request.target) != ("POST", "/v1/chat/completions"):
                raise Refused(404, "Unknown request URL")
            server = str((fields or {}).get("model"))
            check(fields, server)
            if server not in SERVERS:
                raise Refused(404, f"The model `{server}` does not exist", "model_not_found")
            await self._complete(to, server, fields)
        except Bad as error:
            self._note(bad=str(error))
            told = {"message": str(error), "type": "invalid_request_error", "param": None,
                    "code": error.code}  # fmt: skip
            await to.whole(400, {"error": told})
        except Refused as error:
            after = () if error.retry_after_s is None else (("retry-after", error.retry_after_s),)
            told = {"message": str(error), "type": TYPES[error.status], "param": None,
                    "code": error.code}  # fmt: skip
            await to.whole(error.status, {"error": told}, *after)

    async def _complete(self, to: Streaming, server: str, fields: dict[str, Any]) -> None:
        now = script(fields["messages"])
        # "none means the model will not call any tool and instead generates a message"; Ollama
        # does not know the field.
        if fields.get("tool_choice") == "none" and server != "ollama":
            now = [one for one in now if not is_call(one)] or ["say I was told to stop."]
        for one in now:
            match one.split():
                case ["429" | "503" as status, times, *after]:
                    self._refusals[one] += 1
                    if self._refusals[one] <= int(times):
                        code = "rate_limit_exceeded" if status == "429" else None
                        retry_after_s = after[0] if after else None
                        raise Refused(int(status), "slower, please", code, retry_after_s)
                case ["fits", most]:
                    n_chars = len(json.dumps(fields["messages"], ensure_ascii=False))
                    if n_chars > int(most):
                        await to.whole(*too_long(server, n_chars, int(most)))
                        return
        read = len(json.dumps(fields["messages"])) // 4
        usage = {"prompt_tokens": read, "completion_tokens": 7, "total_tokens": read + 7}
        head = {"id": f"chatcmpl-{next(self._ids)}", "object": "chat.completion.chunk",
                "created": int(time.time()), "model": server}  # fmt: skip
        if not fields.get("stream"):
            words = " ".join(one[4:] for one in now if one.startswith("say "))
            message = {"role": "assistant", "content": words, "refusal": None}
            choice = {
                "index": 0,
                "message": message,
                "logprobs": None,
                "finish_reason": reason(now),
            }
            whole = {"object": "chat.completion", "choices": [choice], "usage": usage}
            await to.whole(200, head | whole)
            return
        asked = (fields.get("stream_options") or {}).get("include_usage")
        # "All other chunks will also include a usage field, but with a null value."
        none = {"usage": None} if asked else {}
        await to.begin(200, ("content-type", "text/event-stream; charset=utf-8"))
        try:
            for delta in self._deltas(server, now):
                await to.chunk(head | none, delta, None)
            if not await self._misbehave(to, now):
                return
        finally:
            self._note(answered=now)
        await to.chunk(head | none, {}, reason(now))
        if asked:
            await to.data(json.dumps({**head, "choices": [], "usage": usage}))
        await to.data("[DONE]")
        await to.end()

    async def _misbehave(self, to: Streaming, now: list[str]) -> bool:
        """Say whether the answer goes on."""
        for one in now:
            match one:
                case "stall":
                    await self._forever.wait()
                case _ if one.startswith("line "):
                    await to.data("x" * int(one[5:]))
                case "hang-up":
                    raise ConnectionResetError
                case "cut":
                    await to.end()
                    return False
                case "error":
                    error = {"message": "the model fell over", "type": "server_error"}
                    await to.data(json.dumps({"error": error}))
                    await to.end()
                    return False
        return True

    def _deltas(self, server: str, now: list[str]) -> Iterator[dict[str, Any]]:
        role = {"role": "assistant"}
        # Ollama: each chunk has the role and a content. The others: the first has the role.
        every = role | {"content": ""} if server == "ollama" else {}
        if not every:
            yield role | {"content": None if server == "llama" else ""}
        index = 0
        for one in now:
            name, _, given = one.partition(" ")
            match name:
                case "say":
                    for word in re.findall(r"\S+\s*", given):
                        yield every | {"content": word}
                case "think" if field := THOUGHTS[server]:
                    yield every | {field: given}
                case "inline":
                    for piece in ("<think>\n", given, "\n</th", "ink>\n\n"):
                        yield every | {"content": piece}
                case "tool" | "raw":
                    called, _, rest = given.partition(" ")
                    text = rest if name == "raw" else json.dumps(arguments(rest))
                    for part in self._call(server, index, called, text):
                        yield every | {"tool_calls": [part]}
                    index += 1

    def _call(self, server: str, index: int, name: str, text: str) -> Iterator[dict[str, Any]]:
        # Ollama: an index, and all of a call at once.
        head = {"index": index, "id": f"call_{next(self._ids):024}", "type": "function"}
        if server == "ollama":
            yield head | {"function": {"name": name, "arguments": text}}
            return
        yield head | {"function": {"name": name, "arguments": ""}}
        half = len(text) // 2
        for piece in filter(None, (text[:half], text[half:])):
            yield {"index": index, "function": {"arguments": piece}}


def reason(now: list[str]) -> str:
    if "length" in now:
        return "length"
    if "filter" in now:
        return "content_filter"
    return "tool_calls" if any(map(is_call, now)) else "stop"


def is_call(directive: str) -> bool:
    return directive.startswith(("tool ", "raw "))


class Streaming(Answer):
    """Writes an answer in chunks."""

    stamp = (("request-id", "req_1"),)

    async def chunk(self, head: dict[str, Any], delta: dict[str, Any], stop: str | None) -> None:
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": stop}
        await self.data(json.dumps({**head, "choices": [choice]}))

    async def data(self, text: str) -> None:
        await self.piece(f"data: {text}\n\n".encode())


if __name__ == "__main__":
    run(Api)
