"""What OpenAI's documentation of chat completions rules out in a request, for tests.

And what servers on one's own machine rule out besides: Ollama reads the arguments of the calls that
it is sent back; the templates of some models in llama.cpp want user and assistant to take turns.
Source: OpenAI API reference "Create chat completion", "Function calling", "Error codes"; Ollama
"OpenAI compatibility"; llama.cpp "Function calling".
"""

from __future__ import annotations

import json
import re
from itertools import pairwise
from typing import Any

FIELDS = {
    "audio", "frequency_penalty", "function_call", "functions", "logit_bias", "logprobs",
    "max_completion_tokens", "max_tokens", "messages", "metadata", "modalities", "model", "n",
    "parallel_tool_calls", "prediction", "presence_penalty", "prompt_cache_key",
    "reasoning_effort", "response_format", "safety_identifier", "seed", "service_tier", "stop",
    "store", "stream", "stream_options", "temperature", "tool_choice", "tools", "top_logprobs",
    "top_p", "user", "verbosity", "web_search_options",
}  # fmt: skip
NAME = re.compile(r"[a-zA-Z0-9_-]{1,64}")
ROLES = {"developer", "system", "user", "assistant", "tool"}
MAX_TOOLS = 128


class Bad(Exception):
    """The request is not one that the documentation allows. code: as the error has it."""

    def __init__(self, words: str, code: str | None = None) -> None:
        super().__init__(words)
        self.code = code


def require(condition: object, words: str) -> None:
    if not condition:
        raise Bad(words)


def check(fields: Any, server: str) -> None:
    """Raise Bad unless the body is a request that this server takes."""
    require(isinstance(fields, dict), "We could not parse the JSON body of your request.")
    for name in fields:
        require(name in FIELDS, f"Unrecognized request argument supplied: {name}")
    require(isinstance(fields.get("model"), str), "you must provide a model parameter")
    messages = fields.get("messages")
    require(isinstance(messages, list) and messages, "[] is too short - 'messages'")
    if fields.get("stream_options") is not None:
        require(fields.get("stream"), "stream_options is only allowed when stream is enabled")
    check_tools(fields)
    check_messages(fields["messages"])
    if server == "ollama":
        for message in fields["messages"]:
            for call in message.get("tool_calls") or []:
                try:
                    json.loads(call["function"]["arguments"])
                except ValueError:
                    raise Bad("invalid tool call arguments") from None
    if server == "llama":
        speakers = [
            m["role"] for m in fields["messages"]
            if m["role"] == "user" or (m["role"] == "assistant" and not m.get("tool_calls"))
        ]  # fmt: skip
        require(all(a != b for a, b in pairwise(speakers)), "conversation roles must alternate")


def check_tools(fields: dict[str, Any]) -> None:
    tools = fields.get("tools")
    if tools is None:
        require(
            fields.get("tool_choice") is None,
            "tool_choice is only allowed when tools are specified",
        )
        return
    require(isinstance(tools, list) and 0 < len(tools) <= MAX_TOOLS, "tools: wrong length")
    for tool in tools:
        require(tool.get("type") == "function", "tools.type: Invalid value")
        function = tool.get("function", {})
        require(NAME.fullmatch(function.get("name", "")), "tools.function.name: wrong pattern")
        require(function.get("parameters", {}).get("type") == "object", "schema must be an object")
    choice = fields.get("tool_choice", "auto")
    require(choice in ("none", "auto", "required") or isinstance(choice, dict), "tool_choice")


def check_messages(messages: list[Any]) -> None:
    open_calls: list[str] = []
    for n, message in enumerate(messages):
        require(isinstance(message, dict), f"messages[{n}] must be an object")
        role, content = message.get("role"), message.get("content")
        require(role in ROLES, f"Invalid value for messages[{n}].role: {role!r}")
        if role == "tool":
            called = message.get("tool_call_id")
            require(
                called in open_calls,
                "messages with role 'tool' must be a response to a preceding message with "
                "'tool_calls'",
            )
            open_calls.remove(called)
        else:
            require(
                not open_calls,
                "An assistant message with 'tool_calls' must be followed by tool messages "
                f"responding to each 'tool_call_id': {', '.join(open_calls)}",
            )
        if role == "assistant":
            open_calls = [check_call(call) for call in message.get("tool_calls") or []]
            if content is None:
                require(open_calls, f"Invalid value for 'content' of messages[{n}]: got null")
                continue
        fits = isinstance(content, str) or (isinstance(content, list) and content)
        require(fits, f"Invalid type for messages[{n}].content")
    require(not open_calls, "An assistant message with 'tool_calls' must be followed by tool "
            f"messages responding to each 'tool_call_id': {', '.join(open_calls)}")  # fmt: skip


def check_call(call: Any) -> str:
    require(isinstance(call, dict) and isinstance(call.get("id"), str), "tool_calls.id")
    require(call.get("type") == "function", "tool_calls.type")
    function = call.get("function") or {}
    require(NAME.fullmatch(function.get("name") or ""), "tool_calls.function.name: wrong pattern")
    require(isinstance(function.get("arguments"), str), "tool_calls.function.arguments")
    return str(call["id"])
