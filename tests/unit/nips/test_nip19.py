"""NIP-19 by its examples, against nostr-sdk, and what people paste by mistake."""

from __future__ import annotations

import nostr_sdk
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nips import nip19
from nips.key import SecretKey
from nips.nip19 import Naddr, Nprofile, Npub, Nsec, decode, public_key_of
from nips.refusal import Malformed

# NIP-19 "Examples"
HEX = "7e7e9c42a91bfef19fa929e5fda1b72e0ebc1a4c1141673e2794234d86addf4e"
NPUB = "npub10elfcs4fr0l0r8af98jlmgdh9c8tcxjvz9qkw038js35mp4dma8qzvjptg"
SECRET = "67dea2ed018072d675f5415ecfaed7d2597555e202d85b3d65ea4e58d2d92ffa"
NSEC = "nsec1vl029mgpspedva04g90vltkh6fvh240zqtv9k0t9af8935ke9laqsnlfe5"
PROFILE = Nprofile(
    "3bf0c63fcb93463407af97a5e5ee64fa883d107ef9e558472c4eb9aaaefa459d",
    ("wss://r.x.com", "wss://djbas.sadkb.com"),
)
NPROFILE = (
    "nprofile1qqsrhuxx8l9ex335q7he0f09aej04zpazpl0ne2cgukyawd24mayt8gpp4mhxue69uhhytnc9e3k7mgpz4mhx"
    "ue69uhkg6nzv9ejuumpv34kytnrdaksjlyr9p"
)
keys = st.binary(min_size=32, max_size=32).filter(lambda raw: 0 < raw[0] < 255).map(SecretKey)


def test_the_nip_s_examples() -> None:
    assert nip19.encode_npub(HEX) == NPUB
    assert decode(NPUB) == Npub(HEX)
    assert nip19.encode_nsec(bytes.fromhex(SECRET)) == NSEC
    assert decode(NSEC) == Nsec(bytes.fromhex(SECRET))
    assert decode(NPROFILE) == PROFILE
    assert nip19.encode_nprofile(PROFILE.public_key, PROFILE.relays) == NPROFILE
    assert nip19.encode_npub(PROFILE.public_key) == (
        "npub180cvv07tjdrrgpa0j7j7tmnyl2yr6yr7l8j4s3evf6u64th6gkwsyjh6w6"
    )


@given(key=keys)
def test_nostr_sdk_writes_the_same(key: SecretKey) -> None:
    public = nostr_sdk.PublicKey.parse(key.public)
    assert nip19.encode_npub(key.public) == public.to_bech32()
    assert nip19.encode_nsec(key.raw) == nostr_sdk.SecretKey.parse(key.raw.hex()).to_bech32()
    assert decode(nip19.encode_nsec(key.raw)) == Nsec(key.raw)
    relays = ["wss://relay.example.com", "ws://127.0.0.1:7447"]
    ours = nip19.encode_nprofile(key.public, relays)
    assert nostr_sdk.Nip19Profile.from_bech32(ours).public_key().to_hex() == key.public
    profile = nostr_sdk.Nip19Profile(public, [nostr_sdk.RelayUrl.parse(url) for url in relays])
    assert decode(profile.to_bech32()) == Nprofile(key.public, tuple(relays))


@given(key=keys, name=st.text(max_size=60), kind=st.integers(30_000, 39_999))
def test_nostr_sdk_reads_and_writes_the_same_naddr(key: SecretKey, name: str, kind: int) -> None:
    relays = ["wss://relay.example.com", "ws://127.0.0.1:7447"]
    where = nostr_sdk.Coordinate(nostr_sdk.Kind(kind), nostr_sdk.PublicKey.parse(key.public), name)
    theirs = nostr_sdk.Nip19Coordinate(where, [nostr_sdk.RelayUrl.parse(url) for url in relays])
    assert decode(theirs.to_bech32()) == Naddr(name, key.public, kind, tuple(relays))
    ours = nostr_sdk.Nip19Coordinate.from_bech32(nip19.encode_naddr(name, key.public, kind, relays))
    assert ours.to_bech32() == theirs.to_bech32()


@given(key=keys, event_id=st.binary(min_size=32, max_size=32), kind=st.integers(0, 65_535))
def test_nostr_sdk_reads_and_writes_the_same_nevent(
    key: SecretKey, event_id: bytes, kind: int
) -> None:
    relays = ["wss://relay.example.com", "ws://127.0.0.1:7447"]
    theirs = nostr_sdk.Nip19Event.from_bech32(
        nip19.encode_nevent(event_id.hex(), relays, key.public, kind)
    )
    author, its_kind = theirs.author(), theirs.kind()
    assert author is not None
    assert its_kind is not None
    assert (theirs.event_id().to_hex(), author.to_hex()) == (event_id.hex(), key.public)
    assert its_kind.as_u16() == kind
    assert [str(url) for url in theirs.relays()] == relays


def test_no_nevent_without_an_id() -> None:
    with pytest.raises(Malformed, match="64 lower-case"):
        nip19.encode_nevent("x", (), HEX, 1)


def test_an_naddr_that_lacks_something_is_none() -> None:
    whole = nip19.decode_bech32(nip19.encode_naddr("x", HEX, 30_023, ()))[1]
    fields = [whole[:3], whole[3:37], whole[37:]]
    for missing in range(3):
        rest = b"".join(field for at, field in enumerate(fields) if at != missing)
        with pytest.raises(Malformed, match="naddr"):
            decode(nip19.encode_bech32("naddr", rest))
    with pytest.raises(Malformed, match="middle of a field"):
        decode(nip19.encode_bech32("naddr", whole[:-1]))
    with pytest.raises(Malformed, match="at most 255"):
        nip19.encode_naddr("x" * 256, HEX, 30_023, ())
    with pytest.raises(Malformed):
        public_key_of(nip19.encode_naddr("x", HEX, 30_023, ()))


@given(data=st.binary(max_size=200), prefix=st.sampled_from(["npub", "x", "a1b"]))
def test_bech32_round_trip(data: bytes, prefix: str) -> None:
    text = nip19.encode_bech32(prefix, data)
    assert nip19.decode_bech32(text) == (prefix, data)
    assert nip19.decode_bech32(text.upper()) == (prefix, data)


@given(at=st.integers(0, len(NPUB) - 6), to=st.sampled_from(nip19._CHARSET))
def test_one_wrong_character_is_seen(at: int, to: str) -> None:
    at += 5
    wrong = NPUB[:at] + to + NPUB[at + 1 :]
    if wrong != NPUB:
        with pytest.raises(Malformed, match="checksum"):
            decode(wrong)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "npub1",
        "1" + NPUB[5:],
        NPUB[:-1],
        NPUB + "q",
        NPUB.replace("e", "E", 1),
        NPUB.replace("l", "b", 1),
        "é" + NPUB,
        nip19.encode_bech32("npub", bytes(31)),
        nip19.encode_bech32("npub", b"\xff" * 32),
        nip19.encode_bech32("nsec", bytes(32)),
        nip19.encode_bech32("nsec", bytes(33)),
        nip19.encode_bech32("note", bytes(32)),
        nip19.encode_bech32("nprofile", b""),
        nip19.encode_bech32("nprofile", b"\x00\x20" + b"\xff" * 32),
        nip19.encode_bech32("nprofile", b"\x00\x20" + bytes(5)),
        nip19.encode_bech32("nprofile", b"\x01"),
        "q" * 6_000,
    ],
)
def test_what_is_none_of_the_three(text: str) -> None:
    with pytest.raises(Malformed):
        decode(text)


@pytest.mark.parametrize(
    ("data", "more", "last"),
    [(b"abcde", [0], 0), (bytes.fromhex(HEX), [], 1)],
    ids=["five bits left over", "left over bits that are not zero"],
)
def test_wrong_padding_is_refused(data: bytes, more: list[int], last: int) -> None:
    """BIP-173 refuses these: they would be two texts for the same bytes."""
    words = [nip19._VALUES[char] for char in nip19.encode_bech32("x", data)[2:-6]] + more
    words[-1] |= last
    polymod = nip19._polymod([*nip19._expand("x"), *words, *bytes(6)]) ^ 1
    checksum = [(polymod >> 5 * (5 - i)) & 31 for i in range(6)]
    text = "x1" + "".join(nip19._CHARSET[word] for word in [*words, *checksum])
    with pytest.raises(Malformed, match="padding"):
        nip19.decode_bech32(text)


def test_unknown_fields_of_an_nprofile_are_passed_over() -> None:
    key = bytes.fromhex(HEX)
    data = b"\x07\x02ab" + b"\x00\x20" + key + b"\x01\x01x" + b"\x01\x02\xc3\xa9"
    assert decode(nip19.encode_bech32("nprofile", data)) == Nprofile(HEX, ("x",))


@pytest.mark.parametrize("relays", [[""], ["é"], ["x" * 256], ["x" * 255] * 20])
def test_relays_that_no_nprofile_holds(relays: list[str]) -> None:
    with pytest.raises(Malformed):
        nip19.encode_nprofile(HEX, relays)


@pytest.mark.parametrize(
    "text",
    [HEX, HEX.upper(), NPUB, NPUB.upper(), f"nostr:{NPUB}", f"  {NPUB}\n"],
)
def test_ways_to_name_a_person(text: str) -> None:
    assert public_key_of(text) == HEX
    assert public_key_of(NPROFILE) == PROFILE.public_key


@pytest.mark.parametrize(
    ("text", "word"),
    [
        (NSEC, "secret"),
        (f"nostr:{NSEC}", "secret"),
        (NSEC.upper(), "secret"),
        (NPUB[:-1], "checksum"),
        ("alice@example.com", "npub1"),
        ("ff" * 32, "npub"),
        (nip19.encode_bech32("note", bytes(32)), "npub1"),
        ("", "npub1"),
    ],
)
def test_what_names_nobody_and_what_to_do(text: str, word: str) -> None:
    with pytest.raises(Malformed, match=word):
        public_key_of(text)


def test_no_error_repeats_a_secret() -> None:
    for text in (NSEC, NSEC[:-1] + "q", NSEC + "q", NSEC.replace("n", "N", 1)):
        for read in (decode, public_key_of):
            try:
                read(text)
            except Malformed as error:
                assert NSEC[5:25] not in str(error)  # noqa: PT017
    assert SECRET not in repr(decode(NSEC))
    assert "secret" not in repr(decode(NSEC)).lower().replace("secretkey", "")
    assert repr(bytes.fromhex(SECRET)) not in repr(decode(NSEC))


def test_what_cannot_be_written() -> None:
    for write, value in (
        (nip19.encode_npub, "ff" * 32),
        (nip19.encode_npub, NPUB),
    ):
        with pytest.raises(Malformed):
            write(value)
    with pytest.raises(Malformed):
        nip19.encode_nsec(bytes(32))
