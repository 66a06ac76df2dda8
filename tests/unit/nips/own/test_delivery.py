"""Deliveries: round trip, and tags that are none."""

from __future__ import annotations

from dataclasses import replace

import pytest

from nips.kinds import Kind
from nips.own.delivery import Delivery, RelayState, Sent, Status, Wrap, parse, template
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


TO_SIGNAL = Delivery(
    EVENT,
    relays=(RelayState("signal", Status.PENDING, "", 4),),
    known_as=(WRAP,),
    to=("c1a0",),
    sent=(Sent(1, 1_700_000_000_123),),
    sending=(2,),
)


def test_another_network_s_parts() -> None:
    event = template(TO_SIGNAL, BRIDGE, 7)
    assert parse(event) == TO_SIGNAL
    assert event.tags[1:6] == (
        ("i", WRAP),
        ("relay", "signal", "pending", "", "4"),
        ("to", "c1a0"),
        ("sent", "1", "1700000000123"),
        ("sending", "2"),
    )


@pytest.mark.parametrize("status", Status)
def test_only_what_is_pending_is_still_to_be_sent(status: Status) -> None:
    """A part that is under way is pending; one of which nobody knows is not, and is not said
    again."""
    told = replace(TO_SIGNAL, relays=(RelayState("signal", status, "", 4),))
    assert parse(template(told, BRIDGE, 7)) == told
    assert told.is_pending is (status is Status.PENDING)
    assert told.delivered is (status is Status.OK)


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
        ("i", "x"),
        ("to",),
        ("to", ""),
        ("to", "c1a0", "x"),
        ("sent", "1"),
        ("sent", "0", "5"),
        ("sent", "01", "5"),
        ("sent", "10000", "5"),
        ("sent", "-1", "5"),
        ("sent", "1", "5.0"),
        ("sent", "1", "9" * 17),
        ("sending",),
        ("sending", "x"),
        ("sending", "٢"),
        ("sending", "2", "3"),
    ],
)
def test_a_wrong_tag(tag: tuple[str, ...]) -> None:
    event = template(DELIVERY, BRIDGE, 7)
    with pytest.raises(Malformed):
        parse(replace(event, tags=(*event.tags, tag)))


def test_a_part_is_told_of_once() -> None:
    """Attack: a part that has gone and is under way reads differently to two readers."""
    for twice in (
        replace(TO_SIGNAL, sending=(1,)),
        replace(TO_SIGNAL, sending=(2, 2)),
        replace(TO_SIGNAL, sent=(Sent(1, 5), Sent(1, 6))),
    ):
        with pytest.raises(Malformed, match="twice"):
            parse(template(twice, BRIDGE, 7))


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
