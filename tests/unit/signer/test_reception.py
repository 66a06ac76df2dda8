"""signer/reception.py: requests opened, and what is no request passed over."""

from __future__ import annotations

from dataclasses import replace

import pytest

from nips import nip44, nip46
from nips.event import Event
from signer import reception
from signer.reception import Reception
from tests.unit.signer.house import NOW, House, key

HOUSE = House()


def test_a_request_is_opened_in_either_form() -> None:
    desk = Reception(HOUSE.signer)
    for text in ("x", "x" * 100_000):
        request, event = HOUSE.request(HOUSE.login, "ping", text)
        assert desk.open(event) == request


def enveloped(payload: str) -> Event:
    client = HOUSE.login
    template = nip46.envelope(client.public, HOUSE.signer.public, payload, NOW)
    return template.sign(client, bytes(32))


def sealed(text: str) -> Event:
    shared = nip44.conversation_key(HOUSE.login, HOUSE.signer.public)
    return enveloped(nip44.encrypt(text, shared, bytes(32)))


@pytest.mark.parametrize(
    "event",
    [
        enveloped("nonsense"),
        enveloped("AvM=?iv=NIP-04"),
        sealed("no json"),
        sealed('{"method":"ping"}'),
        sealed('{"id":7,"method":"ping","params":[]}'),
        replace(HOUSE.request(HOUSE.login, "ping")[1], sig="00" * 64),
        # Attack: a request in another's name.
        replace(HOUSE.request(HOUSE.stranger, "ping")[1], pubkey=HOUSE.login.public),
        HOUSE.request(HOUSE.login, "ping")[1].template.sign(HOUSE.stranger, bytes(32)),
    ],
)
def test_what_is_no_request_has_no_answer(event: Event) -> None:
    assert Reception(HOUSE.signer).open(event) is None


def test_keys_without_end_take_no_memory_without_end(monkeypatch: pytest.MonkeyPatch) -> None:
    # Attack: requests by keys made for it.
    monkeypatch.setattr(reception, "MAX_CACHED_PEERS", 8)
    desk = Reception(HOUSE.signer)
    first = desk.conversation_key(key(500).public)
    for n in range(500, 540):
        desk.conversation_key(key(n).public)
        desk.conversation_key(key(500).public)  # who keeps asking stays known
    assert len(desk._conversation_keys) == 8
    assert key(500).public in desk._conversation_keys
    assert desk.conversation_key(key(500).public) == first
