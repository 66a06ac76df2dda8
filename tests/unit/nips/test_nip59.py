"""NIP-59: what a wrap proves, each way to forge it, and nostr-sdk both ways."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import nostr_sdk
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nips import nip19, nip44, nip59
from nips.event import Event, Template
from nips.key import SecretKey
from nips.kinds import Kind
from nips.refusal import Malformed

AUX, NONCE = bytes(32), bytes(31) + b"\x01"
EPHEMERAL = SecretKey(b"\x0e" * 32)
NOW_S = 1_700_000_000
EXAMPLES: dict[str, Any] = json.loads(
    (Path(__file__).parents[2] / "vectors" / "nip59.example.json").read_text()
)


def rumor_of(author: SecretKey, content: str = "hello") -> Template:
    return Template(author.public, NOW_S, Kind.DIRECT_MESSAGE, (("p", "ab" * 32),), content)


def sealed(text: str, signer: SecretKey, recipient: SecretKey, **changes: Any) -> Event:
    """A seal, rightly signed by `signer`, around any text: what a hostile peer can make."""
    content = nip44.encrypt(text, nip44.conversation_key(signer, recipient.public), NONCE)
    template = Template(signer.public, NOW_S, Kind.SEAL, (), content)
    return replace(template, **changes).sign(signer, AUX)


def wrapped(text: str, recipient: SecretKey, **changes: Any) -> Event:
    """A wrap, rightly signed by a key used once, around any text."""
    content = nip44.encrypt(
        text, nip44.conversation_key(EPHEMERAL, recipient.public), NONCE, extended=True
    )
    template = Template(
        EPHEMERAL.public, NOW_S, Kind.GIFT_WRAP, (("p", recipient.public),), content
    )
    return replace(template, **changes).sign(EPHEMERAL, AUX)


def gift(seal: Event, recipient: SecretKey) -> Event:
    return wrapped(json.dumps(seal.to_json()), recipient)


def open_all(wrap: Event, recipient: SecretKey) -> tuple[Event, Template]:
    """Open by the whole and by the halves: they must agree, in refusing as well."""

    def decrypt(peer: str, payload: str) -> str:
        return nip44.decrypt(payload, nip44.conversation_key(recipient, peer), extended=True)

    def halves() -> tuple[Event, Template]:
        seal = nip59.open_wrap(wrap, recipient)
        return seal, nip59.open_seal(seal, recipient)

    try:
        opened = halves()
    except nip59.BadGift as error:
        with pytest.raises(type(error)):
            nip59.unwrap(wrap, recipient.public, decrypt)
        raise
    assert nip59.unwrap(wrap, recipient.public, decrypt) == opened
    return opened


# What is right


def test_a_wrap_opens_and_proves_its_author(alice: SecretKey, bob: SecretKey) -> None:
    rumor = rumor_of(alice)
    seal = nip59.seal(rumor, alice, bob.public, NOW_S - 5, NONCE, AUX)
    wrap = nip59.wrap(seal, EPHEMERAL, bob.public, NOW_S - 9, NONCE, AUX)
    assert open_all(wrap, bob) == (seal, rumor)
    assert (seal.kind, seal.tags, seal.pubkey) == (Kind.SEAL, (), alice.public)
    assert (wrap.kind, wrap.tags) == (Kind.GIFT_WRAP, (("p", bob.public),))
    assert wrap.pubkey == EPHEMERAL.public
    wrap.verify()
    seal.verify()


@settings(max_examples=30)
@given(content=st.text(st.characters(exclude_categories=["Cs"])))
def test_any_text_survives(content: str) -> None:
    alice, bob = SecretKey(b"\x0a" * 32), SecretKey(b"\x0b" * 32)
    rumor = rumor_of(alice, content)
    seal = nip59.seal(rumor, alice, bob.public, NOW_S, NONCE, AUX)
    assert open_all(nip59.wrap(seal, EPHEMERAL, bob.public, NOW_S, NONCE, AUX), bob)[1] == rumor


def test_the_nip_s_own_example() -> None:
    example = EXAMPLES["nip59"]
    recipient = SecretKey(bytes.fromhex(example["recipient_secret"]))
    seal, rumor = open_all(Event.from_json(example["wrap"]), recipient)
    assert rumor.to_json() == example["rumor"]
    assert nip59.open_seal(Event.from_json(example["seal"]), recipient) == rumor
    assert seal.pubkey == rumor.pubkey


@pytest.mark.parametrize(
    ("wrap", "nsec"), [("to_receiver", "receiver_nsec"), ("to_sender", "sender_nsec")]
)
def test_nip17_s_examples(wrap: str, nsec: str) -> None:
    example = EXAMPLES["nip17"]
    key = nip19.decode(example[nsec])
    assert isinstance(key, nip19.Nsec)
    _, rumor = open_all(Event.from_json(example[wrap]), key.key)
    assert rumor.content == example["content"]


def test_a_rumor_without_an_id_gets_its_own(alice: SecretKey, bob: SecretKey) -> None:
    rumor = rumor_of(alice)
    value = rumor.to_json()
    del value["id"]
    wrap = gift(sealed(json.dumps(value | {"sig": ""}), alice, bob), bob)
    assert open_all(wrap, bob)[1] == rumor


def test_the_key_free_seal_is_the_same(alice: SecretKey, bob: SecretKey) -> None:
    def encrypt(peer: str, plaintext: str) -> str:
        return nip44.encrypt(plaintext, nip44.conversation_key(alice, peer), NONCE)

    template = nip59.seal_template(rumor_of(alice), bob.public, NOW_S, encrypt)
    assert template.sign(alice, AUX) == nip59.seal(
        rumor_of(alice), alice, bob.public, NOW_S, NONCE, AUX
    )


def test_lengths(alice: SecretKey, bob: SecretKey) -> None:
    long = rumor_of(alice, "x" * 100_000)
    with pytest.raises(Malformed, match="65535"):
        nip59.seal(long, alice, bob.public, NOW_S, NONCE, AUX)
    seal = nip59.seal(long, alice, bob.public, NOW_S, NONCE, AUX, extended=True)
    with pytest.raises(Malformed, match="65535"):
        nip59.wrap(seal, EPHEMERAL, bob.public, NOW_S, NONCE, AUX)
    wrap = nip59.wrap(seal, EPHEMERAL, bob.public, NOW_S, NONCE, AUX, extended=True)
    assert open_all(wrap, bob)[1] == long


def test_nobody_seals_another_s_rumor_by_mistake(
    alice: SecretKey, bob: SecretKey, mallory: SecretKey
) -> None:
    with pytest.raises(Malformed, match="author"):
        nip59.seal(rumor_of(alice), mallory, bob.public, NOW_S, NONCE, AUX)


# Attacks. Each is right in everything but the one thing its name says.


def test_forged_author(alice: SecretKey, bob: SecretKey, mallory: SecretKey) -> None:
    """Mallory seals, with her own right signature, a rumor in Alice's name."""
    text = json.dumps(rumor_of(alice).to_json())
    with pytest.raises(nip59.ForgedAuthor):
        open_all(gift(sealed(text, mallory, bob), bob), bob)


def test_wrong_rumor_id(alice: SecretKey, bob: SecretKey) -> None:
    """A claimed id of another message would make this one its duplicate, or its answer."""
    value = rumor_of(alice).to_json() | {"id": rumor_of(alice, "another").id}
    with pytest.raises(nip59.WrongRumorId):
        open_all(gift(sealed(json.dumps(value), alice, bob), bob), bob)


def test_seal_without_its_author_s_signature(alice: SecretKey, bob: SecretKey) -> None:
    """Bob can encrypt to himself in Alice's name (the key is shared); he cannot sign."""
    right = sealed(json.dumps(rumor_of(alice).to_json()), alice, bob)
    for forged in (
        replace(right, sig="00" * 64),
        right.template.with_sig(sealed("x", alice, bob).sig),
        right.template.with_sig(right.template.sign(bob, AUX).sig),
        replace(right, id="00" * 32),
    ):
        with pytest.raises(nip59.BadSeal):
            open_all(gift(forged, bob), bob)
        with pytest.raises(nip59.BadSeal):
            nip59.open_seal(forged, bob)


def test_a_wrap_for_another(alice: SecretKey, bob: SecretKey, mallory: SecretKey) -> None:
    seal = sealed(json.dumps(rumor_of(alice).to_json()), alice, bob)
    text = json.dumps(seal.to_json())
    for tags in (
        (("p", mallory.public),),
        (),
        (("p",),),
        (("p", mallory.public), ("p", bob.public)),
        (("e", bob.public),),
    ):
        with pytest.raises(nip59.NotForUs):
            open_all(wrapped(text, bob, tags=tags), bob)


def test_a_right_wrap_with_a_relay_hint_opens(alice: SecretKey, bob: SecretKey) -> None:
    text = json.dumps(sealed(json.dumps(rumor_of(alice).to_json()), alice, bob).to_json())
    wrap = wrapped(text, bob, tags=(("p", bob.public, "wss://x.example"), ("expiration", "9")))
    assert open_all(wrap, bob)[1] == rumor_of(alice)


@pytest.mark.parametrize("kind", [1, Kind.SEAL, Kind.DIRECT_MESSAGE, 21_059])
def test_a_wrap_of_another_kind(alice: SecretKey, bob: SecretKey, kind: int) -> None:
    text = json.dumps(sealed(json.dumps(rumor_of(alice).to_json()), alice, bob).to_json())
    with pytest.raises(nip59.NotForUs):
        open_all(wrapped(text, bob, kind=kind), bob)


def test_a_wrap_that_its_key_did_not_sign(alice: SecretKey, bob: SecretKey) -> None:
    right = gift(sealed(json.dumps(rumor_of(alice).to_json()), alice, bob), bob)
    for forged in (
        replace(right, sig="00" * 64),
        replace(right, created_at=NOW_S + 1),
        right.template.with_sig(right.template.sign(alice, AUX).sig),
    ):
        with pytest.raises(nip59.BadWrap):
            open_all(forged, bob)


def test_undecryptable_layers(alice: SecretKey, bob: SecretKey, mallory: SecretKey) -> None:
    not_for_bob = gift(sealed("x", alice, mallory), mallory)
    relabelled = replace(not_for_bob.template, tags=(("p", bob.public),)).sign(EPHEMERAL, AUX)
    with pytest.raises(nip59.Undecryptable):
        open_all(relabelled, bob)
    with pytest.raises(nip59.Undecryptable):
        open_all(wrapped("x", bob, content="garbage"), bob)
    # The wrap is for Bob, the seal inside for somebody else.
    inner = sealed(json.dumps(rumor_of(alice).to_json()), alice, mallory)
    with pytest.raises(nip59.Undecryptable):
        open_all(gift(inner, bob), bob)


@pytest.mark.parametrize("kind", [1, 14, 1059, 30_078])
def test_a_seal_of_another_kind(alice: SecretKey, bob: SecretKey, kind: int) -> None:
    """Some other event of Alice's whose content happens to be for Bob is no seal."""
    text = json.dumps(rumor_of(alice).to_json())
    with pytest.raises(nip59.BadSeal):
        open_all(gift(sealed(text, alice, bob, kind=kind), bob), bob)


def test_a_seal_with_tags(alice: SecretKey, bob: SecretKey) -> None:
    text = json.dumps(rumor_of(alice).to_json())
    with pytest.raises(nip59.BadSeal):
        open_all(gift(sealed(text, alice, bob, tags=(("p", bob.public),)), bob), bob)
    tags = (("expiration", "9"), ("p", bob.public))
    with pytest.raises(nip59.BadSeal):
        open_all(gift(sealed(text, alice, bob, tags=tags), bob), bob)


def test_a_seal_that_says_when_it_expires(alice: SecretKey, bob: SecretKey) -> None:
    """NIP-17: of a disappearing message's tag, "SHOULD be included on the kind 13 seal as well"."""
    text = json.dumps(rumor_of(alice).to_json())
    seal = sealed(text, alice, bob, tags=(("expiration", "9"),))
    assert open_all(gift(seal, bob), bob) == (seal, rumor_of(alice))


@pytest.mark.parametrize("text", ["", "x", "[]", "null", "{}", '{"kind":13}', "[" * 10_000])
def test_a_wrap_around_no_seal(bob: SecretKey, text: str) -> None:
    expected = nip59.Undecryptable if not text else nip59.BadSeal
    wrap = wrapped(text or "x", bob, **({} if text else {"content": ""}))
    with pytest.raises(expected):
        open_all(wrap, bob)


@pytest.mark.parametrize(
    "change",
    [
        {"content": None},
        {"content": 5},
        {"kind": "14"},
        {"kind": True},
        {"kind": 70_000},
        {"created_at": "now"},
        {"created_at": -1},
        {"tags": None},
        {"tags": [["p", 5]]},
        {"tags": [[]]},
        {"pubkey": None},
        {"pubkey": 5},
        {"pubkey": "AB" * 32},
    ],
    ids=str,
)
def test_a_rumor_of_wrong_types(
    alice: SecretKey, bob: SecretKey, change: dict[str, object]
) -> None:
    text = json.dumps(rumor_of(alice).to_json() | change)
    with pytest.raises(nip59.BadRumor):
        open_all(gift(sealed(text, alice, bob), bob), bob)


@pytest.mark.parametrize("text", ["x", "[]", "null", "{}", "[" * 10_000, '{"pubkey":"\\ud800"}'])
def test_a_seal_around_no_rumor(alice: SecretKey, bob: SecretKey, text: str) -> None:
    with pytest.raises(nip59.BadRumor):
        open_all(gift(sealed(text, alice, bob), bob), bob)


def test_a_rumor_without_author_is_nobody_s(alice: SecretKey, bob: SecretKey) -> None:
    value = rumor_of(alice).to_json()
    del value["pubkey"]
    del value["id"]
    with pytest.raises(nip59.BadRumor):
        open_all(gift(sealed(json.dumps(value), alice, bob), bob), bob)


def test_a_signed_rumor(alice: SecretKey, bob: SecretKey) -> None:
    """It could be published by whoever receives it."""
    text = json.dumps(rumor_of(alice).sign(alice, AUX).to_json())
    with pytest.raises(nip59.BadRumor):
        open_all(gift(sealed(text, alice, bob), bob), bob)


@pytest.mark.parametrize("fill", ["A", "{", '"', "é", "~"])
def test_100_kb_of_garbage_on_each_layer(alice: SecretKey, bob: SecretKey, fill: str) -> None:
    garbage = fill * (100_000 // len(fill.encode()))
    with pytest.raises(nip59.Undecryptable):
        open_all(wrapped("x", bob, content=garbage), bob)
    with pytest.raises(nip59.BadSeal):
        open_all(wrapped(garbage, bob), bob)
    with pytest.raises(nip59.Undecryptable):
        open_all(gift(sealed("x", alice, bob, content=garbage), bob), bob)
    key = nip44.conversation_key(alice, bob.public)
    content = nip44.encrypt(garbage, key, NONCE, extended=True)
    with pytest.raises(nip59.BadRumor):
        open_all(gift(sealed("x", alice, bob, content=content), bob), bob)


def test_a_replayed_seal_in_a_new_wrap_is_the_same_rumor(alice: SecretKey, bob: SecretKey) -> None:
    """Whoever saw a seal can wrap it again: only the rumor's id tells that it is old."""
    seal = sealed(json.dumps(rumor_of(alice).to_json()), alice, bob)
    first, second = gift(seal, bob), wrapped(json.dumps(seal.to_json()), bob, created_at=1)
    assert first.id != second.id
    assert open_all(first, bob)[1].id == open_all(second, bob)[1].id


def test_every_refusal_is_one_of_the_tree() -> None:
    for error in (
        nip59.NotForUs,
        nip59.BadWrap,
        nip59.Undecryptable,
        nip59.BadSeal,
        nip59.BadRumor,
        nip59.ForgedAuthor,
        nip59.WrongRumorId,
    ):
        assert issubclass(error, nip59.BadGift)
        assert issubclass(error, Malformed)


# nostr-sdk


def test_nostr_sdk_opens_ours(alice: SecretKey, bob: SecretKey) -> None:
    rumor = rumor_of(alice, "für dich 😀")
    seal = nip59.seal(rumor, alice, bob.public, NOW_S, NONCE, AUX)
    wrap = nip59.wrap(seal, EPHEMERAL, bob.public, NOW_S, NONCE, AUX)
    theirs = nostr_sdk.UnwrappedGift.from_gift_wrap(
        nostr_sdk.Keys.parse(bob.raw.hex()), nostr_sdk.Event.from_json(json.dumps(wrap.to_json()))
    )
    assert theirs.sender().to_hex() == alice.public
    assert json.loads(theirs.rumor().as_json()) == rumor.to_json()


def test_we_open_nostr_sdk_s(alice: SecretKey, bob: SecretKey) -> None:
    theirs = nostr_sdk.nip17_make_private_msg(
        nostr_sdk.Keys.parse(alice.raw.hex()), nostr_sdk.PublicKey.parse(bob.public), "für dich 😀"
    )
    seal, rumor = open_all(Event.from_json(json.loads(theirs.as_json())), bob)
    assert (rumor.content, rumor.kind) == ("für dich 😀", Kind.DIRECT_MESSAGE)
    assert rumor.pubkey == seal.pubkey == alice.public
    assert rumor.values("p") == [bob.public]


OPENERS: list[Callable[[Event, SecretKey], object]] = [nip59.open_wrap, open_all]


@settings(max_examples=100)
@given(data=st.data())
def test_no_byte_of_a_wrap_can_be_changed(data: st.DataObject) -> None:
    alice, bob = SecretKey(b"\x0a" * 32), SecretKey(b"\x0b" * 32)
    right = gift(sealed(json.dumps(rumor_of(alice).to_json()), alice, bob), bob)
    content = bytearray(right.content.encode())
    at = data.draw(st.integers(0, len(content) - 1))
    content[at] ^= data.draw(st.integers(1, 127))
    template = replace(right.template, content=content.decode("latin-1"))
    # Signed again with the wrap's own key: the hostile relay's best try lacks even that.
    changed = template.sign(EPHEMERAL, AUX)
    for opener in OPENERS:
        with pytest.raises(nip59.Undecryptable):
            opener(changed, bob)
