"""signer/grants.py: which grants count, and what is final."""

from __future__ import annotations

from dataclasses import replace
from itertools import permutations

import pytest

from nips.refusal import Malformed
from signer.ceiling import Ceiling
from signer.grants import Held, admit, ends_s, is_live
from tests.unit.signer.house import JOB, MAIN, NOW, OTHER, House


def fold(house: House, *events: tuple[int, object], arrived_s: float = NOW) -> Held:
    """Admit grants made at these seconds; those that change nothing are passed over."""
    held: Held | None = None
    for at, grant in events:
        try:
            held = admit(house.granted(grant, at), held, house.roles, arrived_s)  # type: ignore[arg-type]
        except Malformed:
            continue
    assert held is not None
    return held


def test_the_routers_grant_is_held(house: House) -> None:
    event = house.granted(house.session_grant())
    held = admit(event, None, house.roles, NOW + 1)
    assert held == Held(house.session_grant(), event, NOW + 1, NOW + 600, revoked=False)


@pytest.mark.parametrize("who", ["bridge", "session", "stranger", "bot", "owner", "signer"])
def test_a_grant_signed_by_another_key_is_none(house: House, who: str) -> None:
    with pytest.raises(Malformed, match="router"):
        admit(house.granted(house.session_grant(), by=getattr(house, who)), None, house.roles, NOW)


def test_a_grant_in_the_routers_name_needs_its_signature(house: House) -> None:
    # Attack: the relay, or whoever took it over, writes grants itself.
    real = house.granted(house.session_grant())
    for forged in (
        replace(real, content=real.content.replace('"max_uses":200', '"max_uses":999')),
        replace(real, sig="00" * 64),
        replace(house.granted(house.session_grant(), by=house.stranger), pubkey=real.pubkey),
    ):
        with pytest.raises(Malformed):
            admit(forged, None, house.roles, NOW)


def test_a_bridges_grant_for_a_sessions_key_is_none(house: House) -> None:
    with pytest.raises(Malformed, match="bridge"):
        admit(
            house.granted(house.bridge_grant(client=house.session.public)), None, house.roles, NOW
        )


def test_a_bridge_of_another_network_gets_no_grant(house: House) -> None:
    """Attack: a taken-over router has mail opened by the bridge of another network."""
    with pytest.raises(Malformed, match="carries mail"):
        admit(house.granted(house.bridge_grant(client=house.signal.public)), None, house.roles, NOW)


@pytest.mark.parametrize("who", ["relay", "signer", "router", "bot", "owner", "bridge", "signal"])
def test_no_role_key_is_a_sessions(house: House, who: str) -> None:
    grant = house.session_grant(client=getattr(house, who).public)
    with pytest.raises(Malformed, match="roles"):
        admit(house.granted(grant), None, house.roles, NOW)


def test_a_login_is_the_owners_to_grant(house: House) -> None:
    owner, grant = house.owner.public, house.login_grant()
    event = house.granted(grant, by=house.owner)
    held = admit(event, None, house.roles, NOW, owner)
    assert held == Held(grant, event, NOW, NOW + 28_800, revoked=False)
    again = house.granted(replace(grant, max_uses=5), NOW + 1, by=house.owner)
    assert admit(again, held, house.roles, NOW + 1, owner).grant.max_uses == 5
    ended = house.granted(replace(grant, revoked=True), NOW + 2, by=house.owner)
    assert admit(ended, held, house.roles, NOW + 2, owner).revoked


def test_no_router_lets_anybody_log_in(house: House) -> None:
    # Attack: a router that was taken over makes a client of its own the bot's voice.
    with pytest.raises(Malformed, match="comes from the owner"):
        admit(house.granted(house.login_grant()), None, house.roles, NOW, house.owner.public)


@pytest.mark.parametrize("revoked", [False, True])
def test_no_router_touches_a_login(house: House, revoked: bool) -> None:
    # Attack: it widens a login into a session of its own making, or ends the owner's.
    login = admit(
        house.granted(house.login_grant(), by=house.owner), None, house.roles, NOW,
        house.owner.public,
    )  # fmt: skip
    of_router = house.session_grant(client=house.login.public, revoked=revoked)
    with pytest.raises(Malformed, match="another role"):
        admit(house.granted(of_router, NOW + 1), login, house.roles, NOW + 1, house.owner.public)


@pytest.mark.parametrize("role", ["session", "bridge"])
def test_the_owner_grants_nothing_but_logins(house: House, role: str) -> None:
    grant = house.session_grant() if role == "session" else house.bridge_grant()
    with pytest.raises(Malformed, match="comes from the owner"):
        admit(house.granted(grant, by=house.owner), None, house.roles, NOW, house.owner.public)


def test_before_there_is_an_owner_nobody_grants_a_login(house: House) -> None:
    with pytest.raises(Malformed, match="not signed"):
        admit(house.granted(house.login_grant(), by=house.owner), None, house.roles, NOW)


@pytest.mark.parametrize("who", ["relay", "signer", "router", "bot", "owner", "bridge"])
def test_no_role_key_logs_in(house: House, who: str) -> None:
    grant = house.login_grant(client=getattr(house, who).public)
    with pytest.raises(Malformed, match="roles"):
        admit(house.granted(grant, by=house.owner), None, house.roles, NOW, house.owner.public)


@pytest.mark.parametrize(("after_s", "live"), [(59, True), (60, False)])
def test_no_login_outlives_the_ceilings_longest(house: House, after_s: int, live: bool) -> None:
    ceiling = Ceiling(bunker_longest_ttl_s=60)
    event = house.granted(house.login_grant(), by=house.owner)
    held = admit(event, None, house.roles, NOW, house.owner.public)
    assert (is_live(held, ceiling, NOW + after_s) is None) == live
    assert ends_s(held, ceiling) == NOW + 60
    assert ends_s(held, Ceiling()) == NOW + 28_800


def test_a_renewal_replaces_and_its_hard_limit_never_moves_away(house: House) -> None:
    first = house.session_grant()
    renewed = replace(first, expires_at=NOW + 300, hard_expires_at=NOW + 9_999)
    held = fold(house, (NOW, first), (NOW + 120, renewed))
    assert held.grant.expires_at == NOW + 300
    assert held.hard_expires_at == NOW + 600


def test_a_hard_limit_may_come_nearer_and_stays_there(house: House) -> None:
    first = house.session_grant()
    held = fold(
        house,
        (NOW, first),
        (NOW + 1, replace(first, hard_expires_at=NOW + 100)),
        (NOW + 2, first),
    )
    assert held.hard_expires_at == NOW + 100


def test_an_older_grant_does_not_come_back(house: House) -> None:
    wide = house.session_grant(max_uses=999)
    narrow = house.session_grant(max_uses=1)
    assert fold(house, (NOW + 1, narrow), (NOW, wide)).grant.max_uses == 1


def test_of_two_in_one_second_the_lower_id_stays(house: House) -> None:
    grants = [(NOW, house.session_grant(max_uses=n)) for n in range(1, 6)]
    lowest = min(grants, key=lambda item: house.granted(item[1], NOW).id)
    for order in (grants, grants[::-1]):
        assert fold(house, *order).grant == lowest[1]


def test_a_revocation_is_final_in_every_order(house: House) -> None:
    grant = house.session_grant()
    events = [
        (NOW, grant),
        (NOW + 1, replace(grant, revoked=True)),
        (NOW + 2, replace(grant, expires_at=NOW + 200)),
    ]
    for order in permutations(events):
        held = fold(house, *order)
        assert held.revoked
        assert is_live(held, house.ceiling, NOW + 3)


@pytest.mark.parametrize(
    "changes",
    [{"job": "cd" * 32}, {"group": OTHER}, {"job": None}],
    ids=["job", "group", "back to waiting"],
)
def test_a_key_is_never_used_for_another_job(house: House, changes: dict[str, object]) -> None:
    grant = house.session_grant()
    held = fold(house, (NOW, grant), (NOW + 1, replace(grant, **changes)))  # type: ignore[arg-type]
    assert held.grant == grant


def test_a_waiting_key_gets_its_one_job(house: House) -> None:
    waiting = house.session_grant(job=None)
    held = fold(house, (NOW, waiting), (NOW + 1, replace(waiting, job=JOB)))
    assert held.grant.job == JOB
    assert held.grant.group == MAIN


@pytest.mark.parametrize(
    ("after_s", "live"),
    [(-1, False), (0, True), (179, True), (179.99, True), (180, False), (181, False)],
)
def test_a_grants_edges(house: House, after_s: float, live: bool) -> None:
    held = fold(house, (NOW, house.session_grant()))
    assert (is_live(held, house.ceiling, NOW + after_s) is None) == live


@pytest.mark.parametrize(("after_s", "live"), [(179, True), (180, False), (5_000, False)])
def test_no_grant_outlives_the_ceilings_longest(house: House, after_s: float, live: bool) -> None:
    # Attack: a router that was taken over grants for a year.
    forever = house.session_grant(expires_at=NOW + 10**7, hard_expires_at=NOW + 10**7)
    held = fold(house, (NOW, forever))
    assert (is_live(held, house.ceiling, NOW + after_s) is None) == live


@pytest.mark.parametrize(("after_s", "live"), [(599, True), (600, False)])
def test_renewals_end_at_the_hard_limit(house: House, after_s: float, live: bool) -> None:
    grant = house.session_grant()
    renewals = [
        (NOW + at, replace(grant, expires_at=NOW + at + 180, hard_expires_at=NOW + at + 600))
        for at in range(120, 600, 60)
    ]
    held = fold(house, (NOW, grant), *renewals, arrived_s=NOW + 540)
    assert (is_live(held, house.ceiling, NOW + after_s) is None) == live


def test_a_bridges_grant_lives_for_its_own_longest(house: House) -> None:
    held = admit(house.granted(house.bridge_grant()), None, house.roles, NOW)
    assert is_live(held, house.ceiling, NOW + 3_599) is None
    assert is_live(held, house.ceiling, NOW + 3_600) is not None
