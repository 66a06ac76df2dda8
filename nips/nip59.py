"""Pure: gift wraps: a rumor in a seal in a wrap. Source: NIP-59, NIP-17.

    wrap   kind 1059, signed by a key used once, `["p", recipient]`     hides who wrote
     └ seal   kind 13, signed by the author, no tags                    proves who wrote
        └ rumor   any kind, unsigned                                    what was written

Opening checks every layer before it believes the next one. What can be wrong:

    Malformed
    └── BadGift           below it, so a caller can catch all of them at once
        ├── NotForUs      no gift wrap at all, or addressed to another key
        ├── BadWrap       the wrap's id or signature is wrong
        ├── Undecryptable the NIP-44 payload of the wrap or of the seal does not open
        ├── BadSeal       not kind 13, tagged otherwise than by when it expires, or its id or
        │                 signature is wrong
        ├── BadRumor      not an unsigned event
        ├── ForgedAuthor  the rumor's author is not the one who sealed it
        └── WrongRumorId  the rumor claims an id that is not its content's

The functions that take `decrypt` or `encrypt` work without a key in hand, for a caller that keeps
it elsewhere; the others are the same with a SecretKey.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import orjson

from nips import nip44
from nips.event import Event, Template
from nips.key import SecretKey
from nips.kinds import Kind
from nips.refusal import Malformed

Decrypt = Callable[[str, str], str]
"""(peer's public key in hex, NIP-44 payload) → plaintext; raises Malformed if it does not open."""
Encrypt = Callable[[str, str], str]
"""(peer's public key in hex, plaintext) → NIP-44 payload; raises Malformed if it is too long."""


class BadGift(Malformed):
    """A gift wrap that cannot be believed."""


class NotForUs(BadGift):
    """It is no gift wrap, or addressed to another key."""


class BadWrap(BadGift):
    """The wrap's id or signature is wrong."""


class Undecryptable(BadGift):
    """A layer's payload does not open."""


class BadSeal(BadGift):
    """The seal is not a signed event of kind 13 without tags but for `expiration`."""


class BadRumor(BadGift):
    """The rumor is not an unsigned event."""


class ForgedAuthor(BadGift):
    """The rumor's author is not the seal's."""


class WrongRumorId(BadGift):
    """The rumor claims an id that is not its own."""


def seal_template(rumor: Template, recipient: str, created_at: int, encrypt: Encrypt) -> Template:
    """The unsigned seal by the rumor's author. `created_at` should be up to two days back."""
    # NIP-59: "Tags MUST always be empty in a `kind:13`"
    return Template(
        rumor.pubkey, created_at, Kind.SEAL, (), encrypt(recipient, _text(rumor.to_json()))
    )


def seal(
    rumor: Template,
    author: SecretKey,
    recipient: str,
    created_at: int,
    nonce: bytes,
    aux: bytes,
    *,
    extended: bool = False,
) -> Event:
    """Seal `rumor` for `recipient` (hex). nonce, aux: 32 fresh random bytes each.

    Raises Malformed when the rumor is another author's or longer than NIP-44 takes; `extended`
    allows what only newer clients open.
    """
    if rumor.pubkey != author.public:
        raise Malformed("a rumor is sealed by its own author only")
    encrypt = _encrypt_with(author, nonce, extended)
    return seal_template(rumor, recipient, created_at, encrypt).sign(author, aux)


def wrap(
    seal: Event,
    ephemeral: SecretKey,
    recipient: str,
    created_at: int,
    nonce: bytes,
    aux: bytes,
    *,
    extended: bool = False,
) -> Event:
    """Wrap a seal for `recipient` with a key made for this wrap alone. See `seal`."""
    content = _encrypt_with(ephemeral, nonce, extended)(recipient, _text(seal.to_json()))
    return Template(
        ephemeral.public, created_at, Kind.GIFT_WRAP, (("p", recipient),), content
    ).sign(ephemeral, aux)


def open_wrap(wrap: Event, recipient: SecretKey) -> Event:
    """Check and open a wrap; returns its seal, checked. Raises BadGift."""
    return _open_wrap(wrap, recipient.public, _decrypt_with(recipient))


def open_seal(seal: Event, recipient: SecretKey) -> Template:
    """Check and open a seal; returns its rumor, whose author is proved. Raises BadGift."""
    return _open_seal(seal, _decrypt_with(recipient))


def unwrap(wrap: Event, public_key: str, decrypt: Decrypt) -> tuple[Event, Template]:
    """Open a wrap for `public_key` (hex) whose secret only `decrypt` knows.

    Returns the seal and the rumor, both checked. Raises BadGift.
    """
    seal = _open_wrap(wrap, public_key, decrypt)
    return seal, _open_seal(seal, decrypt)


def _open_wrap(wrap: Event, public_key: str, decrypt: Decrypt) -> Event:
    if wrap.kind != Kind.GIFT_WRAP:
        raise NotForUs(f"a gift wrap has kind {int(Kind.GIFT_WRAP)}, not {wrap.kind}")
    if wrap.values("p") != [public_key]:
        raise NotForUs("the wrap is addressed to another key")
    try:
        # NIP-44: "The outer signature … MUST be validated before decrypting"
        wrap.verify()
    except Malformed as error:
        raise BadWrap(f"wrap: {error}") from error
    content = _opened("wrap", wrap, decrypt)
    try:
        seal = Event.from_json(_object(content))
    except Malformed as error:
        raise BadSeal(f"seal: {error}") from error
    _check_seal(seal)
    return seal


def _check_seal(seal: Event) -> None:
    if seal.kind != Kind.SEAL:
        # Any other kind is an event its author signed for another purpose.
        raise BadSeal(f"seal: has kind {int(Kind.SEAL)}, not {seal.kind}")
    # NIP-59: "Tags MUST always be empty in a `kind:13`". NIP-17, of an expiration: "This tag SHOULD
    # be included on the `kind 13` seal as well": what its newer clients send is not to be lost.
    if any(tag[:1] != ("expiration",) for tag in seal.tags):
        raise BadSeal("seal: must have no tags but an expiration")
    try:
        # Attack: seal as anybody, with a made-up signature. It alone proves the author.
        seal.verify()
    except Malformed as error:
        raise BadSeal(f"seal: {error}") from error


def _open_seal(seal: Event, decrypt: Decrypt) -> Template:
    _check_seal(seal)
    content = _opened("seal", seal, decrypt)
    try:
        value = _object(content)
        claimed = value.pop("id", None)
        rumor = Template.from_json(value)
    except Malformed as error:
        raise BadRumor(f"rumor: {error}") from error
    if value.get("sig"):
        # NIP-59: "The inner event MUST always be unsigned": a signed one could be published.
        raise BadRumor("rumor: must not be signed")
    if rumor.pubkey != seal.pubkey:
        # NIP-17: "otherwise any sender can impersonate any other by simply changing the pubkey"
        raise ForgedAuthor("the rumor's author is not the one who sealed it")
    if claimed is not None and claimed != rumor.id:
        # Attack: claim the id of a message already handled and it is dropped as a duplicate,
        # or of one that is awaited and it is taken for the answer.
        raise WrongRumorId("the rumor claims an id that is not its content's")
    return rumor


def _opened(layer: str, event: Event, decrypt: Decrypt) -> str:
    try:
        return decrypt(event.pubkey, event.content)
    except Malformed as error:
        raise Undecryptable(f"{layer}: {error}") from error


def _object(text: str) -> dict[str, Any]:
    try:
        value = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise Malformed("the decrypted text is not JSON") from error
    if not isinstance(value, dict):
        raise Malformed("an event must be a JSON object")
    return value


def _text(value: dict[str, Any]) -> str:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)


def _decrypt_with(key: SecretKey) -> Decrypt:
    # The extended form is read here whoever wrote it: NIP-44 knows no other for long texts.
    return lambda peer, payload: nip44.decrypt(
        payload, nip44.conversation_key(key, peer), extended=True
    )


def _encrypt_with(key: SecretKey, nonce: bytes, extended: bool) -> Encrypt:
    return lambda peer, plaintext: nip44.encrypt(
        plaintext, nip44.conversation_key(key, peer), nonce, extended=extended
    )
