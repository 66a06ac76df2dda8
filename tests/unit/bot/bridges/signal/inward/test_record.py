import json
from typing import Any

import pytest

from bot.bridges.signal.inward.record import (
    KEPT_S,
    MAX_CONTENT_BYTES,
    SETTLED_KEPT_S,
    item_of,
    settled_template,
    template,
)
from bot.bridges.signal.people import once
from bot.bridges.signal.received.envelope import Identity, Said, parse
from bot.operate.stand_ins.signal_envelopes import Person, mention, said
from nips.event import Template
from nips.key import SecretKey
from nips.refusal import Malformed

ALICE = Person("0b1c2d3e-4f50-6172-8394-a5b6c7d8e9fa", "Alice")
OURS = "+4915100000000"
AT_MS = 1_700_000_000_123
WHO = Identity(OURS, ALICE.aci, 1, AT_MS)
BRIDGE = SecretKey(bytes([7]) * 32)


def item(text: str, **more: Any) -> dict[str, Any]:
    return {"envelope": said(ALICE, text, AT_MS, **more), "account": OURS}


def kept(given: dict[str, Any], gone_at_s: int | None = None) -> Template:
    return template(given, WHO, BRIDGE.public, 100, gone_at_s)


def test_a_record_waits_and_is_kept_once() -> None:
    made = kept(item("hello"))
    assert (made.kind, made.created_at) == (30078, 100)
    assert made.tags[:4] == (
        ("d", f"signal/{once(WHO)}"),
        ("o", once(WHO)),
        ("t", "signal-inbox"),
        ("expiration", str(100 + KEPT_S)),
    )
    assert item_of(made.sign(BRIDGE, bytes(32))) == item("hello")
    assert kept(item("hello"), 160).tag("expiration") == "160"


@pytest.mark.parametrize(("now_s", "created_at"), [(50, 101), (100, 101), (7_000, 7_000)])
def test_what_takes_its_place_says_nothing_and_does_not_wait(now_s: int, created_at: int) -> None:
    record = kept(item("hello")).sign(BRIDGE, bytes(32))
    made = settled_template(record, now_s)
    assert (made.content, made.created_at) == ("", created_at)
    assert made.tag("d") == record.tag("d")
    assert made.tag("expiration") == str(created_at + SETTLED_KEPT_S)
    assert (made.tag("t"), made.tag("o")) == (None, None)


def heavy() -> dict[str, Any]:
    deep: Any = "x"
    for _ in range(1_000):
        deep = [deep]
    return {
        "ten thousand mentions": item(
            "\ufffc" * 10_000, mentions=[mention(ALICE, at) for at in range(10_000)]
        ),
        "a giant text": item("🦀" * 500_000),
        "a thousand lists within each other": {**item("hello"), "more": deep},
        "half of a pair": item("hello \ud83e\udd80 \ud800"),
        "many fields": {**item("hello"), **{f"n{n}": "x" * 900 for n in range(10_000)}},
    }


@pytest.mark.parametrize("what", heavy())
def test_whatever_comes_is_kept_in_what_fits(what: str) -> None:
    """Attack: something that no event can hold, and whoever sent it is never heard."""
    given = heavy()[what]
    made = kept(given)
    assert len(json.dumps(made.content)) <= MAX_CONTENT_BYTES
    read = parse(item_of(made.sign(BRIDGE, bytes(32))), OURS)
    assert read == parse(given, OURS)
    assert isinstance(read, Said)
    assert made.id


def test_what_never_fits_is_refused() -> None:
    wide = {f"n{n}": {f"m{m}": "x" * 900 for m in range(200)} for n in range(200)}
    with pytest.raises(Malformed, match="too large"):
        kept({"more": wide, **item("hello")})


@pytest.mark.parametrize("content", ["", "[]", "no JSON", '"x"'])
def test_what_holds_no_item(content: str) -> None:
    with pytest.raises(Malformed):
        item_of(
            Template(BRIDGE.public, 1, 30078, (("d", "signal/x"),), content).sign(BRIDGE, bytes(32))
        )
