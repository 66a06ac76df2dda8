"""Pure: the bodies of requests to signal-cli-rest-api: which fields there are, and of what type.

A field of another type makes the whole body invalid; one that is null or missing is empty; one
that nobody knows is not looked at.
Source: signal-cli-rest-api, api/api.go (the structs of requests), encoding/json.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

TEXT, NUMBER, TRUTH, TEXTS, MENTIONS = "text", "number", "truth", "texts", "mentions"
MENTION = {"start": NUMBER, "length": NUMBER, "author": TEXT}
SEND = {
    "number": TEXT, "recipients": TEXTS, "recipient": TEXT, "message": TEXT,
    "base64_attachments": TEXTS, "sticker": TEXT, "mentions": MENTIONS,
    "quote_timestamp": NUMBER, "quote_author": TEXT, "quote_message": TEXT,
    "quote_mentions": MENTIONS, "text_mode": TEXT, "edit_timestamp": NUMBER,
    "notify_self": TRUTH, "view_once": TRUTH,
}  # fmt: skip
REACTION = {"recipient": TEXT, "reaction": TEXT, "target_author": TEXT, "timestamp": NUMBER}
RECEIPT = {"recipient": TEXT, "receipt_type": TEXT, "timestamp": NUMBER}
TYPING = {"recipient": TEXT}
DELETE = {"recipient": TEXT, "timestamp": NUMBER}
SOLVE = {"challenge_token": TEXT, "captcha": TEXT}


def read(body: bytes, fields: Mapping[str, str]) -> dict[str, Any] | None:
    """The fields that a body gives; None where it is invalid."""
    try:
        value = json.loads(body)
    except ValueError:
        return None
    return _read(value, fields)


def _read(value: Any, fields: Mapping[str, str]) -> dict[str, Any] | None:
    if not isinstance(value, dict):
        return None
    given = {name: value[name] for name in fields if value.get(name) is not None}
    return given if all(_fits(given[name], fields[name]) for name in given) else None


def _fits(value: Any, kind: str) -> bool:
    if kind in (TEXTS, MENTIONS):
        return isinstance(value, list) and all(
            isinstance(one, str) if kind == TEXTS else _read(one, MENTION) is not None
            for one in value
        )
    if kind == NUMBER:
        return isinstance(value, int) and not isinstance(value, bool)
    return isinstance(value, str if kind == TEXT else bool)


def written(mention: Mapping[str, Any]) -> str:
    """A mention as signal-cli takes it."""
    return f"{mention.get('start', 0)}:{mention.get('length', 0)}:{mention.get('author', '')}"
