import json

import pytest

from bot.bridges.nostr.outgoing import (
    GIVE_UP_S,
    MAX_PART_BYTES,
    NO_LIST,
    TOO_LATE,
    give_up,
    is_settled,
    rumors,
    settle,
    verdict,
)
from nips import nip44, nip59
from nips.event import Template
from nips.key import SecretKey
from nips.own.delivery import Delivery, RelayState, Status

BOT = SecretKey(bytes([1]) * 32)
PERSON = SecretKey(bytes([2]) * 32)
ROUTER = SecretKey(bytes([3]) * 32)
NONCE, AUX = bytes(32), bytes(32)


def chat(content: str) -> Template:
    return Template(BOT.public, 1_700_000_000, 9, (("h", "g"),), content)


def test_the_same_message_gives_the_same_rumors() -> None:
    event = chat("x" * 60_000).sign(BOT, AUX)
    first = rumors(event, BOT.public, [PERSON.public], "ab" * 32)
    again = rumors(event, BOT.public, [PERSON.public], "ab" * 32)
    assert [rumor.id for rumor in first] == [rumor.id for rumor in again]
    assert len(first) == 3
    assert [rumor.created_at for rumor in first] == [1_700_000_000 + i for i in range(3)]
    assert [rumor.tag("e") for rumor in first] == ["ab" * 32, None, None]
    assert all(rumor.kind == 14 and rumor.values("p") == [PERSON.public] for rumor in first)


def test_a_notice_by_the_router_is_said_by_the_bot() -> None:
    event = chat("notice").sign(ROUTER, AUX)
    (rumor,) = rumors(event, BOT.public, [PERSON.public], None)
    assert (rumor.pubkey, rumor.content) == (BOT.public, "notice")


@pytest.mark.parametrize("letter", ["a", "é", "😀", '"', "\n", "\x01"])
def test_every_part_fits_a_classic_wrap_through_a_remote_signer(letter: str) -> None:
    event = chat(letter * (2 * MAX_PART_BYTES)).sign(BOT, AUX)
    for rumor in rumors(event, BOT.public, [PERSON.public], "ab" * 32):
        seal = nip59.seal(rumor, BOT, PERSON.public, 1, NONCE, AUX)
        wrap = nip59.wrap(seal, ROUTER, PERSON.public, 1, NONCE, AUX)
        request = json.dumps(
            {"id": "0" * 32, "method": "nip44_decrypt", "params": [wrap.pubkey, wrap.content]}
        )
        assert len(request.encode()) <= nip44.MAX_CLASSIC_BYTES


@pytest.mark.parametrize(
    ("accepted", "reason", "status"),
    [
        (True, "", Status.OK),
        (True, "duplicate: have it", Status.OK),
        (False, "blocked: no", Status.FAILED),
        (False, "invalid: no", Status.FAILED),
        (False, "pow: 28", Status.FAILED),
        (False, "restricted: members", Status.FAILED),
        (False, "rate-limited: slow", Status.PENDING),
        (False, "auth-required: who", Status.PENDING),
        (False, "error: disk", Status.PENDING),
        (False, "relay not connected", Status.PENDING),
        (False, "blocked", Status.PENDING),  # no prefix, only a word
    ],
)
def test_what_an_answer_means(accepted: bool, reason: str, status: Status) -> None:
    assert verdict(accepted, reason) is status


def test_a_delivery_settles_and_keeps_the_time_of_each_change() -> None:
    none = Delivery("ab" * 32)
    assert not is_settled(none)
    waiting = settle(none, {NO_LIST: (Status.PENDING, "no inbox list")}, 10)
    assert settle(waiting, {NO_LIST: (Status.PENDING, "no inbox list")}, 20) == waiting
    half = settle(waiting, {"wss://a": (Status.OK, ""), "wss://b": (Status.PENDING, "x")}, 30)
    assert [state.url for state in half.relays] == ["wss://a", "wss://b"]
    assert not is_settled(half)
    # The list changed: a relay that took it stays, one that never did goes.
    moved = settle(half, {"wss://c": (Status.FAILED, "blocked: no")}, 40)
    assert moved.relays == (
        RelayState("wss://a", Status.OK, "", 30),
        RelayState("wss://c", Status.FAILED, "blocked: no", 40),
    )
    assert is_settled(moved)
    assert moved.delivered


def test_giving_up_ends_only_what_is_pending() -> None:
    half = settle(
        Delivery("ab" * 32), {"wss://a": (Status.OK, ""), "wss://b": (Status.PENDING, "x")}, 1
    )
    ended = give_up(half, TOO_LATE, GIVE_UP_S)
    assert is_settled(ended)
    assert ended.relays[0] == half.relays[0]
    assert ended.relays[1].reason.endswith(": x")
