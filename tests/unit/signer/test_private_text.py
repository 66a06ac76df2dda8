"""signer/private_text.py: who may have texts encrypted and decrypted, and what stays shut."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from nips.own.grant import Grant
from nips.refusal import Prefix, Refusal
from signer.buckets import Counted, Rated
from signer.ceiling import Caps
from signer.private_text import METHODS, Decrypt, Encrypt, judge, opens_mail
from tests.unit.signer.house import House

HOUSE = House()
PEER = HOUSE.stranger.public
BOTH = HOUSE.login_grant(methods=("sign_event", *METHODS))


def asked(method: str, grant: Grant, peer: str = PEER) -> Encrypt | Decrypt | Refusal:
    return judge(method, peer, "text", grant, HOUSE.ceiling, "id")


@pytest.mark.parametrize("method", METHODS)
def test_only_who_was_invited_to_it_by_name(method: str) -> None:
    assert not isinstance(asked(method, BOTH), Refusal)
    other = tuple(m for m in METHODS if m != method)
    for grant in (
        HOUSE.login_grant(),
        HOUSE.login_grant(methods=other),
        # Attack: a router that was taken over writes the method into a session's grant.
        HOUSE.session_grant(methods=("sign_event", *METHODS)),
        HOUSE.bridge_grant(methods=("unwrap", *METHODS)),
    ):
        refused = asked(method, grant)
        assert isinstance(refused, Refusal)
        assert refused.prefix is Prefix.RESTRICTED


@pytest.mark.parametrize("peer", ["", "aa", PEER[:-1], PEER.upper(), "ff" * 32, "npub1x"])
def test_the_other_one_is_a_key(peer: str) -> None:
    refused = asked("nip44_encrypt", BOTH, peer)
    assert isinstance(refused, Refusal)
    assert refused.prefix is Prefix.INVALID


def test_each_costs_and_reading_costs_more() -> None:
    ceiling = replace(HOUSE.ceiling, caps=Caps(bunker_decrypts_per_day=3))
    client = HOUSE.login.public
    encrypting, decrypting = (judge(m, PEER, "x", BOTH, ceiling, "id") for m in METHODS)
    assert isinstance(encrypting, Encrypt)
    assert isinstance(decrypting, Decrypt)
    assert encrypting.costs == (
        Counted(f"key/{client}/id", 1_000, daily=False),
        Rated(f"grant/{client}", 10, 10 / 3_600),
        Rated("bunker", 30, 0.5),
        Counted("bunker/day", 1_000, daily=True),
    )
    reading = Counted("bunker/decrypts", 3, daily=True)
    assert decrypting.costs == (*encrypting.costs, reading)


def event(**changes: object) -> str:
    usual = {"kind": 13, "pubkey": PEER, "created_at": 1, "tags": [], "content": "x"}
    return json.dumps(usual | changes)


@pytest.mark.parametrize(
    "text", [event(), event(kind=14), event(sig="00"), " " + event(), event(id="1")]
)
def test_mail_stays_shut(text: str) -> None:
    assert opens_mail(text, PEER, HOUSE.bot.public) is not None


@pytest.mark.parametrize("text", ["", "hi", "{", "[]", "7", '{"kind":1}', '[["p","x"]]', '"{}"'])
def test_other_texts_open(text: str) -> None:
    assert opens_mail(text, PEER, HOUSE.bot.public) is None


def test_what_the_bot_keeps_for_itself_is_its_own() -> None:
    assert opens_mail(event(kind=30_023), HOUSE.bot.public, HOUSE.bot.public) is None
