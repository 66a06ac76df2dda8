"""Pure: what a request to a language model asks for, before it goes to a provider.

Attack: two readers of one JSON text. `{"model":"allowed","model":"dear"}` names one model to us
and perhaps the other to the provider. So what is sent on is never the text that came, but what we
have read in it, written anew.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import orjson

from nips.refusal import Malformed
from signer.model_providers import Style, model_name

MAX_BODY_BYTES = 32 * 2**20
# The limit that is put into a request that names none of its own: what is set aside for an answer
# must be the most that it can be.
USUAL_OUT_TOKENS = 8_192
MAX_OUT_TOKENS = 10**9
MEDIA_BYTES = 6_000  # what an image counts, of text
DOCUMENT_BYTES = 900_000  # what a document or a recording counts at most: a hundred full pages
MAX_VALUES = 1_000_000  # in a body; more tokens than a model reads
MAX_DEPTH = 100


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One of the paths that are served. `style`: None for the list of models, which we answer
    ourselves; `makes_tokens`: whether an answer costs more than its request."""

    method: str
    path: str
    style: Style | None
    makes_tokens: bool


ENDPOINTS = (
    Endpoint("GET", "/v1/models", None, makes_tokens=False),
    Endpoint("POST", "/v1/messages", "anthropic", makes_tokens=True),
    Endpoint("POST", "/v1/messages/count_tokens", "anthropic", makes_tokens=False),
    Endpoint("POST", "/v1/chat/completions", "openai", makes_tokens=True),
)
# Anthropic's own libraries add it; it changes nothing in what may be asked.
_QUERIES = ("", "?beta=true")


@dataclass(frozen=True, slots=True)
class Call:
    """What one request asks of a provider. `out_tokens`: the most that its answer may hold.

    n_text_bytes: the size of what it gives to read, media counted flat. fields: the decoded body.
    is_limited: whether it says itself how long an answer may be. cached_for: how long, at most, the
    provider is asked to keep what it reads.
    """

    endpoint: Endpoint
    model: str
    is_stream: bool
    out_tokens: int
    n_text_bytes: int
    fields: dict[str, Any]
    is_limited: bool = True
    cached_for: Literal["5m", "1h"] | None = None

    def body(self, limit_field: str = "max_tokens") -> bytes:
        """What is sent to the provider. limit_field: by which name it is told how long an answer
        may be."""
        fields = self.fields
        if not self.is_limited:
            fields = fields | {limit_field: USUAL_OUT_TOKENS}
        if self.endpoint.style == "openai" and self.is_stream:
            # Else nobody would learn what the stream has cost.
            options = fields.get("stream_options")
            told = options if isinstance(options, dict) else {}
            fields = fields | {"stream_options": told | {"include_usage": True}}
        return orjson.dumps(fields)


def endpoint_of(method: str, target: str) -> Endpoint | None:
    """The endpoint that a request line names; None where there is none."""
    for one in ENDPOINTS:
        if one.method == method and target in [one.path + query for query in _QUERIES]:
            return one
    return None


def read(endpoint: Endpoint, body: bytes) -> Call:
    """What a body asks for. Raises Malformed, in words for whoever wrote it."""
    # Attack: 32 MiB of `[]`, gigabytes once decoded, and nobody else is served meanwhile.
    if sum(map(body.count, (b",", b"[", b"{"))) > MAX_VALUES:
        raise Malformed(f"the body holds more than {MAX_VALUES:,} values")
    try:
        fields = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise Malformed("the body is not JSON") from error
    if not isinstance(fields, dict):
        raise Malformed("the body must be a JSON object")
    model = fields.get("model")
    if not isinstance(model, str):
        raise Malformed("the body must name its model")
    is_stream = fields.get("stream") or False
    if not isinstance(is_stream, bool):
        raise Malformed("stream must be true or false")
    out_tokens, is_limited = 0, True
    if endpoint.makes_tokens:
        # Of two limits providers differ in which one counts.
        limits = [
            _limit(name, fields[name])
            for name in ("max_tokens", "max_completion_tokens")
            if fields.get(name) is not None
        ]
        # Anthropic refuses a request without one itself.
        is_limited = bool(limits) or endpoint.style != "openai"
        out_tokens = max(limits, default=USUAL_OUT_TOKENS)
        if fields.get("n") is not None:
            out_tokens *= _limit("n", fields["n"], 128)
    n_text_bytes = max(0, len(body) - _media_excess(fields))
    return Call(
        endpoint, model_name(model), is_stream, out_tokens, n_text_bytes, fields, is_limited,
        _cached_for(endpoint, fields),
    )  # fmt: skip


def _cached_for(endpoint: Endpoint, fields: dict[str, Any]) -> Literal["5m", "1h"] | None:
    """Too long rather than too short: words that only look like it are taken for it."""
    if endpoint.style != "anthropic":
        return None
    # Written anew, nothing is hidden behind an escape such as `cache\u005fcontrol`.
    body = orjson.dumps(fields)
    if b'"cache_control"' not in body:
        return None
    return "1h" if b'"1h"' in body else "5m"


def _media_excess(value: object, depth: int = 0) -> int:
    """By how much images and other files in base64 are larger than what they cost to read.

    Attack: text that is called an image, to have little set aside for it. So what counts flat is
    what a provider reads as one, or refuses: the data of a part of that type.
    """
    if depth > MAX_DEPTH:
        return 0
    if isinstance(value, list):
        return sum(_media_excess(one, depth + 1) for one in value)
    if not isinstance(value, dict):
        return 0
    if (found := _media(value)) is not None:
        return max(0, found[0] - found[1])
    return sum(_media_excess(one, depth + 1) for one in value.values())


def _media(part: dict[str, Any]) -> tuple[int, int] | None:
    """The bytes of a part's data and how many of them count at most; None where it is no media."""
    kind, source = part.get("type"), part.get("source")
    if kind in ("image", "document") and isinstance(source, dict):
        data = source.get("data")
        if source.get("type") == "base64" and isinstance(data, str):
            return len(data), MEDIA_BYTES if kind == "image" else DOCUMENT_BYTES
    if kind == "image_url":
        given = part.get(kind)
        url = given.get("url") if isinstance(given, dict) else given
        if isinstance(url, str) and url.startswith("data:image/"):
            return len(url), MEDIA_BYTES
    inner = part.get(kind) if kind in ("input_audio", "file") else None
    if isinstance(inner, dict):
        data = inner.get("data", inner.get("file_data"))
        if isinstance(data, str):
            return len(data), DOCUMENT_BYTES
    return None


def _limit(name: str, value: object, most: int = MAX_OUT_TOKENS) -> int:
    if type(value) is not int or not 1 <= value <= most:
        raise Malformed(f"{name} must be a whole number from 1 to {most}")
    return value
