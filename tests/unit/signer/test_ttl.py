"""signer/desk.py and grants.py: when a grant begins and ends, to the second; none is immortal."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import permutations
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nips.event import Event
from nips.own.grant import Rule
from nips.refusal import Malformed
from signer.grants import Held, admit, is_live
from signer.work import Arrived, Asked, Reply
from tests.unit.signer.desks import Scene, refusal, signed
from tests.unit.signer.house import MAIN, NOW, House, templates_json

HOUSE = House()
RULE = Rule(9, required=(("h", MAIN),))


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    made = Scene(House(), tmp_path)
    yield made
    made.ledger.close()


def outcome(scene: Scene, words: str = "hi") -> str:
    """`signed`, or what the refusal says."""
    answer = scene.sign(scene.house.template(9, ("h", MAIN), content=words)).response
    return "signed" if answer.error is None else answer.error.sentence


ENDED = "this key's grant has expired and was not renewed"
OVER = "this key's grant is over: its time limit has passed"
NOT_YET = "this key's grant has not begun"


@pytest.mark.parametrize("over_a_restart", [False, True])
@pytest.mark.parametrize(
    ("changes", "after_s", "said"),
    [
        # What the grant says, to the second and a little on either side.
        ({"expires_at": NOW + 100}, 99, "signed"),
        ({"expires_at": NOW + 100}, 99.999, "signed"),
        ({"expires_at": NOW + 100}, 100, ENDED),
        ({"expires_at": NOW + 100}, 101, ENDED),
        ({"expires_at": NOW}, 0, ENDED),
        ({"expires_at": NOW + 100, "hard_expires_at": NOW + 50}, 49, "signed"),
        ({"expires_at": NOW + 100, "hard_expires_at": NOW + 50}, 50, OVER),
        ({"expires_at": NOW + 100, "hard_expires_at": NOW + 50}, 51, OVER),
        ({"not_before": NOW + 10}, 9, NOT_YET),
        ({"not_before": NOW + 10}, 10, "signed"),
        ({"not_before": NOW + 10}, 11, "signed"),
        # What the ceiling says, whatever the grant does: 180 s from its arrival.
        ({"expires_at": NOW + 10**9, "hard_expires_at": NOW + 10**9}, 179, "signed"),
        ({"expires_at": NOW + 10**9, "hard_expires_at": NOW + 10**9}, 180, ENDED),
        ({"expires_at": NOW + 10**9, "hard_expires_at": NOW + 10**9}, 181, ENDED),
    ],
)
def test_the_second_at_which_a_grant_begins_and_ends(
    scene: Scene, changes: dict[str, int], after_s: float, said: str, over_a_restart: bool
) -> None:
    scene.grant(scene.house.session_grant(RULE, **changes))
    scene.passes(after_s)
    if over_a_restart:
        scene.reopen()
    assert outcome(scene) == said


@pytest.mark.parametrize(
    ("renewed_after_s", "asked_after_s", "said"),
    [
        (119, 298, "signed"),  # at two thirds, as the router does
        (179, 358, "signed"),
        (180, 359, "signed"),  # too late by nothing: between the two it was over
        (200, 379, "signed"),
        (179, 359, ENDED),  # 180 s from the renewal's arrival
        (599, 599.9, "signed"),  # the hard limit is at 600
        (599, 600, OVER),
        (600, 600, OVER),
        (601, 602, OVER),
    ],
)
def test_a_renewal_at_the_limit(
    scene: Scene, renewed_after_s: float, asked_after_s: float, said: str
) -> None:
    grant = scene.house.session_grant(RULE)
    scene.grant(grant)
    scene.passes(renewed_after_s)
    end = int(NOW + renewed_after_s + 180)
    scene.grant(replace(grant, expires_at=end, hard_expires_at=NOW + 10**6))
    scene.passes(asked_after_s - renewed_after_s)
    assert outcome(scene) == said


@pytest.mark.parametrize("stamp_s", [-100, -1, 0, 1, 100])
@pytest.mark.parametrize("revoked_first", [False, True])
def test_a_revocation_before_after_and_in_the_same_second(
    scene: Scene, stamp_s: int, revoked_first: bool
) -> None:
    """Its stamp may be older, the same or newer; it may come before the grant or after it."""
    grant = scene.house.session_grant(RULE)
    revocation = scene.house.granted(replace(grant, revoked=True), NOW + stamp_s)
    events = [scene.house.granted(grant, NOW), revocation]
    for event in reversed(events) if revoked_first else events:
        scene.desk.take([Arrived(event, 1)])
    assert outcome(scene) == "this key's grant was revoked"
    # Nothing that comes later makes it live again: not a newer grant, not a restart.
    scene.grant(replace(grant, expires_at=NOW + 170), NOW + 1_000)
    scene.reopen()
    scene.grant(grant, NOW + 2_000)
    assert outcome(scene) == "this key's grant was revoked"


def test_a_request_in_flight_while_its_key_is_revoked(scene: Scene) -> None:
    """All of it in one batch: what came before the revocation is signed, what came after is not,
    and a repetition of what was signed gets the same signature, not another one."""
    house, grant = scene.house, scene.house.session_grant(RULE)
    scene.grant(grant)
    revoked = Arrived(house.granted(replace(grant, revoked=True), NOW + 1), 2)

    def asked(words: str) -> Asked:
        template = house.template(9, ("h", MAIN), content=words)
        body = templates_json(template)
        return Asked(house.request(house.session, "sign_event", body, request_id=words)[1])

    replies = scene.desk.take([asked("before"), revoked, asked("after"), asked("before")])
    first, second, third = (reply.response for reply in replies if isinstance(reply, Reply))
    assert signed(first).content == "before"
    assert refusal(second) == "restricted: this key's grant was revoked"
    assert signed(third) == signed(first)
    assert scene.ledger.chain.verify().rows == 2  # one signature, one refusal


def test_a_revocation_that_was_refused_the_disk_is_done_before_the_next_request(
    scene: Scene,
) -> None:
    grant = scene.house.session_grant(RULE)
    scene.grant(grant)
    scene.ledger.db.execute("PRAGMA query_only = ON")
    scene.desk.take([Arrived(scene.house.granted(replace(grant, revoked=True), NOW + 1), 2)])
    scene.ledger.db.execute("PRAGMA query_only = OFF")
    assert outcome(scene) == "this key's grant was revoked"


# None is immortal: whatever arrives in whatever order

EVENTS = st.lists(
    st.builds(
        lambda stamp, expires, hard, revoked: HOUSE.granted(
            HOUSE.session_grant(
                RULE, expires_at=NOW + expires, hard_expires_at=NOW + hard, revoked=revoked
            ),
            NOW + stamp,
        ),
        st.integers(-3, 3),
        st.integers(0, 400),
        st.integers(1, 900),
        st.booleans(),
    ),
    min_size=1,
    max_size=5,
)


@settings(max_examples=150)
@given(events=EVENTS, gap_s=st.integers(0, 100))
def test_no_order_of_arrival_makes_a_grant_immortal(events: list[Event], gap_s: int) -> None:
    for order in list(permutations(events))[:24]:
        held: Held | None = None
        hard, is_revoked, now = NOW + 10**9, False, float(NOW)
        for event in order:
            try:
                held = admit(event, held, HOUSE.roles, now)
            except Malformed:
                assert held is not None  # it changes nothing
            hard = min(hard, held.grant.hard_expires_at)
            is_revoked = is_revoked or '"revoked":true' in event.content
            assert held.hard_expires_at <= hard
            now += gap_s
        assert held is not None
        for at in (now, now + 100, now + 1_000):
            live = is_live(held, HOUSE.ceiling, at) is None
            assert not (live and is_revoked)
            assert not (live and at >= hard)
        assert is_live(held, HOUSE.ceiling, now + HOUSE.ceiling.longest_ttl_s) is not None
