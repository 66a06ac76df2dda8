"""signer/pen.py: the bot's key in use."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from nips import nip44
from nips.refusal import Malformed, Refused
from signer.pen import LOCKED, Pen
from tests.unit.signer.desks import secret_of
from tests.unit.signer.house import House

HOUSE = House()
PEER = HOUSE.stranger


@pytest.fixture
def pen() -> Iterator[Pen]:
    pen = Pen(secret_of(HOUSE.bot))
    yield pen
    pen.take(None)


def test_what_it_signs_verifies(pen: Pen) -> None:
    template = HOUSE.template(1)
    event = pen.sign(template)
    event.verify()
    assert event.template == template
    assert pen.sign(template).sig != event.sig  # each with randomness of its own


def test_its_texts_are_nip44s(pen: Pen) -> None:
    shared = nip44.conversation_key(PEER, HOUSE.bot.public)
    assert nip44.decrypt(pen.encrypt(PEER.public, "hallo"), shared) == "hallo"
    assert pen.decrypt(PEER.public, nip44.encrypt("hallo", shared, bytes(32))) == "hallo"
    assert pen.encrypt(PEER.public, "x") != pen.encrypt(PEER.public, "x")


def test_for_a_classic_reader_it_stays_within_the_classic_form(pen: Pen) -> None:
    long = "x" * (nip44.MAX_CLASSIC_BYTES + 1)
    assert pen.encrypt(PEER.public, long[1:], extended=False)
    with pytest.raises(Malformed, match="65535"):
        pen.encrypt(PEER.public, long, extended=False)
    assert pen.decrypt(PEER.public, pen.encrypt(PEER.public, long)) == long


def test_without_a_key_it_does_nothing() -> None:
    pen = Pen(None)
    assert pen.is_locked
    for use in (
        lambda: pen.sign(HOUSE.template(1)),
        lambda: pen.encrypt(PEER.public, "x"),
        lambda: pen.decrypt(PEER.public, "x"),
    ):
        with pytest.raises(Refused, match="locked") as caught:
            use()
        assert caught.value.refusal == LOCKED
    pen.take(secret_of(HOUSE.bot))
    assert not pen.is_locked
    pen.sign(HOUSE.template(1)).verify()
    pen.take(None)
    assert pen.is_locked
