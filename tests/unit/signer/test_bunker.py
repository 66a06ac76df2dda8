"""signer/bunker.py: which step a request leads to."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nips.nip46 import Request
from nips.own.grant import Grant, Rule
from nips.refusal import Prefix
from signer.bunker import Deny, MakeSeal, Open, Say, SignEvent, Step, View, body_hash, handle
from signer.grants import Held
from tests.unit.signer.house import MAIN, NOW, House, templates_json, text

HOUSE = House()
VIEW = View(HOUSE.roles, HOUSE.ceiling, HOUSE.owner.public, NOW)


def held(grant: Grant) -> Held:
    return Held(grant, HOUSE.granted(grant), NOW, grant.hard_expires_at, revoked=False)


SESSION, BRIDGE = held(HOUSE.session_grant()), held(HOUSE.bridge_grant())


def step(holding: Held | None, method: str, *params: str) -> Step:
    return handle(Request("id", method, params), holding, VIEW)


def test_each_method_has_its_step() -> None:
    wrap, rumor = HOUSE.gift("hello"), HOUSE.template(14)
    reply = HOUSE.template(9, ("h", MAIN), ("job", "ab" * 32), ("o", "once"))
    assert step(SESSION, "ping") == Say("pong")
    assert step(SESSION, "get_public_key") == Say(HOUSE.bot.public)
    assert step(BRIDGE, "unwrap", text(wrap)) == Open(wrap)
    sealing = step(BRIDGE, "seal", HOUSE.owner.public, text(rumor))
    assert isinstance(sealing, MakeSeal)
    assert (sealing.recipient, sealing.rumor) == (HOUSE.owner.public, rumor)
    signing = step(SESSION, "sign_event", templates_json(reply))
    assert isinstance(signing, SignEvent)
    assert (signing.template, signing.once, signing.publish) == (reply, "once", True)


def test_a_login_is_the_one_signature_that_is_not_published() -> None:
    tags = (("relay", "wss://a.example"), ("challenge", "c"))
    login = step(BRIDGE, "sign_event", templates_json(HOUSE.template(22_242, *tags, content="")))
    assert isinstance(login, SignEvent)
    assert not login.publish


def test_what_must_be_asked_is_refused_in_words_until_it_can_be() -> None:
    asking = held(HOUSE.session_grant(Rule(9, mode="ask")))
    denied = step(asking, "sign_event", templates_json(HOUSE.template()))
    assert isinstance(denied, Deny)
    assert denied.refusal.prefix is Prefix.RESTRICTED
    assert "the owner's own yes" in denied.refusal.sentence


def test_the_id_is_no_part_of_the_body() -> None:
    one = Request("1", "ping", ("a", "b"))
    assert body_hash(one) == body_hash(replace(one, id="2"))
    assert body_hash(one) != body_hash(Request("1", "ping", ("ab",)))
    assert body_hash(one) != body_hash(Request("1", "pinga", ("b",)))


@given(
    st.sampled_from(["ping", "get_public_key", "sign_event", "unwrap", "seal", "nip44_decrypt"])
    | st.text(max_size=8),
    st.lists(st.text(max_size=30) | st.sampled_from(["{}", "[]", "null", "ab" * 32]), max_size=3),
    st.sampled_from([None, SESSION, BRIDGE]),
)
def test_whatever_is_asked_there_is_an_answer(
    method: str, params: list[str], holding: Held | None
) -> None:
    decided = step(holding, method, *params)
    assert isinstance(decided, Say | Deny)  # nothing of this is a template, a wrap or a rumor


@pytest.mark.parametrize("at_s", [-1, 180, 10**6])
def test_no_method_is_served_outside_the_grants_time(at_s: int) -> None:
    later = replace(VIEW, now_s=NOW + at_s)
    for method, params in (("ping", ()), ("sign_event", (templates_json(HOUSE.template()),))):
        assert isinstance(handle(Request("id", method, params), SESSION, later), Deny)
