"""Pure: why a request is not answered by a provider, as an HTTP response in its style.

Libraries for either style show `error.message` to people and act on the status; both obey
`retry-after` and `x-should-retry`.
Source: Anthropic "Errors"; OpenAI "Error codes"; RFC 9110, 10.2.3.
"""

from __future__ import annotations

from dataclasses import dataclass

import orjson

from signer.model_providers import Style

_TYPES = {
    400: "invalid_request_error",
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    405: "invalid_request_error",
    413: "request_too_large",
    429: "rate_limit_error",
    503: "overloaded_error",
}


@dataclass(frozen=True, slots=True)
class HttpRefusal:
    """A status, a plain sentence, and whether asking again helps.

    retry_after_s: when; None says nothing about it. hopeless: asking again changes nothing.
    """

    status: int
    sentence: str
    retry_after_s: int | None = None
    hopeless: bool = False

    def headers(self) -> tuple[tuple[str, str], ...]:
        """The response's, but for those of its body's length."""
        found = [("content-type", "application/json")]
        if self.retry_after_s is not None:
            found.append(("retry-after", str(self.retry_after_s)))
        if self.hopeless:
            found.append(("x-should-retry", "false"))
        return tuple(found)

    def body(self, style: Style | None) -> bytes:
        """The error object that libraries of this style read."""
        kind = _TYPES.get(self.status, "api_error")
        if style == "anthropic":
            return orjson.dumps(
                {"type": "error", "error": {"type": kind, "message": self.sentence}}
            )
        told = {"message": self.sentence, "type": kind, "param": None, "code": None}
        return orjson.dumps({"error": told})

    def event(self, style: Style | None) -> bytes:
        """The same as the last event of a stream that had begun."""
        name = b"event: error\n" if style == "anthropic" else b""
        return name + b"data: " + self.body(style) + b"\n\n"


class NotServed(Exception):
    """A request that is answered by us and not by a provider."""

    def __init__(self, refusal: HttpRefusal) -> None:
        super().__init__(refusal.sentence)
        self.refusal = refusal


def not_served(status: int, sentence: str) -> NotServed:
    """The exception for what asking again does not help, but for a 503."""
    return NotServed(HttpRefusal(status, sentence, hopeless=status not in (503,)))
