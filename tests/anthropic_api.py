"""Anthropic's Messages API as its documentation describes it, for tests: a process of its own.

    python -m tests.anthropic_api LOG      the API key comes on stdin, one line

It holds no model: what it answers, the last line of the user's text asks for, in double brackets.
One answer goes up to a tool; the next follows that tool's result.

    [[say WORDS]]                  words, one delta each
    [[slowly]]                     with a pause before each word, as models have
    [[think WORDS]]                a thinking block
    [[tool NAME a=b; c=d]]         a call of the tool whose name ends so; `=#` for a number
    [[429 N S]]  [[529 N]]         so many refusals first (retry-after S), then what follows
    [[error TYPE]]                 an error event in the middle of the stream
    [[stall]]  [[hang-up]]         in the middle of the answer, silence or the end
    [[room N]]                     refused as too long where it takes more than N tokens to read
    [[read N]]                     what follows is said to have taken N tokens to read

Without any it says how many messages it was sent, in a summary where one is asked for. A request
that the documentation rules out is answered 400. Each request, and each caller that hung up, is a
JSON line in LOG.
Source: Anthropic API reference "Messages", "Count Message tokens", "Streaming messages",
"Errors", "Rate limits", "Tool use", "Extended thinking", "Mid-conversation system messages".
"""

from __future__ import annotations

import asyncio
import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from itertools import count
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from tests.api_process import Answer, ApiProcess, Request, run

STATUS = {
    "invalid_request_error": 400, "authentication_error": 401, "not_found_error": 404,
    "rate_limit_error": 429, "api_error": 500, "overloaded_error": 529,
}  # fmt: skip
FIELDS = {
    "model", "messages", "max_tokens", "cache_control", "container", "context_management",
    "inference_geo", "mcp_servers", "metadata", "output_config", "output_format", "service_tier",
    "speed", "stop_sequences", "stream", "system", "temperature", "thinking", "tool_choice",
    "tools", "top_k", "top_p",
}  # fmt: skip
# "Beta headers": these fields are unknown without one.
BETA_FIELDS = {"context_management", "mcp_servers", "speed", "output_format"}
TOOL_NAME = re.compile(r"[a-zA-Z0-9_-]{1,128}")
PACE_S = 0.3
DIRECTIVE = re.compile(r"\[\[(.+?)\]\]")
BLOCKS = {
    "user": {"text", "image", "document", "tool_result", "search_result"},
    "assistant": {"text", "thinking", "redacted_thinking", "tool_use"},
    "system": {"text"},
}
# "Mid-conversation system messages": Claude Opus 4.8 takes them, and whatever came after it.
WITHOUT_SYSTEM_ROLE = re.compile(r"claude-(3|(opus|sonnet|haiku)-4(-[0-7])?(-\d{8})?$)")


class Bad(Exception):
    """The request is not one that the documentation allows."""


class Refused(Exception):
    """An error answer: its type and words, and after how many seconds to ask again."""

    def __init__(self, kind: str, words: str, retry_after_s: int | None = None) -> None:
        super().__init__(words)
        self.kind, self.retry_after_s = kind, retry_after_s


def check(fields: Any, beta: str | None) -> None:
    """Raise Bad unless the body is a request as "Messages" has it."""
    require(isinstance(fields, dict), "the body must be an object")
    for name in fields:
        known = name in FIELDS and (name not in BETA_FIELDS or bool(beta))
        require(known, f"{name}: Extra inputs are not permitted")
    for name, kind in (("model", str), ("messages", list), ("max_tokens", int)):
        require(name in fields, f"{name}: Field required")
        require(isinstance(fields[name], kind), f"{name}: Input should be a valid {kind.__name__}")
    require(fields["max_tokens"] >= 1, "max_tokens: Input should be greater than or equal to 1")
    if isinstance(system := fields.get("system"), list):
        require(all(b.get("type") == "text" and b.get("text") for b in system), "system: text")
    if (thinking := fields.get("thinking", {})).get("type") == "enabled":
        budget = thinking.get("budget_tokens", 0)
        require(1024 <= budget < fields["max_tokens"], "thinking: budget_tokens")
    names = [check_tool(tool) for tool in fields.get("tools", [])]
    require(len(set(names)) == len(names), "tools: Tool names must be unique.")
    check_messages(fields["messages"], fields["model"])


def check_tool(tool: dict[str, Any]) -> str:
    name = tool.get("name", "")
    require(bool(TOOL_NAME.fullmatch(name)), f"tools.name: {name!r} does not match the pattern")
    if tool.get("type", "custom") == "custom":
        schema = tool.get("input_schema", {}).get("type")
        require(schema == "object", "tools.input_schema.type: Field required")
    return str(name)


def check_messages(messages: list[dict[str, Any]], model: str = "") -> None:
    require(bool(messages), "messages: at least one message is required")
    require(messages[0].get("role") == "user", "messages: first message must use the user role")
    turns: list[tuple[str, list[dict[str, Any]]]] = []
    before = ""
    for message in messages:
        role, content = message.get("role", ""), message.get("content")
        require(role in BLOCKS, "messages.role: Input should be 'user' or 'assistant'")
        if role == "system":
            has_it = not WITHOUT_SYSTEM_ROLE.match(model)
            require(has_it, "role 'system' is not supported on this model")
            require(before == "user", "messages: a system message must follow a user turn")
        before = role
        blocks = [{"type": "text", "text": content}] if isinstance(content, str) else content or []
        require(isinstance(blocks, list) and bool(blocks), "messages.content: must be non-empty")
        for block in blocks:
            kind = block.get("type")
            require(kind in BLOCKS[role], f"messages.content: Input tag {kind!r} found")
            empty = kind == "text" and not block.get("text", "").strip()
            require(not empty, "messages: text content blocks must be non-empty")
        # "consecutive user or assistant turns in your request will be combined"
        if role == "system":
            continue
        if turns and turns[-1][0] == role:
            turns[-1][1].extend(blocks)
        else:
            turns.append((role, list(blocks)))
    asked: list[str] = []
    for _, blocks in turns:
        answers = [b.get("tool_use_id") for b in blocks if b["type"] == "tool_result"]
        unknown = [a for a in answers if a not in asked]
        require(not unknown, f"unexpected `tool_use_id` found in `tool_result` blocks: {unknown}")
        left = [a for a in asked if a not in answers]
        require(not left, f"`tool_use` ids were found without `tool_result` blocks: {left}")
        # "In the user message containing tool results, the tool_result blocks must come FIRST"
        kinds = [b["type"] for b in blocks]
        first = kinds[: len(answers)]
        require(all(k == "tool_result" for k in first), "tool_result blocks must come first")
        asked = [str(b.get("id")) for b in blocks if b["type"] == "tool_use"]
    require(not asked, "`tool_use` ids were found without `tool_result` blocks at the end")


def require(condition: bool, words: str) -> None:
    if not condition:
        raise Bad(words)


def script(messages: list[dict[str, Any]]) -> tuple[str, list[str], int]:
    """The last line of the user's last text, what it asks for, and how many rounds of tools have
    come since."""
    line, results = "", 0
    for message in reversed(messages):
        if message["role"] != "user":
            continue
        content = message["content"]
        blocks = [{"type": "text", "text": content}] if isinstance(content, str) else content
        # A text that follows a tool's result came while the tool was at work.
        if texts := [str(block["text"]) for block in blocks if block["type"] == "text"]:
            line = texts[-1].rstrip().rpartition("\n")[2]
            break
        results += 1
    if found := DIRECTIVE.findall(line):
        return line, found, results
    words = f"I was sent {len(messages)} messages."
    return "", [f"say <summary>{words}</summary>" if "<summary>" in line else f"say {words}"], 0


def due(directives: list[str], results: int) -> list[str]:
    """Those of the directives that the next answer is made of."""
    rounds: list[list[str]] = [[]]
    for one in directives:
        rounds[-1].append(one)
        if one.startswith("tool "):
            rounds.append([])
    return rounds[min(results, len(rounds) - 1)]


def arguments(given: str) -> dict[str, object]:
    found: dict[str, object] = {}
    for part in filter(None, (each.strip() for each in given.split(";"))):
        name, _, value = part.partition("=")
        found[name] = int(value[1:]) if value.startswith("#") else value
    return found


class Api(ApiProcess["Answering"]):
    """See above."""

    def __init__(self, key: str, log: Path) -> None:
        super().__init__(key, log, Answering)
        self._refusals: Counter[str] = Counter()
        self._ids = count(1)

    async def _answer(self, to: Answering, request: Request) -> None:
        headers, fields = request.headers, request.fields()
        has_key = headers.get("x-api-key") == self._key
        self._note(
            method=request.method, path=request.target, headers=headers, fields=fields,
            has_key=has_key,
        )  # fmt: skip
        try:
            if not has_key:
                raise Refused("authentication_error", "invalid x-api-key")
            if "anthropic-version" not in headers:
                raise Bad("anthropic-version: header is required")
            match request.method, urlsplit(request.target).path:
                case "POST", "/v1/messages":
                    check(fields, headers.get("anthropic-beta"))
                    await self._message(to, fields)
                case "POST", "/v1/messages/count_tokens":
                    await to.whole(200, {"input_tokens": len(request.body) // 4})
                case _:
                    raise Refused("not_found_error", "Not Found")
        except Bad as error:
            self._note(bad=str(error))
            await to.error("invalid_request_error", str(error), None)
        except Refused as error:
            await to.error(error.kind, str(error), error.retry_after_s)

    async def _message(self, to: Answering, fields: dict[str, Any]) -> None:
        line, directives, results = script(fields["messages"])
        now = due(directives, results)
        read = len(json.dumps(fields["messages"])) // 4
        for one in now:
            name, *given = one.split()
            if name in ("429", "529") and self._refusals[line + one] < int(given[0]):
                self._refusals[line + one] += 1
                if name == "429":
                    raise Refused("rate_limit_error", "slower, please", int(given[1]))
                raise Refused("overloaded_error", "Overloaded")
            if name == "read":
                read = int(given[0])
            if name == "room" and read > int(given[0]):
                words = f"prompt is too long: {read} tokens > {given[0]} maximum"
                raise Refused("invalid_request_error", words)
        blocks = list(self._blocks(now, fields.get("tools", [])))
        if fields.get("stream"):
            await self._stream(to, fields["model"], now, blocks, read)
            return
        if "stall" in now:
            await self._forever.wait()
        if "hang-up" in now:
            raise ConnectionResetError
        await to.whole(200, self._message_of(fields["model"], blocks, read))

    def _blocks(self, now: list[str], tools: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
        for one in now:
            name, _, given = one.partition(" ")
            match name:
                case "say":
                    yield {"type": "text", "text": given}
                case "think":
                    yield {"type": "thinking", "thinking": given, "signature": "c2lnbmVk"}
                case "tool":
                    tool, _, rest = given.partition(" ")
                    full = next((t["name"] for t in tools if t["name"].endswith(tool)), tool)
                    yield {"type": "tool_use", "id": f"toolu_{next(self._ids):024}", "name": full,
                           "input": arguments(rest)}  # fmt: skip

    def _message_of(self, model: str, blocks: list[dict[str, Any]], read: int) -> dict[str, Any]:
        calls = any(block["type"] == "tool_use" for block in blocks)
        return {
            "id": f"msg_{next(self._ids):024}", "type": "message", "role": "assistant",
            "model": model, "content": blocks, "stop_sequence": None,
            "stop_reason": "tool_use" if calls else "end_turn",
            "usage": {"input_tokens": read, "output_tokens": 7, "cache_read_input_tokens": 0,
                      "cache_creation_input_tokens": 0},
        }  # fmt: skip

    async def _stream(
        self, to: Answering, model: str, now: list[str], blocks: list[dict[str, Any]], read: int
    ) -> None:
        message = self._message_of(model, blocks, read)
        begun = message | {"content": [], "stop_reason": None}
        begun["usage"] = message["usage"] | {"output_tokens": 1}
        await to.begin(200, ("content-type", "text/event-stream; charset=utf-8"))
        await to.event("message_start", message=begun)
        await to.event("ping")
        for index, block in enumerate(blocks):
            if "slowly" in now and block["type"] == "text":
                await self._write(to, index, block["text"])
            else:
                await to.block(index, block)
        for one in now:
            match one.split():
                case ["stall"]:
                    await self._forever.wait()
                case ["hang-up"]:
                    raise ConnectionResetError
                case ["error", kind]:
                    await to.event("error", error={"type": kind, "message": kind})
                    await to.end()
                    return
        delta = {"stop_reason": message["stop_reason"], "stop_sequence": None}
        await to.event("message_delta", delta=delta, usage={"output_tokens": 7})
        await to.event("message_stop")
        await to.end()

    async def _write(self, to: Answering, index: int, text: str) -> None:
        await to.event(
            "content_block_start", index=index, content_block={"type": "text", "text": ""}
        )
        for word in re.findall(r"\S+\s*", text):
            await asyncio.sleep(PACE_S)
            delta = {"type": "text_delta", "text": word}
            await to.event("content_block_delta", index=index, delta=delta)
        await to.event("content_block_stop", index=index)


class Answering(Answer):
    """Writes one answer."""

    stamp = (("request-id", "req_1"),)

    async def error(self, kind: str, words: str, retry_after_s: int | None) -> None:
        after = () if retry_after_s is None else (("retry-after", str(retry_after_s)),)
        value = {"type": "error", "error": {"type": kind, "message": words}, "request_id": "req_1"}
        await self.whole(STATUS[kind], value, *after)

    async def event(self, name: str, **fields: object) -> None:
        text = f"event: {name}\ndata: {json.dumps({'type': name, **fields})}\n\n"
        await self.piece(text.encode())

    async def block(self, index: int, block: Mapping[str, Any]) -> None:
        """One content block, in pieces."""
        match block["type"]:
            case "text":
                empty: dict[str, Any] = {"type": "text", "text": ""}
                words = re.findall(r"\S+\s*", block["text"])
                deltas = [{"type": "text_delta", "text": word} for word in words]
            case "thinking":
                empty = {"type": "thinking", "thinking": "", "signature": ""}
                deltas = [
                    {"type": "thinking_delta", "thinking": block["thinking"]},
                    {"type": "signature_delta", "signature": block["signature"]},
                ]
            case _:
                empty = {**block, "input": {}}
                text = json.dumps(block["input"])
                pieces = ["", text[: len(text) // 2], text[len(text) // 2 :]]
                deltas = [{"type": "input_json_delta", "partial_json": p} for p in pieces]
        await self.event("content_block_start", index=index, content_block=empty)
        for delta in deltas:
            await self.event("content_block_delta", index=index, delta=delta)
        await self.event("content_block_stop", index=index)


if __name__ == "__main__":
    run(Api)
