"""signer/bunker.py: which step a request leads to."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nips.nip46 import Request
from nips.own.grant import Grant, Rule
from nips.own.once import in_group
from signer.bunker import (
    AskOwner,
    Connect,
    Deny,
    LogOut,
    MakeSeal,
    Open,
    Say,
    SignEvent,
    Step,
    View,
    body_hash,
    handle,
)
from signer.grants import Held
from tests.unit.signer.house import JOB, MAIN, NOW, House, templates_json, text

HOUSE = House()
VIEW = View(HOUSE.roles, HOUSE.ceiling, HOUSE.owner.public, NOW)


def held(grant: Grant) -> Held:
    return Held(grant, HOUSE.granted(grant), NOW, grant.hard_expires_at, revoked=False)


SESSION, BRIDGE = held(HOUSE.session_grant()), held(HOUSE.bridge_grant())
LOGIN = held(HOUSE.login_grant())


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
    assert (signing.template, signing.once, signing.publish) == (
        reply,
        in_group("once", MAIN),
        True,
    )


def test_a_login_is_the_one_signature_that_is_not_published() -> None:
    tags = (("relay", "wss://a.example"), ("challenge", "c"))
    login = step(BRIDGE, "sign_event", templates_json(HOUSE.template(22_242, *tags, content="")))
    assert isinstance(login, SignEvent)
    assert not login.publish


def test_what_must_be_asked_is_asked_once_under_one_once_key() -> None:
    asking = held(HOUSE.session_grant(Rule(9, mode="ask")))
    asked = step(asking, "sign_event", templates_json(HOUSE.template()))
    assert isinstance(asked, AskOwner)
    assert asked.template == HOUSE.template()
    assert asked.group == MAIN
    twice = HOUSE.template(9, ("h", MAIN), ("job", JOB), ("o", "a"), ("o", "b"))
    denied = step(asking, "sign_event", templates_json(twice))
    assert isinstance(denied, Deny)
    assert "one once-key" in denied.refusal.sentence


def test_the_id_is_no_part_of_the_body() -> None:
    one = Request("1", "ping", ("a", "b"))
    assert body_hash(one) == body_hash(replace(one, id="2"))
    assert body_hash(one) != body_hash(Request("1", "ping", ("ab",)))
    assert body_hash(one) != body_hash(Request("1", "pinga", ("b",)))


@pytest.mark.parametrize("holding", [None, SESSION, BRIDGE, LOGIN])
def test_a_connect_needs_no_grant_and_gives_none_by_itself(holding: Held | None) -> None:
    signer = HOUSE.signer.public
    assert step(holding, "connect", signer, "secret", "sign_event:0") == Connect("secret", "")
    without = step(holding, "connect", signer)
    assert without == Connect("", "") if holding is LOGIN else isinstance(without, Deny)
    assert isinstance(step(holding, "connect", HOUSE.bot.public, "secret"), Deny)


def test_a_login_has_steps_of_its_own() -> None:
    assert step(LOGIN, "logout") == LogOut()
    assert isinstance(step(SESSION, "logout"), Deny)
    # NIP-46's `null`, as the text that a client reads as JSON.
    assert step(LOGIN, "switch_relays") == Say("null")
    signing = step(LOGIN, "sign_event", templates_json(HOUSE.template(1, ("o", "once"))))
    assert isinstance(signing, SignEvent)
    assert (signing.once, signing.publish) == (None, False)


@given(
    st.sampled_from(["ping", "get_public_key", "sign_event", "unwrap", "seal", "nip44_decrypt"])
    | st.text(max_size=8),
    st.lists(st.text(max_size=30) | st.sampled_from(["{}", "[]", "null", "ab" * 32]), max_size=3),
    st.sampled_from([None, SESSION, BRIDGE, LOGIN]),
)
def test_whatever_is_asked_there_is_an_answer(
    method: str, params: list[str], holding: Held | None
) -> None:
    decided = step(holding, method, *params)
    assert isinstance(decided, Say | Deny | LogOut)  # nothing of this is a template, a wrap …


@pytest.mark.parametrize("at_s", [-1, 180, 10**6])
def test_no_method_is_served_outside_the_grants_time(at_s: int) -> None:
    later = replace(VIEW, now_s=NOW + at_s)
    for method, params in (("ping", ()), ("sign_event", (templates_json(HOUSE.template()),))):
        assert isinstance(handle(Request("id", method, params), SESSION, later), Deny)
