"""Orders: what is one, how long it counts, and that nobody but the signer says so."""

from __future__ import annotations

from dataclasses import replace

import pytest

from nips.event import Template
from nips.key import SecretKey
from nips.own import order
from nips.own.order import Order
from nips.refusal import Malformed

SIGNER = SecretKey(b"\x31" * 32)
AUX = bytes(32)
RUMOR = "ab" * 32


def made(alice: SecretKey, text: str = "/allow ghjkmn Bob") -> Order:
    return Order(RUMOR, alice.public, text, 1_700_000_000)


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("/allow ghjkmn", "allow"),
        ("  /Allow ghjkmn Bob\n", "allow"),
        ("/PAUSE", "pause"),
        ("/group\tbind work npub1…", "group"),
        ("/budget\u00a0main runs 5", "budget"),
        ("/approve zzzzzz", "approve"),
        ("/deny zzzzzz", "deny"),
        *((f"/{word}", word) for word in sorted(order.WORDS)),
    ],
)
def test_what_is_an_order(text: str, word: str) -> None:
    assert order.word_of(text) == word
    assert order.is_order(text)


@pytest.mark.parametrize(
    "text",
    [
        "", "/", "allow ghjkmn", "/allowed", "/allow-all", "/allow/x", "/stop", "/status", "/help",
        "/etc/passwd says /allow", "I said\n/allow ghjkmn", "\u200b/allow x", "/ allow x",
        "//allow x", "/аllow x", "/allow@bot x", "/allow " + "x" * order.MAX_CHARS,
    ],
)  # fmt: skip
def test_what_is_none(text: str) -> None:
    assert not order.is_order(text)


def test_the_longest() -> None:
    assert order.is_order("/pause" + " " * (order.MAX_CHARS - 6))
    assert not order.is_order("/pause" + " " * (order.MAX_CHARS - 5))


def test_it_is_read_as_it_was_written(alice: SecretKey) -> None:
    template = order.template(made(alice, " /allow ghjkmn 𝔅ob "), SIGNER.public)
    event = template.sign(SIGNER, AUX)
    assert order.parse(event, SIGNER.public) == made(alice, " /allow ghjkmn 𝔅ob ")
    assert event.created_at == 1_700_000_000
    assert event.tag("alt") == "The owner's order: /allow"


def test_the_same_order_is_the_same_event(alice: SecretKey) -> None:
    one = order.template(made(alice), SIGNER.public)
    assert one.sign(SIGNER, AUX).id == one.sign(SIGNER, b"\x07" * 32).id


def test_nobody_else_gives_it(alice: SecretKey, mallory: SecretKey) -> None:
    """Attack: a bridge invents the owner's words, under its key or with the signer's name."""
    right = order.template(made(alice), SIGNER.public).sign(SIGNER, AUX)
    other = order.template(made(alice, "/allow zzzzzz"), SIGNER.public)
    for bad in (
        order.template(made(alice), mallory.public).sign(mallory, AUX),
        other.with_sig(other.sign(mallory, AUX).sig),
        other.with_sig(right.sig),
        replace(right, content="/allow zzzzzz"),
        replace(right, created_at=right.created_at + 900),
    ):
        with pytest.raises(Malformed):
            order.parse(bad, SIGNER.public)


def test_what_is_no_order_event(alice: SecretKey) -> None:
    right = order.template(made(alice), SIGNER.public)
    d, p = ("d", f"order/{RUMOR}"), ("p", alice.public)
    for bad in (
        replace(right, kind=1),
        replace(right, tags=(d,)),
        replace(right, tags=(d, d, p)),
        replace(right, tags=(d, p, p)),
        replace(right, tags=(d, ("p", "alice"))),
        replace(right, tags=(("d", RUMOR), p)),
        replace(right, tags=(("d", "order/"), p)),
        replace(right, tags=(("d", f"order/order/{RUMOR}"), p)),
        replace(right, content="hello"),
        Template(SIGNER.public, 0, 30_078, (("d", "owner"), p), "/allow x"),
    ):
        with pytest.raises(Malformed):
            order.parse(bad.sign(SIGNER, AUX), SIGNER.public)


@pytest.mark.parametrize(
    ("ago_s", "fresh"), [(0, True), (900, True), (901, False), (-300, True), (-301, False)]
)
def test_it_counts_for_a_quarter_of_an_hour(ago_s: int, fresh: bool) -> None:
    assert order.is_fresh(1_700_000_000 - ago_s, 1_700_000_000) is fresh
