"""signer/model_request.py and model_reach.py: what is asked, and what would reach out."""

from __future__ import annotations

import time
from typing import Any

import orjson
import pytest

from nips.refusal import Malformed
from signer.model_reach import reaches_out
from signer.model_request import ENDPOINTS, MEDIA_BYTES, Call, Endpoint, endpoint_of, read

MESSAGES, CHAT = (
    next(one for one in ENDPOINTS if one.path == path)
    for path in ("/v1/messages", "/v1/chat/completions")
)


def asked(endpoint: Endpoint = MESSAGES, **fields: Any) -> Call:
    usual = {"model": "m", "max_tokens": 10, "messages": [{"role": "user", "content": "hi"}]}
    return read(endpoint, orjson.dumps(usual | fields))


@pytest.mark.parametrize(
    ("method", "target", "path"),
    [
        ("POST", "/v1/messages", "/v1/messages"),
        ("POST", "/v1/messages?beta=true", "/v1/messages"),
        ("GET", "/v1/messages", None),
        ("POST", "/v1/messages/", None),
        ("POST", "//v1/messages", None),
        ("POST", "http://evil.example/v1/messages", None),
        ("POST", "/v1/messages?beta=true&x=1", None),
        ("POST", "/v1/messages%2f..", None),
        ("DELETE", "/v1/models", None),
    ],
)
def test_paths_are_those_and_no_others(method: str, target: str, path: str | None) -> None:
    found = endpoint_of(method, target)
    assert (found.path if found else None) == path


def test_what_may_come_back_is_bounded_by_what_was_asked() -> None:
    assert asked().out_tokens == 10
    assert asked(CHAT, max_tokens=None, max_completion_tokens=7).out_tokens == 7
    assert asked(CHAT, max_tokens=5, max_completion_tokens=70, n=2).out_tokens == 140
    assert asked(CHAT, max_tokens=None).out_tokens == 8_192


def test_an_answer_without_a_limit_gets_the_one_that_is_set_aside() -> None:
    """Else a model that talks on would cost more than what was set aside for it."""
    asks = asked(CHAT, max_tokens=None)
    assert orjson.loads(asks.body())["max_tokens"] == asks.out_tokens
    newer = orjson.loads(asks.body("max_completion_tokens"))
    assert (newer["max_completion_tokens"], newer["max_tokens"]) == (asks.out_tokens, None)
    own = orjson.loads(asked(CHAT, max_completion_tokens=7, max_tokens=None).body())
    assert (own["max_completion_tokens"], own["max_tokens"]) == (7, None)
    # Anthropic wants to be told; it says so itself.
    assert orjson.loads(asked(max_tokens=None).body())["max_tokens"] is None


@pytest.mark.parametrize(
    ("part", "cached_for"),
    [
        ({}, None),
        ({"cache_control": {"type": "ephemeral"}}, "5m"),
        ({"cache_control": {"type": "ephemeral", "ttl": "5m"}}, "5m"),
        ({"cache_control": {"type": "ephemeral", "ttl": "1h"}}, "1h"),
    ],
)
def test_what_it_asks_to_be_kept_costs_more(part: dict[str, Any], cached_for: str | None) -> None:
    text = {"type": "text", "text": "x", **part}
    assert asked(messages=[{"role": "user", "content": [text]}]).cached_for == cached_for


def test_no_escape_hides_that_it_is_to_be_kept() -> None:
    body = b'{"model":"m","max_tokens":1,"messages":[{"cache\\u005fcontrol":{"ttl":"\\u0031h"}}]}'
    assert read(MESSAGES, body).cached_for == "1h"


@pytest.mark.parametrize(
    "body",
    [
        b"", b"[]", b"1", b"{}", b'{"model":1}', b'{"model":"m","max_tokens":0}',
        b'{"model":"m","max_tokens":true}', b'{"model":"m","max_tokens":1e3}',
        b'{"model":"m","stream":"yes"}', b'{"model":"m","n":1000}', b'{"model":"m\\n"}',
        b'{"model":"m","x":' + b"[" * 2_000 + b"]" * 2_000 + b"}",
    ],
)  # fmt: skip
def test_what_is_no_request(body: bytes) -> None:
    with pytest.raises(Malformed):
        read(MESSAGES, body)


def test_a_field_that_stands_twice_is_sent_once() -> None:
    call = read(MESSAGES, b'{"model":"dear","max_tokens":1,"messages":[],"model":"cheap"}')
    assert call.model == "cheap"
    assert call.body().count(b"model") == 1


def test_a_stream_of_openais_tells_what_it_cost() -> None:
    body = orjson.loads(asked(CHAT, stream=True, stream_options={"include_usage": False}).body())
    assert body["stream_options"] == {"include_usage": True}
    assert "stream_options" not in orjson.loads(asked(CHAT).body())


def test_media_count_flat() -> None:
    image = {"type": "base64", "media_type": "image/png", "data": "A" * 900_000}
    content = [{"type": "image", "source": image}]
    call = asked(messages=[{"role": "user", "content": content}])
    assert call.n_text_bytes < MEDIA_BYTES + 300
    words = asked(messages=[{"role": "user", "content": "many words " * 80_000}])
    assert words.n_text_bytes > 800_000


def test_only_a_picture_counts_flat() -> None:
    """Attack: a million tokens whose beginning looks like base64, and a caller that hangs up
    before the provider has told what they cost."""
    words = "A" * MEDIA_BYTES + " many words" * 80_000
    source = {"type": "base64", "media_type": "image/png", "data": words}
    for message in (
        {"role": "user", "content": words},
        {"role": "user", "content": [{"type": "text", "text": words}]},
        {"role": "user", "content": [{"type": "text", "text": "x", "source": source}]},
        {"role": "user", "content": [{"type": "document", "source": source | {"type": "text"}}]},
        {"role": "user", "content": [{"type": "text", "text": words, "image_url": {"url": ""}}]},
    ):
        assert asked(messages=[message]).n_text_bytes > len(words), message
    paper = {"type": "base64", "media_type": "application/pdf", "data": "A" * 5_000_000}
    pages = asked(messages=[{"role": "user", "content": [{"type": "document", "source": paper}]}])
    assert 800_000 < pages.n_text_bytes < 1_000_000
    url = {"type": "image_url", "image_url": {"url": "data:image/png;base64," + "A" * 900_000}}
    picture = asked(CHAT, messages=[{"role": "user", "content": [url]}])
    assert picture.n_text_bytes < MEDIA_BYTES + 300


def test_many_small_values_are_refused_before_they_are_read() -> None:
    """Attack: 32 MiB of `[]` are gigabytes once decoded, and seconds to look through."""
    body = b'{"model":"m","messages":[' + b"[]," * 2_000_000 + b"[]]}"
    began_s = time.process_time()
    with pytest.raises(Malformed, match="values"):
        read(MESSAGES, body)
    assert time.process_time() - began_s < 0.5
    many = [{"role": "user", "content": "a, b, c"}] * 10_000
    assert asked(messages=many).n_text_bytes > 300_000


def content(*parts: dict[str, Any]) -> list[dict[str, Any]]:
    return [{"role": "user", "content": list(parts)}]


def brought(definition: dict[str, Any]) -> dict[str, Any]:
    """A tool that comes in the middle of a conversation."""
    tool = {"type": "tool_definition", "definition": definition}
    return {"type": "tool_addition", "tool": tool}


@pytest.mark.parametrize(
    "fields",
    [
        {"tools": [{"name": "f", "input_schema": {}}]},
        {"tools": [{"type": "custom", "name": "f"}, {"type": "bash_20250124", "name": "bash"}]},
        {"system": [{"type": "text", "text": "x", "cache_control": {"type": "ephemeral"}}]},
        {"messages": content({"type": "image", "source": {"type": "base64", "data": "AA"}})},
        {"messages": content({"type": "tool_use", "input": {"source": {"type": "url"}}})},
        {"thinking": {"type": "enabled", "budget_tokens": 1024}},
        {"messages": [{"role": "system", "content": [{"type": "text", "text": "It is noon."}]}]},
        {"messages": content({"type": "tool_result", "tool_use_id": "a", "content": "web"})},
        {"messages": content({"type": "thinking", "thinking": "hm", "signature": "s"})},
        {"messages": content(brought({"name": "recall", "input_schema": {}}))},
        {
            "messages": content(
                {"type": "tool_removal", "tool": {"type": "tool_reference", "name": "recall"}}
            )
        },
    ],
)
def test_what_only_answers_passes(fields: dict[str, Any]) -> None:
    assert reaches_out(asked(**fields)) is None


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"tools": [{"type": "web_search_20250305", "name": "web_search"}]}, "web_search"),
        ({"tools": [{"type": "web_fetch_20250910", "name": "web_fetch"}]}, "web_fetch"),
        ({"tools": [{"type": "code_execution_20250825", "name": "x"}]}, "code_execution"),
        ({"tools": [{"type": None}]}, "tool"),
        ({"tools": ["web"]}, "tool"),
        (
            {
                "messages": content(
                    {"type": "tool_addition", "tool": {"type": "web_search_20250305"}}
                )
            },
            "tool_addition",
        ),
        ({"messages": content(brought({"type": "web_fetch_20250910"}))}, "tool_addition"),
        ({"messages": content(brought({"type": None}))}, "tool_addition"),
        ({"messages": content({"type": "tool_addition", "tool": "web"})}, "tool_addition"),
        ({"messages": content({"type": "mcp_tool_use", "server_name": "x"})}, "mcp_tool_use"),
        ({"messages": content({"type": ["text"]})}, "type"),
        ({"messages": [{"role": "system", "content": {"type": "tools"}}]}, "tools"),
        ({"tools": {"type": "mcp_toolset"}}, "mcp_toolset"),
        ({"mcp_servers": [{"url": "https://evil.example"}]}, "mcp_servers"),
        ({"container": "c"}, "container"),
        ({"service_tier": "priority"}, "service_tier"),
        (
            {"messages": content({"type": "image", "source": {"type": "url", "url": "https://e"}})},
            "source",
        ),
        (
            {
                "messages": content(
                    {"type": "tool_result", "content": [{"source": {"type": "file", "id": "f"}}]}
                )
            },
            "source",
        ),
    ],
)
def test_what_reaches_out_is_named(fields: dict[str, Any], words: str) -> None:
    refusal = reaches_out(asked(**fields))
    assert refusal is not None
    assert words in refusal.sentence


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"tools": [{"type": "web_search"}]}, "web_search"),
        ({"web_search_options": {}}, "web_search_options"),
        ({"models": ["dear/model"]}, "models"),
        ({"plugins": [{"id": "web"}]}, "plugins"),
        (
            {"messages": content({"type": "image_url", "image_url": {"url": "https://e.example"}})},
            "image_url",
        ),
        ({"messages": content({"type": "image_url", "image_url": "http://e.example"})}, "image"),
        ({"messages": content({"type": "file", "file": {"file_id": "f"}})}, "file"),
    ],
)
def test_in_openais_form_too(fields: dict[str, Any], words: str) -> None:
    refusal = reaches_out(asked(CHAT, **fields))
    assert refusal is not None
    assert words in refusal.sentence


def test_openais_own_tools_and_pictures_pass() -> None:
    call = asked(
        CHAT,
        tools=[{"type": "function", "function": {"name": "f"}}],
        messages=content({"type": "image_url", "image_url": {"url": "data:image/png;base64,AA"}}),
    )
    assert reaches_out(call) is None


def test_what_is_too_deep_to_look_into_is_refused() -> None:
    deep: Any = "x"
    for _ in range(150):
        deep = [deep]
    refusal = reaches_out(asked(messages=deep))
    assert refusal is not None
    assert "levels" in refusal.sentence
