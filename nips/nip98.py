"""Pure: authorisation of an HTTP request by a signed event. Source: NIP-98."""

from __future__ import annotations

from base64 import b64decode, b64encode
from binascii import Error as BadBase64
from collections.abc import Callable, Collection
from hashlib import sha256

import orjson

from nips import nip42
from nips.event import Event, Template
from nips.refusal import Malformed, Prefix, Refusal

HTTP_AUTH = 27_235
MAX_AGE_S = 60  # NIP-98: "within a reasonable time window (suggestion 60 seconds)"
_SCHEME = "nostr "


def template(pubkey: str, url: str, method: str, body: bytes, created_at: int) -> Template:
    """The unsigned authorisation of one request."""
    tags = (("u", url), ("method", method), ("payload", sha256(body).hexdigest()))
    return Template(pubkey, created_at, HTTP_AUTH, tags, "")


def header(event: Event) -> str:
    """The value of the `Authorization` header."""
    return "Nostr " + b64encode(orjson.dumps(event.to_json())).decode()


def parse(value: str | None) -> Event:
    """Read an `Authorization` header. Raises Malformed; the event is not verified here."""
    if value is None or not value[: len(_SCHEME)].lower() == _SCHEME:
        raise Malformed("an Authorization header of the scheme Nostr is needed")
    try:
        decoded = orjson.loads(b64decode(value[len(_SCHEME) :].strip(), validate=True))
    except (BadBase64, ValueError) as error:
        raise Malformed("the Authorization header must hold an event in base64") from error
    return Event.from_json(decoded)


def check(
    event: Event, relays: Collection[str], method: str, body: bytes, now_s: int
) -> Refusal | None:
    """Why an event does not authorise a request to a relay; None when it does.

    relays: the relay's own ws(s) addresses; `u` may name them as http(s). The payload is required,
    as NIP-86 does: without it whoever saw one request could send another under its signature.
    """
    wrong_body = check_payload(event, body)
    return wrong_body or check_head(event, lambda url: _names(url, relays), method, now_s)


def check_head(
    event: Event, names_us: Callable[[str], bool], method: str, now_s: int
) -> Refusal | None:
    """Why an event authorises no request of this method whatever its body; None when it may.

    names_us: says whether the event's `u` is the address that was asked.
    """
    if event.kind != HTTP_AUTH:
        return _invalid(f"an authorisation has kind {HTTP_AUTH}")
    if abs(now_s - event.created_at) > MAX_AGE_S:
        return _invalid(f"created_at is more than {MAX_AGE_S} s from this clock")
    if event.values("method") != [method]:
        return _invalid("the method tag does not name the request's method")
    urls = event.values("u")
    if len(urls) != 1 or not names_us(urls[0]):
        return _invalid("the u tag does not name this address")
    try:
        event.verify()
    except Malformed as error:
        return _invalid(str(error))
    return None


def check_payload(event: Event, body: bytes) -> Refusal | None:
    """Why a request's body is not the one that the event authorises; None when it is."""
    if event.values("payload") != [sha256(body).hexdigest()]:
        return _invalid("the payload tag is not the hash of the request's body")
    return None


def _names(url: str, relays: Collection[str]) -> bool:
    scheme, separator, rest = url.partition("://")
    as_socket = {"http": "ws", "https": "wss"}.get(scheme.lower(), scheme) + separator + rest
    try:
        return nip42.normalise(as_socket) in {nip42.normalise(relay) for relay in relays}
    except Malformed:
        return False


def _invalid(sentence: str) -> Refusal:
    return Refusal(Prefix.INVALID, sentence)
