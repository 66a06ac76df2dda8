"""NIP-01 events: canonical bytes, ids that agree with another implementation, forged fields."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import nostr_sdk
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nips.event import Event, Template, canonical
from nips.key import SecretKey
from nips.refusal import Malformed

AUX = bytes(32)
KEY = SecretKey(b"\x0c" * 32)
UNICODE = st.text(st.characters(exclude_categories=["Cs"]))


def test_canonical_bytes_escape_only_what_nip01_names() -> None:
    content = '\n"\\\r\t\b\f é \u2028 😀 /'
    assert canonical("ab", 1, 2, (("t", "x"),), content) == (
        '[0,"ab",1,2,[["t","x"]],"\\n\\"\\\\\\r\\t\\b\\f é \u2028 😀 /"]'.encode()
    )


def test_canonical_bytes_are_a_second_encoders_for_every_character() -> None:
    every = "".join(map(chr, (*range(0xD800), *range(0xE000, 0x110000))))
    array = [0, "ab", 1, 2, [["t", every]], every]
    theirs = json.dumps(array, separators=(",", ":"), ensure_ascii=False).encode()
    assert canonical("ab", 1, 2, (("t", every),), every) == theirs


@settings(max_examples=300)
@given(
    content=UNICODE,
    tags=st.lists(st.lists(UNICODE, min_size=1, max_size=4), max_size=4),
    kind=st.integers(0, 65_535),
    created_at=st.integers(0, 2**40),
)
def test_id_is_the_one_nostr_sdk_computes(
    content: str, tags: list[list[str]], kind: int, created_at: int
) -> None:
    template = Template(KEY.public, created_at, kind, tuple(map(tuple, tags)), content)
    event = template.sign(KEY, AUX)
    theirs = nostr_sdk.Event.from_json(json.dumps(event.to_json()))
    assert theirs.verify_id()
    assert theirs.verify_signature()
    event.verify()


def test_nostr_sdk_sees_an_id_that_is_wrong() -> None:
    event = replace(Template(KEY.public, 1, 1, (), "a").sign(KEY, AUX), content="b")
    assert not nostr_sdk.Event.from_json(json.dumps(event.to_json())).verify_id()


@given(content=UNICODE, tags=st.lists(st.lists(UNICODE, min_size=1), max_size=3))
def test_json_round_trip(content: str, tags: list[list[str]]) -> None:
    event = Template(KEY.public, 7, 1, tuple(map(tuple, tags)), content).sign(KEY, AUX)
    assert Event.from_json(json.loads(json.dumps(event.to_json()))) == event
    assert Template.from_json(event.template.to_json()) == event.template
    assert event.template.with_sig(event.sig) == event


@pytest.mark.parametrize("field", ["id", "pubkey", "created_at", "kind", "tags", "content", "sig"])
def test_a_missing_field_is_refused(field: str) -> None:
    value = Template(KEY.public, 7, 1, (), "").sign(KEY, AUX).to_json()
    del value[field]
    with pytest.raises(Malformed):
        Event.from_json(value)


@pytest.mark.parametrize(
    ("field", "wrong"),
    [
        ("id", "AB" * 32),
        ("id", "ab" * 31),
        ("pubkey", "zz" * 32),
        ("pubkey", 5),
        ("created_at", -1),
        ("created_at", True),
        ("created_at", 1.0),
        ("created_at", 2**63),
        ("kind", 65_536),
        ("kind", "1"),
        ("kind", False),
        ("tags", {}),
        ("tags", [[]]),
        ("tags", [["a", 1]]),
        ("tags", ["a"]),
        ("tags", [["\ud800"]]),
        ("content", None),
        ("content", "\udfff"),
        ("sig", "ab" * 63),
    ],
)
def test_a_wrong_field_is_refused(field: str, wrong: object) -> None:
    value: dict[str, Any] = Template(KEY.public, 7, 1, (), "").sign(KEY, AUX).to_json()
    with pytest.raises(Malformed):
        Event.from_json(value | {field: wrong})


@pytest.mark.parametrize("value", [None, [], "x", 3])
def test_only_an_object_is_an_event(value: object) -> None:
    with pytest.raises(Malformed):
        Event.from_json(value)


CHANGES: dict[str, Callable[[Event], Event]] = {
    "content": lambda e: replace(e, content="paid"),
    "author": lambda e: replace(e, pubkey=SecretKey(b"\x0e" * 32).public),
    "time": lambda e: replace(e, created_at=e.created_at + 1),
    "kind": lambda e: replace(e, kind=5),
    "tags": lambda e: replace(e, tags=(("p", "x"),)),
    "signature": lambda e: replace(e, sig="00" * 64),
    "id": lambda e: replace(e, id="00" * 32),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_changed_event_does_not_verify(change: str) -> None:
    event = Template(KEY.public, 7, 1, (), "owed").sign(KEY, AUX)
    event.verify()
    with pytest.raises(Malformed):
        CHANGES[change](event).verify()


def test_a_recomputed_id_does_not_save_a_stolen_signature() -> None:
    """Attack: change the content, recompute the id, keep the signature."""
    event = Template(KEY.public, 7, 1, (), "owed").sign(KEY, AUX)
    forged = replace(event.template, content="paid").with_sig(event.sig)
    assert forged.id_matches()
    with pytest.raises(Malformed, match="signature"):
        forged.verify()


def test_a_template_that_claims_another_id_is_refused() -> None:
    value = Template(KEY.public, 7, 1, (), "").to_json() | {"id": "00" * 32}
    with pytest.raises(Malformed, match="id"):
        Template.from_json(value)


def test_signing_makes_the_key_the_author(alice: SecretKey) -> None:
    assert Template("ab" * 32, 7, 1, (), "").sign(alice, AUX).pubkey == alice.public


def test_tag_values() -> None:
    template = Template(KEY.public, 7, 1, (("p",), ("p", "a"), ("e", "x"), ("p", "b", "c")), "")
    assert template.tag("p") == "a"
    assert template.values("p") == ["a", "b"]
    assert template.tag("q") is None
    event = template.sign(KEY, AUX)
    assert (event.tag("p"), event.values("p"), event.tag("q")) == ("a", ["a", "b"], None)
