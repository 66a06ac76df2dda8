"""signer/login_rows.py: invitations and logins as a person sees and names them."""

from __future__ import annotations

import secrets
from dataclasses import replace

import pytest

from nips import nip19
from nips.key import is_public_key
from nips.own.grant import Rate
from nips.refusal import Malformed
from signer import invitation, login_rows
from signer.ceiling import Ceiling
from signer.grants import Held
from signer.invitation import Invitation, Login, Terms
from signer.login_rows import Row
from tests.unit.signer.house import NOW, House, key

HOUSE = House()
TERMS = Terms((1, 7), ("sign_event",), Rate(10, 1.0), 50)


def made(ttl_s: int = 28_800) -> Invitation:
    return invitation.make(TERMS, ttl_s, NOW, secrets.token_bytes)[1]


def login(one: Invitation | None, *, revoked: bool = False, used: int = 3) -> Login:
    grant = HOUSE.login_grant(rate=Rate(10, 1.0), max_uses=50)
    held = Held(grant, HOUSE.granted(grant), NOW, grant.hard_expires_at, revoked)
    return Login(held, one, used)


def seen(
    invitations: list[Invitation], logins: list[Login], now_s: float = NOW, ttl_s: int = 86_400
) -> list[Row]:
    return login_rows.of(invitations, logins, Ceiling(bunker_longest_ttl_s=ttl_s), now_s)


def test_an_open_invitation() -> None:
    one = made()
    [row] = seen([one], [])
    assert (row.id, row.client, row.state, row.lives, row.used) == (one.id, None, "open", True, 0)
    assert row.expires_s == one.open_until_s
    assert row.to_json()["kinds"] == [1, 7]
    assert one.secret_hash not in str(row.to_json())


def test_what_is_published_says_so_and_is_passed_over_when_it_is_over() -> None:
    terms = replace(TERMS, publishes=True)
    one = invitation.make(terms, 60, NOW, secrets.token_bytes)[1]
    [row] = seen([one], [])
    assert (row.allowed, row.is_past, row.to_json()["publishes"]) == ("1 7 published", False, True)
    [row] = seen([one], [], now_s=NOW + 61)
    assert row.is_past
    [row] = seen([made(60)], [], now_s=NOW + 61)
    assert not row.is_past


def test_a_login_shows_its_grant_and_what_it_used() -> None:
    one = replace(made(), client=HOUSE.login.public, name="An App")
    [row] = seen([one], [login(one)])
    assert (row.id, row.name, row.state, row.used, row.max_uses) == (
        one.id,
        "An App",
        "in use",
        3,
        50,
    )
    assert row.kinds == (1,)  # the grant's, which an event of the owner's may have changed
    assert row.to_json()["client"] == nip19.encode_npub(HOUSE.login.public)


@pytest.mark.parametrize(("ttl_s", "state"), [(61, "in use"), (60, "expired")])
def test_the_ceilings_end_is_the_end_that_is_shown(ttl_s: int, state: str) -> None:
    one = replace(made(), client=HOUSE.login.public)
    [row] = seen([one], [login(one)], NOW + 60, ttl_s)
    assert (row.state, row.expires_s) == (state, NOW + ttl_s)


def test_what_it_may_is_shown_in_short() -> None:
    [row] = seen([], [login(None)])
    assert replace(row, kinds=(1, 7)).allowed == "1 7"
    assert replace(row, methods=("nip44_decrypt", "sign_event")).allowed == "1 decrypt"
    assert replace(row, methods=("nip44_encrypt", "nip44_decrypt")).allowed == "encrypt decrypt"


def test_how_it_ended() -> None:
    out = replace(made(), client=HOUSE.login.public, ended="logged out")
    assert [row.state for row in seen([out], [login(out, revoked=True)])] == ["logged out"]
    by_event = replace(made(), client=HOUSE.login.public)
    assert [row.state for row in seen([by_event], [login(by_event, revoked=True)])] == ["revoked"]


def test_a_login_without_an_invitation_comes_last() -> None:
    one = made()
    rows = seen([one], [login(None)])
    assert [row.id for row in rows] == [one.id, None]
    assert rows[1].client == HOUSE.login.public


def test_what_a_person_types_names_a_row() -> None:
    one = made()
    rows = seen([one], [login(None)])
    npub = nip19.encode_npub(HOUSE.login.public)
    assert login_rows.matching(rows, one.id) == [rows[0]]
    for typed in (npub, npub[:10], HOUSE.login.public):
        assert login_rows.matching(rows, typed) == [rows[1]]


@pytest.mark.parametrize("typed", ["", "npub1", "zz", "all ", "None"])
def test_what_names_nothing_is_a_sentence(typed: str) -> None:
    with pytest.raises(Malformed, match="no invitation and no login"):
        login_rows.matching(seen([made()], [login(None)]), typed)


def test_two_clients_are_not_revoked_by_one_word() -> None:
    known = key(1).public
    alike = (f"{known[:-2]}{n:02x}" for n in range(256))
    first, second = [public for public in alike if is_public_key(public)][:2]
    [row] = seen([], [login(None)])
    twins = [replace(row, client=public) for public in (first, second)]
    with pytest.raises(Malformed, match="begins several"):
        login_rows.matching(twins, nip19.encode_npub(first)[:12])
