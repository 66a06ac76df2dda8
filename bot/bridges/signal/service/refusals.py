"""Pure: an answer of the service that is no success, as what is certain of it.

What a 400 says is whatever the service's program printed: the last line that is no protocol is for
people; some lines say whether anything was done. Source: client/cli.go Execute, client/jsonrpc2.go,
signal-cli's App.java and Main.java.
"""

from __future__ import annotations

import re

from bot.bridges.signal.fields import Fields
from bot.bridges.signal.service.answers import loads
from bot.bridges.signal.service.shapes import (
    RateLimited,
    Rejected,
    ServiceError,
    Uncertain,
    Unreachable,
)
from nips.refusal import Malformed

MAX_SENTENCE_CHARS = 240
MAX_ERROR_CHARS = 8 * 2**20
MAX_TOKENS, MAX_TOKEN_CHARS = 16, 200
# Its program ended well, and what it printed could not be read; it ended without a word; it fell.
# Attack: line ends without number: `\s+` behind `^` would look from each at all that follow.
_DONE_OR_NOT = re.compile(
    r"\A\s*\Z|\A(?:invalid character|unexpected end of JSON|json: )"
    r"|process killed as timeout|^[ \t]+at [\w.$]+\(",
    re.MULTILINE,
)
# Before anything was sent: Signal could not be reached, or the program's socket is closed.
_NOTHING_DONE = re.compile(
    r"^(?:Error while checking account\b|write tcp\b|dial tcp\b)", re.MULTILINE
)
_CHATTER = re.compile(r"^(?:INFO|WARN).*\n?", re.MULTILINE)
_NUMBER = re.compile(r"\+\d{5,}(?=\d\d)")
_ACI = re.compile(r"([0-9a-f]{8})(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)
_NOT_FOR_PEOPLE = ("\tat ", "usage:")


def error_text(body: str) -> str | None:
    """The `error` of a refusal's body; None where it is not the service's own form."""
    try:
        return Fields(loads(body), "answer").text("error", MAX_ERROR_CHARS)
    except Malformed:
        return None


def refusal(status: int, body: str, *, acts: bool) -> ServiceError:
    """What it means. acts: whether what was asked changes anything."""
    error = error_text(body)
    if status == 429:
        return RateLimited(said(error or "too many messages"), _tokens(body))
    if status == 503:
        return Unreachable("The Signal service is not ready yet.")
    if 300 <= status < 400:
        return Rejected("The Signal service redirects, which is not followed.", status)
    if error is None:
        return _wordless(status, acts)
    error = _CHATTER.sub("", error)
    if _NOTHING_DONE.search(error):
        return Unreachable(said(error))
    if acts and _DONE_OR_NOT.search(error):
        return Uncertain("The Signal service does not say whether it was done.")
    return Rejected(said(error), status)


def _wordless(status: int, acts: bool) -> ServiceError:
    if status == 404:
        return Rejected("The Signal service does not know this request; is it too old?", status)
    if status >= 500 and acts:
        return Uncertain(f"The Signal service failed while it was asked ({status}).")
    return Rejected(f"The Signal service answers {status}.", status)


def said(error: str) -> str:
    """The sentence for a person: the last line that says something, short.

    Attack: what was received, or is being sent, is printed too: a sentence is logged and shown.
    Lines with objects in them are left out whole, of telephone numbers two digits are shown, of
    people's ids how they begin.
    """
    lines = [line for line in error.splitlines() if line.strip() and "{" not in line]
    plain = [line for line in lines if not line.startswith(_NOT_FOR_PEOPLE)]
    last = _ACI.sub(r"\1…", _NUMBER.sub("+…", (plain or ["it gives no reason"])[-1]))
    cut = last[:MAX_SENTENCE_CHARS]
    shown = " ".join("".join(c if c.isprintable() else " " for c in cut).split())
    return f"The Signal service says: {shown.rstrip('.')}."


def _tokens(body: str) -> tuple[str, ...]:
    try:
        tokens = Fields(loads(body), "answer").texts(
            "challenge_tokens", MAX_TOKENS, MAX_TOKEN_CHARS
        )
    except Malformed:
        return ()
    return tuple(token for token in tokens if token.isascii() and token.isprintable() and token)
