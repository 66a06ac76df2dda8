"""Pure: authentication of a client to a relay. Source: NIP-42."""

from __future__ import annotations

from collections.abc import Collection
from urllib.parse import urlsplit

from nips.event import Event, Template
from nips.kinds import Kind
from nips.refusal import Malformed, Prefix, Refusal

MAX_AGE_S = 600  # NIP-42: "`created_at` is close (e.g. within ~10 minutes) of the current time"
MAX_URL_CHARS = 1_000
_DEFAULT_PORTS = {"ws": 80, "wss": 443}


def auth_template(pubkey: str, challenge: str, relay_url: str, created_at: int) -> Template:
    """The unsigned answer of `pubkey` to a relay's challenge."""
    return Template(
        pubkey, created_at, Kind.AUTH, (("relay", relay_url), ("challenge", challenge)), ""
    )


def check(
    event: Event, challenge: str, accepted_relays: Collection[str], now_s: int
) -> Refusal | None:
    """Why an AUTH event does not prove its author's presence here; None when it does.

    challenge: the one this connection was given. accepted_relays: the relay's own addresses,
    any spelling. Answers captured elsewhere fail: another connection's by the challenge, another
    relay's by the address (a hostile relay replays what its client signed for it), old ones by
    the time. Exactly one tag of each, so nobody can sign for two relays at once.
    """
    if event.kind != Kind.AUTH:
        return _invalid(f"an AUTH event has kind {Kind.AUTH}, not {event.kind}")
    if event.values("challenge") != [challenge]:
        return _invalid("the challenge is not the one of this connection")
    relays = event.values("relay")
    if len(relays) != 1 or not _accepted(relays[0], accepted_relays):
        return _invalid("the relay tag does not name this relay")
    if abs(now_s - event.created_at) > MAX_AGE_S:
        return _invalid(f"created_at is more than {MAX_AGE_S} s from this relay's clock")
    try:
        event.verify()
    except Malformed as error:
        return _invalid(str(error))
    return None


def normalise(url: str) -> str:
    """One spelling for a relay's address: lower-case scheme and host, no default port, no
    slash at the end. Raises Malformed when it is not a ws or wss address, or a long one."""
    # Attack: a list of ten addresses of 38 kB each. What is written down of three such recipients
    # fits no frame, and is sent again for ever.
    if len(url) > MAX_URL_CHARS:
        raise Malformed(f"a relay's address has at most {MAX_URL_CHARS} characters")
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise Malformed("a relay's address must be a URL") from error
    if parts.scheme not in _DEFAULT_PORTS or not parts.hostname:
        raise Malformed("a relay's address must begin with ws:// or wss:// and name a host")
    if parts.username is not None or parts.password is not None:
        # ws://this.relay@other.relay reads as one host and is another.
        raise Malformed("a relay's address holds no user name")
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    shown_port = "" if port in (None, _DEFAULT_PORTS[parts.scheme]) else f":{port}"
    query = f"?{parts.query}" if parts.query else ""
    return f"{parts.scheme}://{host}{shown_port}{parts.path.rstrip('/')}{query}"


def _accepted(url: str, accepted_relays: Collection[str]) -> bool:
    try:
        return normalise(url) in {normalise(accepted) for accepted in accepted_relays}
    except Malformed:
        return False


def _invalid(sentence: str) -> Refusal:
    return Refusal(Prefix.INVALID, sentence)
