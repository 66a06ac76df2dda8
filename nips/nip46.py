"""Pure: requests to a remote signer, and in the same form to the router. Source: NIP-46.

Sizes. A request's JSON travels in a NIP-44 payload, which travels in an event, which travels in
a frame. NIP-44's classic form ends at 65,535 bytes of JSON: an `unwrap` of a message of about
28,300 characters, because JSON, padding and two layers of base64 each add to it. Between our own
ends the extended form is used, so `MAX_MESSAGE_BYTES` is 512 KiB; its payload is 699,148
characters and the frame fits 1 MiB. A peer that reads only the classic form must be answered in
it: pass `extended=False` to `nip44.encrypt` and it raises a sentence that says the size.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import orjson

from nips.event import Event, Tag, Template
from nips.kinds import Kind
from nips.nip44 import MAX_CLASSIC_BYTES, MAX_EXTENDED_BYTES
from nips.refusal import Malformed, Refusal

MAX_MESSAGE_BYTES = MAX_EXTENDED_BYTES  # of a request's or response's JSON
MAX_ID_CHARS = 128
MAX_METHOD_CHARS = 64
MAX_PARAMS = 16
MAX_NAME_CHARS = 60  # of what a client calls itself


@dataclass(frozen=True, slots=True)
class Request:
    """A call: `id` is random and comes back in the response; the method's strings follow."""

    id: str
    method: str
    params: tuple[str, ...] = ()

    def to_json(self) -> str:
        """The text to encrypt."""
        return _text({"id": self.id, "method": self.method, "params": list(self.params)})

    @property
    def is_extended(self) -> bool:
        """Whether it did not fit NIP-44's classic form, so that its asker reads the other too."""
        return len(self.to_json().encode()) > MAX_CLASSIC_BYTES


@dataclass(frozen=True, slots=True)
class Response:
    """The answer to the request of the same `id`: a result, or an error in its place.

    Both are None for the `null` of `switch_relays`. A foreign signer's `auth_url` challenge has
    both: the result `auth_url` and an error whose sentence is the URL.
    """

    id: str
    result: str | None = None
    error: Refusal | None = None

    def to_json(self) -> str:
        """The text to encrypt. NIP-46: an error's "presence indicates an error", so it is
        left out where there is none."""
        message: dict[str, Any] = {"id": self.id, "result": self.result}
        if self.error is not None:
            message["error"] = str(self.error)
        return _text(message)


@dataclass(frozen=True, slots=True)
class Connect:
    """What a `connect` says: to which signer, with which secret, and how the client names itself.

    The permissions that it asks for are not kept: NIP-46 has them "for user convenience", and
    what a client may do is for its grant to say.
    """

    signer: str
    secret: str
    name: str


def parse_connect(params: Sequence[str]) -> Connect:
    """Read the parameters of a `connect`; all but the first may be missing or empty.

    Raises Malformed.
    """
    if not 1 <= len(params) <= 4:
        raise Malformed(f"connect takes 1 to 4 parameters, not {len(params)}")
    signer, secret, _perms, metadata = (*params, "", "", "")[:4]
    return Connect(signer, secret, _name_in(metadata))


def _name_in(metadata: str) -> str:
    # NIP-46: "treat it as a display hint only and MUST NOT use it for authorization decisions".
    # It is shown in a terminal, so only what prints is kept of it: no escapes, no line ends.
    try:
        value = orjson.loads(metadata) if metadata else None
    except orjson.JSONDecodeError:
        return ""
    name = value.get("name") if isinstance(value, dict) else None
    shown = "".join(c for c in name if c.isprintable()) if isinstance(name, str) else ""
    return shown.strip()[:MAX_NAME_CHARS]


def bunker_uri(signer: str, relays: Iterable[str], secret: str) -> str:
    """The `bunker://` address that a person pastes into a client. signer: its key in hex."""
    fields = [("relay", relay) for relay in relays] + [("secret", secret)]
    return f"bunker://{signer}?" + "&".join(f"{name}={quote(v, safe='')}" for name, v in fields)


def parse_request(text: str) -> Request:
    """Read a decrypted request. Raises Malformed."""
    message = _message(text)
    method, params = message.get("method"), message.get("params", [])
    if not isinstance(method, str) or not 1 <= len(method) <= MAX_METHOD_CHARS:
        raise Malformed(f"a request's method must be 1 to {MAX_METHOD_CHARS} characters")
    # NIP-46: "`params` is a positional array of string parameters"
    if (
        not isinstance(params, list)
        or len(params) > MAX_PARAMS
        or not all(isinstance(param, str) for param in params)
    ):
        raise Malformed(f"a request's params must be an array of at most {MAX_PARAMS} strings")
    return Request(_id(message), method, tuple(params))


def parse_response(text: str) -> Response:
    """Read a decrypted response. Raises Malformed. An empty error is none: some signers
    always write the field."""
    message = _message(text)
    result, error = message.get("result"), message.get("error")
    if result is not None and not isinstance(result, str):
        raise Malformed("a response's result must be a string")
    if error is not None and not isinstance(error, str):
        raise Malformed("a response's error must be a string")
    return Response(_id(message), result, Refusal.parse(error) if error else None)


def envelope(author: str, peer: str, payload: str, created_at: int) -> Template:
    """The unsigned kind 24133 that carries `payload`, a NIP-44 text for `peer` (hex)."""
    tags: tuple[Tag, ...] = (("p", peer),)
    return Template(author, created_at, Kind.REQUEST, tags, payload)


def check_envelope(event: Event, recipient: str) -> None:
    """Refuse an event that is not a 24133 for `recipient` (hex) or not its author's.

    The conversation key authenticates the author too, but NIP-44 says of the signature: "MUST
    be validated before decrypting". Raises Malformed.
    """
    if event.kind != Kind.REQUEST:
        raise Malformed(f"a request has kind {int(Kind.REQUEST)}, not {event.kind}")
    if event.values("p") != [recipient]:
        raise Malformed("the request is addressed to another key")
    event.verify()


def _text(message: dict[str, Any]) -> str:
    return orjson.dumps(message).decode()


def _message(text: str) -> dict[str, Any]:
    try:
        message = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise Malformed("a request or response must be JSON") from error
    if not isinstance(message, dict):
        raise Malformed("a request or response must be a JSON object")
    return message


def _id(message: dict[str, Any]) -> str:
    given = message.get("id")
    if not isinstance(given, str) or not 1 <= len(given) <= MAX_ID_CHARS:
        raise Malformed(f"an id must be a string of 1 to {MAX_ID_CHARS} characters")
    return given
