"""Deliveries: round trip, and tags that are none."""

from __future__ import annotations

from dataclasses import replace

import pytest

from nips.kinds import Kind
from nips.own.delivery import Delivery, RelayState, Status, Wrap, parse, template
from nips.refusal import Malformed

EVENT, WRAP, PERSON, BRIDGE = (f"{n:02x}" * 32 for n in range(4))
DELIVERY = Delivery(
    EVENT,
    (Wrap(WRAP, PERSON),),
    (
        RelayState("wss://a.example", Status.FAILED, "blocked: no", 3),
        RelayState("wss://b.example", Status.PENDING, "", 4),
    ),
)


def test_round_trip() -> None:
    event = template(DELIVERY, BRIDGE, 7)
    assert parse(event) == DELIVERY
    assert event.tags == (
        ("d", f"delivery/{EVENT}"),
        ("wrap", WRAP, PERSON),
        ("relay", "wss://a.example", "failed", "blocked: no", "3"),
        ("relay", "wss://b.example", "pending", "", "4"),
        ("alt", "Delivery of an event: 0 of 2 relays"),
    )
    assert parse(template(Delivery(EVENT), BRIDGE, 7)) == Delivery(EVENT)


def test_one_relay_is_enough_to_be_delivered() -> None:
    assert not DELIVERY.delivered
    taken = RelayState("wss://c.example", Status.OK, "", 5)
    assert replace(DELIVERY, relays=(*DELIVERY.relays, taken)).delivered


@pytest.mark.parametrize(
    "tag",
    [
        ("wrap", WRAP),
        ("wrap", "x", PERSON),
        ("wrap", WRAP, "x"),
        ("relay", "wss://a.example"),
        ("relay", "wss://a.example", "maybe", "", "3"),
        ("relay", "wss://a.example", "ok", "", "soon"),
        ("relay", "wss://a.example", "ok", "", "-3"),
        ("relay", "wss://a.example", "ok", "", "٣"),
        ("relay", "wss://a.example", "ok", "", "9" * 17),
        ("d", f"delivery/{EVENT}"),
    ],
)
def test_a_wrong_tag(tag: tuple[str, ...]) -> None:
    event = template(DELIVERY, BRIDGE, 7)
    with pytest.raises(Malformed):
        parse(replace(event, tags=(*event.tags, tag)))


def test_what_is_no_delivery() -> None:
    event = template(DELIVERY, BRIDGE, 7)
    for bad in (
        replace(event, kind=Kind.CHAT),
        replace(event, tags=event.tags[1:]),
        replace(event, tags=(("d", EVENT), *event.tags[1:])),
        replace(event, tags=(("d", "delivery/x"), *event.tags[1:])),
    ):
        with pytest.raises(Malformed):
            parse(bad)
