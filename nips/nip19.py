"""Pure: keys and addresses as people write them: npub, nsec, nprofile, naddr.

Source: NIP-19, BIP-173 (bech32).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from nips.key import SecretKey, is_hex, is_public_key
from nips.refusal import Malformed

MAX_CHARS = 5_000  # NIP-19: "SHOULD be limited in size to 5000 characters"
_CHARSET = "qpzry9x8gf2tvdw0s3jn54khce6mua7l"
_VALUES = {char: value for value, char in enumerate(_CHARSET)}
_GENERATOR = (0x3B6A57B2, 0x26508E6D, 0x1EA119FA, 0x3D4233DD, 0x2A1462B3)
_CHECKSUM_CHARS = 6
_TLV_SPECIAL, _TLV_RELAY, _TLV_AUTHOR, _TLV_KIND = range(4)


@dataclass(frozen=True, slots=True)
class Npub:
    """A public key, in hex."""

    public_key: str


@dataclass(frozen=True, slots=True)
class Nsec:
    """A secret key of 32 bytes; its repr does not show it."""

    raw: bytes = field(repr=False)

    @property
    def key(self) -> SecretKey:
        """The key, ready to sign."""
        return SecretKey(self.raw)


@dataclass(frozen=True, slots=True)
class Nprofile:
    """A public key in hex and relays where its owner is likely found."""

    public_key: str
    relays: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Naddr:
    """An addressable event's name (`d`), author in hex, kind, and relays where it is likely."""

    identifier: str
    author: str
    kind: int
    relays: tuple[str, ...] = ()


def encode_npub(public_key: str) -> str:
    """The `npub1…` of a public key in hex."""
    return encode_bech32("npub", _public_bytes(public_key))


def encode_nsec(secret: bytes) -> str:
    """The `nsec1…` of 32 secret bytes."""
    return encode_bech32("nsec", SecretKey(secret).raw)


def encode_nprofile(public_key: str, relays: Iterable[str]) -> str:
    """The `nprofile1…` of a public key in hex and relay addresses of up to 255 characters."""
    return _encode_tlv("nprofile", _tlv(_TLV_SPECIAL, _public_bytes(public_key)), relays)


def encode_nevent(event_id: str, relays: Iterable[str], author: str, kind: int) -> str:
    """The `nevent1…` of an event: its id and author in hex, kind, relay addresses."""
    if not is_hex(event_id, 32):
        raise Malformed("an event's id must be 64 lower-case hex digits")
    special = _tlv(_TLV_SPECIAL, bytes.fromhex(event_id))
    return _encode_tlv("nevent", special, relays, _author_and_kind(author, kind))


def encode_naddr(identifier: str, author: str, kind: int, relays: Iterable[str]) -> str:
    """The `naddr1…` of an addressable event: its `d`, author in hex, kind, relay addresses."""
    name = identifier.encode()
    if len(name) > 255:
        raise Malformed("an identifier in an naddr has at most 255 bytes")
    rest = _author_and_kind(author, kind)
    return _encode_tlv("naddr", _tlv(_TLV_SPECIAL, name), relays, rest)


def decode(text: str) -> Npub | Nsec | Nprofile | Naddr:
    """Read one of the four. Raises Malformed; its words never repeat the text, which may be
    a mistyped secret."""
    prefix, data = decode_bech32(text)
    match prefix:
        case "npub" if len(data) == 32 and is_public_key(data.hex()):
            return Npub(data.hex())
        case "nsec" if len(data) == 32:
            return Nsec(SecretKey(data).raw)
        case "nprofile":
            return _nprofile(data)
        case "naddr":
            return _naddr(data)
        case "npub" | "nsec":
            raise Malformed(f"the {prefix} does not hold a key of the curve")
        case _:
            raise Malformed("neither an npub, an nsec, an nprofile nor an naddr")


def public_key_of(text: str) -> str:
    """The public key, in hex, that a person means by hex, an npub or an nprofile, with or
    without `nostr:` (NIP-21) before it. Raises Malformed with what to do instead."""
    given = text.strip().removeprefix("nostr:")
    if is_hex(given.lower(), 32):
        if not is_public_key(given.lower()):
            raise Malformed("these 64 hex digits are no public key; copy the npub again")
        return given.lower()
    if given.lower().startswith("nsec1"):
        raise Malformed(
            "this is a secret key (nsec); give the public one (npub), and if the nsec was typed "
            "where others can see it, treat it as lost"
        )
    try:
        match decode(given):
            case Npub(public_key) | Nprofile(public_key):
                return public_key
            case _:
                raise Malformed("not a public key")
    except Malformed as error:
        raise Malformed(
            f"not a public key ({error}); give an npub1…, an nprofile1… or 64 hex digits"
        ) from error


def encode_bech32(prefix: str, data: bytes) -> str:
    """BIP-173 text of whole bytes, without its limit of 90 characters."""
    words = _regroup(data, 8, 5, pad=True)
    polymod = _polymod([*_expand(prefix), *words, *bytes(_CHECKSUM_CHARS)]) ^ 1
    checksum = [(polymod >> 5 * (5 - i)) & 31 for i in range(_CHECKSUM_CHARS)]
    return f"{prefix}1{''.join(_CHARSET[word] for word in [*words, *checksum])}"


def decode_bech32(text: str) -> tuple[str, bytes]:
    """Prefix and bytes of a BIP-173 text in one case. Raises Malformed."""
    if len(text) > MAX_CHARS:
        raise Malformed(f"longer than {MAX_CHARS} characters")
    # BIP-173: "Decoders MUST NOT accept strings where some characters are uppercase and some
    # are lowercase"
    if text not in (text.lower(), text.upper()):
        raise Malformed("upper and lower case are mixed")
    prefix, separator, rest = text.lower().rpartition("1")
    if not separator or not prefix or len(rest) < _CHECKSUM_CHARS or not prefix.isascii():
        raise Malformed("not a bech32 text")
    try:
        words = [_VALUES[char] for char in rest]
    except KeyError as error:
        raise Malformed("a character is not one of bech32's") from error
    if _polymod([*_expand(prefix), *words]) != 1:
        raise Malformed("the checksum does not hold: a character is wrong or missing")
    return prefix, bytes(_regroup(words[:-_CHECKSUM_CHARS], 5, 8, pad=False))


def _nprofile(data: bytes) -> Nprofile:
    first, relays = fields("nprofile", data)
    public_key = first[_TLV_SPECIAL].hex() if _TLV_SPECIAL in first else None
    if not is_public_key(public_key):
        raise Malformed("the nprofile does not hold a public key")
    return Nprofile(str(public_key), relays)


def _naddr(data: bytes) -> Naddr:
    first, relays = fields("naddr", data)
    author, kind = first.get(_TLV_AUTHOR, b"").hex(), first.get(_TLV_KIND, b"")
    try:
        name = first[_TLV_SPECIAL].decode()
    except (KeyError, UnicodeDecodeError) as error:
        raise Malformed("the naddr does not hold an identifier") from error
    if not is_public_key(author) or len(kind) != 4:
        raise Malformed("the naddr does not hold an author and a kind")
    return Naddr(name, author, int.from_bytes(kind, "big"), relays)


def fields(what: str, data: bytes) -> tuple[dict[int, bytes], tuple[str, ...]]:
    """The first value of each type of a NIP-19 text, and its relays. Raises Malformed."""
    first: dict[int, bytes] = {}
    relays, at = [], 0
    while at < len(data):
        if at + 2 > len(data) or at + 2 + data[at + 1] > len(data):
            raise Malformed(f"the {what} ends in the middle of a field")
        kind, value = data[at], data[at + 2 : at + 2 + data[at + 1]]
        at += 2 + len(value)
        # NIP-19: "TLVs that are not recognized or supported should be ignored"
        first.setdefault(kind, value)
        if kind == _TLV_RELAY and value.isascii():
            relays.append(value.decode("ascii"))
    return first, tuple(relays)


def _encode_tlv(what: str, special: bytes, relays: Iterable[str], rest: bytes = b"") -> str:
    out = special
    for relay in relays:
        try:
            value = relay.encode("ascii")  # NIP-19: "encoded as ascii"
        except UnicodeEncodeError as error:
            raise Malformed(f"a relay's address in an {what} must be ASCII") from error
        if not 1 <= len(value) <= 255:
            raise Malformed(f"a relay's address in an {what} must be 1 to 255 characters")
        out += _tlv(_TLV_RELAY, value)
    text = encode_bech32(what, out + rest)
    if len(text) > MAX_CHARS:
        raise Malformed(f"an {what} must be at most {MAX_CHARS} characters: name fewer relays")
    return text


def _author_and_kind(author: str, kind: int) -> bytes:
    # NIP-19: kind is "the 32-bit unsigned integer of the kind, big-endian"
    return _tlv(_TLV_AUTHOR, _public_bytes(author)) + _tlv(_TLV_KIND, kind.to_bytes(4, "big"))


def _tlv(kind: int, value: bytes) -> bytes:
    return bytes([kind, len(value)]) + value


def _public_bytes(public_key: str) -> bytes:
    if not is_public_key(public_key):
        raise Malformed("a public key must be 64 lower-case hex digits and on the curve")
    return bytes.fromhex(public_key)


def _expand(prefix: str) -> list[int]:
    return [*(ord(char) >> 5 for char in prefix), 0, *(ord(char) & 31 for char in prefix)]


def _polymod(values: Iterable[int]) -> int:
    checksum = 1
    for value in values:
        top = checksum >> 25
        checksum = (checksum & 0x1FFFFFF) << 5 ^ value
        for i, generator in enumerate(_GENERATOR):
            checksum ^= generator if (top >> i) & 1 else 0
    return checksum


def _regroup(values: Sequence[int], from_bits: int, to_bits: int, *, pad: bool) -> list[int]:
    accumulator, n_bits, out = 0, 0, []
    for value in values:
        accumulator = (accumulator << from_bits | value) & 0xFFF
        n_bits += from_bits
        while n_bits >= to_bits:
            n_bits -= to_bits
            out.append(accumulator >> n_bits & (1 << to_bits) - 1)
    rest = accumulator << (to_bits - n_bits) & (1 << to_bits) - 1
    if pad and n_bits:
        out.append(rest)
    elif not pad and (n_bits >= from_bits or rest):
        # BIP-173: "Any incomplete group at the end MUST be 4 bits or less, MUST be all zeroes"
        raise Malformed("the bech32 text ends in wrong padding")
    return out
