"""Pure: what is sent to the service, so that no value of it is taken for something else.

In normal mode the service starts a program and some values become its arguments; a file's name
becomes a path. Source: the service's own code, client/client.go, client/attachment.go.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Sequence
from typing import Any

import orjson

from bot.bridges.signal.addresses import is_aci, is_number, is_recipient
from bot.bridges.signal.service.shapes import Attachment, Quote

MAX_QUOTE_CHARS = 2_000
MAX_EMOJI_CHARS = 64
MAX_CAPTCHA_CHARS = 16_384
MAX_NAME_BYTES = 120
WORD_JOINER = "\u2060"  # invisible, without width
_MEDIA_TYPE = re.compile(r"[A-Za-z0-9][A-Za-z0-9!#$&^_.+-]*/[A-Za-z0-9][A-Za-z0-9!#$&^_.+-]*")
_UNSAFE = re.compile(r'[\x00-\x1f\x7f-\x9f/\\;,:*?"<>|]')


def argument(text: str) -> str:
    """A text that is no option.

    Attack: `--attachment=/…`, quoted: in normal mode the text is an argument of a program.
    """
    plain = text.replace("\0", "")
    return WORD_JOINER + plain if plain.startswith("-") else plain


def message(
    number: str, recipient: str, text: str, quote: Quote | None, attachments: Sequence[Attachment]
) -> bytes:
    """The body of `/v2/send`. Raises ValueError for what can be no recipient or author."""
    body: dict[str, Any] = {
        "number": account(number),
        "recipients": [to(recipient)],
        "message": text.replace("\0", ""),
        "text_mode": "styled",
        "notify_self": False,
        "base64_attachments": [data_url(it) for it in attachments],
    }
    if quote is not None:
        body["quote_timestamp"] = quote.timestamp
        body["quote_author"] = author(quote.author)
        body["quote_message"] = argument(quote.text[:MAX_QUOTE_CHARS])
    return dumps(body)


def reaction(recipient: str, target_author: str, timestamp: int, emoji: str) -> bytes:
    """The body for `/v1/reactions`. Raises ValueError also for what can be no emoji."""
    # Attack: `-`, which is a reaction of Nostr's (NIP-25), and an option of the program's.
    if not emoji.strip() or not emoji[0].isprintable() or emoji[0] == "-":
        raise ValueError("not an emoji")
    if len(emoji) > MAX_EMOJI_CHARS or "\0" in emoji:
        raise ValueError("not an emoji")
    body = {
        "recipient": to(recipient),
        "reaction": emoji,
        "target_author": author(target_author),
        "timestamp": timestamp,
    }
    return dumps(body)


def challenge(token: str, captcha: str) -> bytes:
    """The body for `…/rate-limit-challenge`. Raises ValueError for what can be neither."""
    if not _is_plain_word(token) or not _is_plain_word(captcha):
        raise ValueError("not a challenge's token and its solved captcha")
    return dumps({"challenge_token": token, "captcha": captcha})


def _is_plain_word(text: str) -> bool:
    fits = 0 < len(text) <= MAX_CAPTCHA_CHARS and text.isascii() and text.isprintable()
    return fits and " " not in text and not text.startswith("-")


def data_url(file: Attachment) -> str:
    """A file as the service takes it.

    Attack: `../../.ssh/authorized_keys` as a file's name: the service makes a path of it.
    Attack: a semicolon in name or type: the next field is the sender's.
    """
    mime = file.mime if _MEDIA_TYPE.fullmatch(file.mime) else "application/octet-stream"
    content = base64.b64encode(file.content).decode("ascii")
    return f"data:{mime};filename={file_name(file.name)};base64,{content}"


def file_name(given: str) -> str:
    """A name without a way anywhere, its ending kept where it is long.

    >>> file_name("../../etc/passwd"), file_name("-rf.txt")
    ('etc_passwd', 'rf.txt')
    """
    plain = _UNSAFE.sub("_", given.encode("utf-8", "replace").decode()).strip(" ._-")
    stem, dot, ending = plain.rpartition(".")
    if not dot or len(ending) > 12:
        stem, dot, ending = plain, "", ""
    room = MAX_NAME_BYTES - len((dot + ending).encode())
    return (stem.encode()[:room].decode("utf-8", "ignore") + dot + ending) or "file"


def account(number: str) -> str:
    """Our number, checked. Raises ValueError."""
    if not is_number(number):
        raise ValueError("not a telephone number with + and its country")
    return number


def to(recipient: str) -> str:
    """A recipient, checked. Raises ValueError."""
    if not is_recipient(recipient):
        raise ValueError("neither a person nor a group of Signal")
    return recipient


def author(of: str) -> str:
    """Who wrote a message, checked. Raises ValueError."""
    if not is_aci(of) and not is_number(of):
        raise ValueError("neither a person of Signal nor a number")
    return of


def dumps(body: Any) -> bytes:
    """JSON; half of a surrogate pair, which it cannot hold, becomes a question mark."""
    try:
        return orjson.dumps(body)
    except orjson.JSONEncodeError:
        return orjson.dumps(_encodable(body))


def _encodable(value: Any) -> Any:
    match value:
        case str():
            return value.encode("utf-8", "replace").decode()
        case list():
            return [_encodable(it) for it in value]
        case dict():
            return {name: _encodable(it) for name, it in value.items()}
        case _:
            return value
