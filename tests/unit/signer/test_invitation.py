"""signer/invitation.py: what an invitation is good for, and for how long."""

from __future__ import annotations

import secrets
from dataclasses import replace

import pytest

from nips.own.grant import Rate, Rule
from signer import invitation
from signer.ceiling import Ceiling
from signer.grants import Held, is_live
from signer.invitation import OPEN_FOR_S, Invitation, Terms
from tests.unit.signer.house import NOW, House

TERMS = Terms((1, 30_023), ("sign_event", "nip44_encrypt"), Rate(10, 1.5), 100)
TTL_S = 28_800


def made(ttl_s: int = TTL_S) -> tuple[str, Invitation]:
    return invitation.make(TERMS, ttl_s, NOW + 0.7, secrets.token_bytes)


def test_of_the_secret_only_a_hash_is_kept() -> None:
    secret, one = made()
    assert secret.startswith(one.id)
    assert invitation.id_in(secret) == one.id
    assert secret.partition(".")[2] not in repr(one)
    assert len(secret.partition(".")[2]) == 32  # 24 random bytes
    assert invitation.holds(one, secret)
    for guess in ("", one.id, secret[:-1], secret + "x", secret.upper(), made()[0]):
        assert not invitation.holds(one, guess)


def test_no_two_are_alike() -> None:
    assert len({made()[0] for _ in range(100)}) == 100


def test_terms_survive_the_ledger() -> None:
    for terms in (TERMS, replace(TERMS, publishes=True)):
        assert Terms.from_json(terms.to_json()) == terms


def test_terms_of_before_publish_nothing() -> None:
    value = replace(TERMS, publishes=True).to_json()
    del value["publishes"]
    assert Terms.from_json(value) == TERMS


@pytest.mark.parametrize(
    ("after_s", "ttl_s", "state"),
    [
        (0, TTL_S, "open"),
        (OPEN_FOR_S - 1, TTL_S, "open"),
        (OPEN_FOR_S, TTL_S, "missed"),
        (TTL_S, TTL_S, "missed"),
        (59, 60, "open"),
        (60, 60, "missed"),
    ],
)
def test_an_address_does_not_wait_for_its_finder(after_s: int, ttl_s: int, state: str) -> None:
    _, one = made(ttl_s)
    assert one.state(NOW + after_s) == state
    assert (invitation.may_be_taken(one, "aa" * 32, NOW + after_s) is None) == (state == "open")


@pytest.mark.parametrize(
    ("after_s", "state"), [(OPEN_FOR_S, "in use"), (TTL_S - 1, "in use"), (TTL_S, "expired")]
)
def test_a_login_lasts_as_long_as_it_was_invited_for(after_s: int, state: str) -> None:
    one = replace(made()[1], client="aa" * 32)
    assert one.state(NOW + after_s) == state


def test_it_is_one_clients() -> None:
    one = replace(made()[1], client="aa" * 32)
    assert invitation.may_be_taken(one, "aa" * 32, NOW) is None
    assert "one login" in str(invitation.may_be_taken(one, "bb" * 32, NOW))


@pytest.mark.parametrize("how", ["revoked", "logged out", "guessed at", "replaced"])
def test_what_has_ended_stays_ended(how: str) -> None:
    for client in (None, "aa" * 32):
        one = replace(made()[1], client=client, ended=how)
        assert one.state(NOW) == how
        assert how in str(invitation.may_be_taken(one, "aa" * 32, NOW))


@pytest.mark.parametrize("holder", ["relay", "signer", "router", "bot", "owner", "bridge", "chat"])
def test_no_role_key_logs_in(holder: str) -> None:
    assert holder in str(invitation.may_log_in(None, holder))


def test_a_sessions_key_does_not_log_in() -> None:
    # Attack: a container that got hold of an address widens its own key's grant.
    house = House()
    grant = house.session_grant()
    held = Held(grant, house.granted(grant), NOW, NOW + 600, revoked=False)
    assert "session" in str(invitation.may_log_in(held, None))
    assert invitation.may_log_in(None, None) is None


def test_the_grant_is_what_was_typed_and_ends_when_it_was_said() -> None:
    house = House()
    _, one = made()
    grant = invitation.grant_of(one, house.login.public, NOW + 100.9)
    assert grant.role == "bunker"
    assert grant.methods == TERMS.methods
    assert [rule.kind for rule in grant.rules] == [1, 30_023]
    assert all(rule.forbidden == ("h",) for rule in grant.rules)
    assert grant.rate == Rate(10, 1.5)
    assert not grant.publishes
    assert invitation.grant_of(
        replace(one, terms=replace(TERMS, publishes=True)), house.login.public, NOW
    ).publishes
    held = Held(grant, house.granted(grant), NOW + 100.9, grant.hard_expires_at, revoked=False)
    for at_s, lives in ((100.9, True), (TTL_S - 1, True), (TTL_S, False), (10 * TTL_S, False)):
        assert (is_live(held, Ceiling(), NOW + at_s) is None) == lives, at_s
    assert Rule(1) not in grant.rules
