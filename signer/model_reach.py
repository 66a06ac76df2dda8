"""Pure: what would make a provider do more than answer.

The container has no network. Attack: it borrows the provider's: a hosted tool that reads web
pages, an MCP server or an image "by URL" carries out whatever the agent writes into the address.
Others choose a dearer model or a dearer service than the one that was allowed. So what a request
may hold is a list, and what is not on it is refused; a provider that the owner has marked
`unrestricted` gets everything.
Source: Anthropic "Messages"; OpenAI "Create chat completion".
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from nips.refusal import Prefix, Refusal
from signer.model_providers import Style
from signer.model_request import MAX_DEPTH, Call

_FIELDS: dict[Style, frozenset[str]] = {
    "anthropic": frozenset(
        {
            "model", "messages", "max_tokens", "metadata", "stop_sequences", "stream", "system",
            "temperature", "thinking", "tool_choice", "tools", "top_k", "top_p", "output_config",
            "output_format", "context_management", "cache_control",
        }
    ),
    "openai": frozenset(
        {
            "model", "messages", "max_tokens", "max_completion_tokens", "stream",
            "stream_options", "temperature", "top_p", "top_k", "min_p", "n", "stop", "tools",
            "tool_choice", "parallel_tool_calls", "response_format", "seed", "presence_penalty",
            "frequency_penalty", "repetition_penalty", "logit_bias", "logprobs", "top_logprobs",
            "user", "reasoning_effort", "verbosity", "prompt_cache_key", "safety_identifier",
            "metadata", "chat_template_kwargs",
        }
    ),
}  # fmt: skip
# Tools that the caller carries out itself; Anthropic's are named with a date at the end.
_OWN_TOOLS: dict[Style, tuple[str, ...]] = {
    "anthropic": ("custom", "bash_", "text_editor_", "computer_", "memory_"),
    "openai": ("function", "custom"),
}
# What a message is made of. Attack: with one of Anthropic's beta headers, which are passed on, a
# message may also bring a tool into the conversation, such as one that reads the web; a later
# version may know more of the kind. The claude program brings and takes its own tools that way.
_OWN_PARTS = frozenset(
    {
        "text", "image", "document", "search_result", "thinking", "redacted_thinking", "tool_use",
        "tool_result",
    }
)  # fmt: skip
_OWN_SOURCES = ("base64", "text", "content")


def reaches_out(call: Call) -> Refusal | None:
    """Why a request would have the provider do more than answer; None when it would not."""
    style = call.endpoint.style
    assert style is not None  # the list of models is not asked of a provider
    if unknown := sorted(call.fields.keys() - _FIELDS[style]):
        return _refused(f"the field {unknown[0][:60]!r}")
    tools = call.fields.get("tools") or []
    for tool in tools if isinstance(tools, list) else [tools]:
        kind = tool.get("type", "custom") if isinstance(tool, dict) else None
        if not isinstance(kind, str) or not _is_own(kind, style):
            return _refused(f"a tool of the type {str(kind)[:60]!r}")
    if style == "anthropic" and (words := _foreign_part(call.fields.get("messages"))) is not None:
        return _refused(words)
    for part in _parts([call.fields.get("messages"), call.fields.get("system")], 0):
        if part is None:
            return _refused(f"a nesting of more than {MAX_DEPTH} levels")
        if (words := _address_in(part)) is not None:
            return _refused(words)
    return None


def _is_own(kind: str, style: Style) -> bool:
    return any(
        kind == own or (own[-1] == "_" and kind.startswith(own)) for own in _OWN_TOOLS[style]
    )


def _foreign_part(messages: Any) -> str | None:
    for message in messages if isinstance(messages, list) else []:
        content = message.get("content") if isinstance(message, dict) else None
        for part in content if isinstance(content, list) else [content]:
            if not isinstance(part, dict) or str(kind := part.get("type")) in _OWN_PARTS:
                continue
            if kind not in ("tool_addition", "tool_removal") or not _changes_own(part.get("tool")):
                return f"a part of the type {str(kind)[:60]!r}"
    return None


def _changes_own(tool: Any) -> bool:
    match tool:
        case {"type": "tool_reference", "name": str()} if tool.keys() == {"type", "name"}:
            return True  # of one that stands in `tools`, or came by here
        case {"type": "tool_definition", "definition": dict(made)}:
            kind = made.get("type", "custom")
            return isinstance(kind, str) and _is_own(kind, "anthropic")
        case _:
            return False


def _parts(value: Any, depth: int) -> Iterator[dict[str, Any] | None]:
    """Every object in there, however deep; None where it is too deep to look."""
    if depth > MAX_DEPTH:
        yield None
    elif isinstance(value, dict):
        yield value
        # What the model is to call its own tools with is not read by the provider.
        for name, below in value.items():
            if name not in ("input", "arguments"):
                yield from _parts(below, depth + 1)
    elif isinstance(value, list):
        for below in value:
            yield from _parts(below, depth + 1)


def _address_in(part: dict[str, Any]) -> str | None:
    source = part.get("source")
    if isinstance(source, dict) and source.get("type") not in _OWN_SOURCES:
        return f"a source of the type {str(source.get('type'))[:60]!r}"
    for name in ("image_url", "video_url", "audio_url"):
        if name in part:
            given = part[name]
            url = given.get("url") if isinstance(given, dict) else given
            if not isinstance(url, str) or not url.startswith("data:"):
                return f"an {name} that is no data: address"
    file = part.get("file")
    if isinstance(file, dict) and file.keys() - {"file_data", "filename"}:
        return "a file that the provider keeps"
    return None


def _refused(what: str) -> Refusal:
    return Refusal(
        Prefix.RESTRICTED,
        f"this provider is not asked with {what}: it could do more than answer. Its owner can "
        "add it with --unrestricted",
    )
