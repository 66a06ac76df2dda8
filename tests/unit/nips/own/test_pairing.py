"""Pairing: who may name the owner, and that a file outranks it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from nips.key import SecretKey
from nips.own import pairing
from nips.own.roles import Roles
from nips.refusal import Malformed

SIGNER = SecretKey(b"\x31" * 32)
AUX = bytes(32)


def test_the_signer_names_the_owner(alice: SecretKey) -> None:
    event = pairing.template(SIGNER.public, alice.public, 7).sign(SIGNER, AUX)
    assert pairing.parse(event, SIGNER.public) == alice.public
    assert event.tag("d") == "owner"


def test_nobody_else_does(alice: SecretKey, mallory: SecretKey) -> None:
    """Attack: mallory names herself, under her key or with the signer's name on it."""
    template = pairing.template(SIGNER.public, mallory.public, 7)
    right = pairing.template(SIGNER.public, alice.public, 7).sign(SIGNER, AUX)
    for bad in (
        template.sign(mallory, AUX),
        template.with_sig(template.sign(mallory, AUX).sig),
        template.with_sig(right.sig),
        replace(right, tags=template.tags),
    ):
        with pytest.raises(Malformed):
            pairing.parse(bad, SIGNER.public)


def test_what_is_no_naming(alice: SecretKey, bob: SecretKey) -> None:
    template = pairing.template(SIGNER.public, alice.public, 7)
    d, p = ("d", "owner"), ("p", alice.public)
    for bad in (
        replace(template, kind=1),
        replace(template, tags=(d,)),
        replace(template, tags=(p,)),
        replace(template, tags=(d, p, ("p", bob.public))),
        replace(template, tags=(("d", "grant/x"), p)),
        replace(template, tags=(d, ("p", "ff" * 32))),
        replace(template, tags=(d, ("p", "alice"))),
    ):
        with pytest.raises(Malformed):
            pairing.parse(bad.sign(SIGNER, AUX), SIGNER.public)


def test_the_file_outranks_the_pairing(alice: SecretKey, bob: SecretKey) -> None:
    unowned = Roles("1", SIGNER.public, "3", "4", "main")
    owned = replace(unowned, owner=alice.public)
    assert pairing.owner_of(unowned, None) is None
    assert pairing.owner_of(unowned, bob.public) == bob.public
    assert pairing.owner_of(owned, bob.public) == alice.public
