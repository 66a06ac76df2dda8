"""Grants: what a session and a bridge get, and what renewal and revocation leave as it is."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot import grants
from nips.event import Tags, Template
from nips.kinds import Kind
from nips.own.grant import Grant

SESSION, JOB, BRIDGE = "aa" * 32, "bb" * 32, "cc" * 32
GROUP = "00000000-0000-4000-8000-000000000001"
NOW_S = 1_800_000_000
NEVER = {13, 14, 62, 1059, 22242, 24133, 30078, *range(9000, 9023)}
ONLY_ASKED = {0, 3, 5, 10002, 10050}


def session(*, is_main: bool = False, wall_clock_s: float = 600) -> Grant:
    return grants.of_session(
        SESSION, GROUP, JOB, is_main=is_main, now_s=NOW_S, wall_clock_s=wall_clock_s
    )


def test_one_that_waits_may_do_nothing_and_outlives_its_wait_by_one_job() -> None:
    waiting = grants.of_waiting(SESSION, GROUP, now_s=NOW_S, wait_s=900, wall_clock_s=600)
    assert (waiting.methods, waiting.rules, waiting.models, waiting.job) == ((), (), None, None)
    assert waiting.max_uses == 0
    assert waiting.expires_at == NOW_S + 180
    assert grants.renewed(waiting, NOW_S + 120).expires_at == NOW_S + 300
    late = grants.of_session(
        SESSION, GROUP, JOB, is_main=False, now_s=NOW_S + 900, wall_clock_s=600
    )
    assert late.hard_expires_at == waiting.hard_expires_at


def test_a_session_speaks_in_its_group_about_its_job() -> None:
    grant = session()
    assert (grant.role, grant.group, grant.job) == ("session", GROUP, JOB)
    assert grant.methods == ("sign_event", "frame")
    assert {rule.kind for rule in grant.rules} == {Kind.REACTION, Kind.CHAT}
    for rule in grant.rules:
        assert rule.required == (("h", GROUP), ("job", JOB))
        assert None not in (rule.max_content_bytes, rule.max_tags, rule.rate, rule.daily)


def test_main_alone_publishes_and_then_without_its_groups_name() -> None:
    public = [rule for rule in session(is_main=True).rules if rule.is_public]
    unasked = {1, 7, 1111, 30023, 30024}
    assert {rule.kind for rule in public} == unasked | ONLY_ASKED
    for rule in public:
        assert (rule.required, rule.forbidden) == ((("job", JOB),), ("h",))
        assert None not in (rule.max_content_bytes, rule.rate, rule.daily)
    assert not [rule for rule in session().rules if rule.is_public]
    assert {rule.kind for rule in session().rules} == {7, 9}


def test_a_reaction_of_mains_is_judged_by_where_it_is() -> None:
    grant = session(is_main=True)
    said, public = (rule for rule in grant.rules if rule.kind == Kind.REACTION)
    tags: Tags
    for tags in ((("h", GROUP),), (("e", JOB), ("h", "x")), (("h",), ("e", JOB))):
        assert grant.rule_for(Template(JOB, NOW_S, 7, tags, "+")) == said
    for tags in ((), (("e", JOB, "h"),), (("H", GROUP),)):
        assert grant.rule_for(Template(JOB, NOW_S, 7, tags, "+")) == public
    turned = replace(grant, rules=grant.rules[::-1])
    assert turned.rule_for(Template(JOB, NOW_S, 7, (("h", GROUP),), "+")) == said
    assert session().rule_for(Template(JOB, NOW_S, 7, (), "+")) == said


@pytest.mark.parametrize("is_main", [True, False])
def test_no_session_asks_for_what_is_never_a_sessions(is_main: bool) -> None:
    assert not NEVER & {rule.kind for rule in session(is_main=is_main).rules}


def test_what_speaks_for_the_bot_is_asked_in_main_and_nowhere_else() -> None:
    asked = {rule.kind: rule for rule in session(is_main=True).rules if rule.mode == "ask"}
    assert set(asked) == ONLY_ASKED
    assert all(rule.forbidden == ("h",) for rule in asked.values())
    assert all(rule.required == (("job", JOB),) for rule in asked.values())
    # An article is the ceiling's to ask about or to approve beforehand.
    (article,) = [rule for rule in session(is_main=True).rules if rule.kind == 30_023]
    assert (article.mode, article.forbidden) == ("allow", ("h",))
    elsewhere = {rule.kind for rule in session().rules}
    assert not elsewhere & {*ONLY_ASKED, 1_111, 30_023, 30_024}


def test_a_bridge_opens_and_seals_and_shows_itself() -> None:
    grant = grants.of_bridge(BRIDGE, now_s=NOW_S)
    assert set(grant.methods) == {"unwrap", "seal", "sign_event"}
    assert {rule.kind for rule in grant.rules} == {0, 10002, 10050, 22242}
    assert (grant.group, grant.job) == (None, None)
    assert grant.expires_at - NOW_S == 3600


@given(st.lists(st.integers(0, 400), max_size=10), st.floats(1, 3600))
def test_renewal_never_moves_the_hard_limit(pauses_s: list[int], wall_clock_s: float) -> None:
    grant = first = session(wall_clock_s=wall_clock_s)
    now_s = NOW_S
    for pause_s in pauses_s:
        now_s += pause_s
        grant = grants.renewed(grant, now_s)
        assert grant.hard_expires_at == first.hard_expires_at
        assert grant.expires_at <= grant.hard_expires_at
        assert grant.expires_at - now_s <= grants.SESSION_TTL_S
    assert replace(grant, expires_at=first.expires_at) == first


def test_it_lives_until_the_job_must_be_over_and_not_much_longer() -> None:
    grant = session(wall_clock_s=600)
    assert 600 < grant.hard_expires_at - NOW_S <= 660
    assert grants.renewal_due_s(grant) < grants.SESSION_TTL_S
    short = session(wall_clock_s=5)
    assert short.expires_at == short.hard_expires_at


def test_revocation_keeps_everything_else() -> None:
    grant = session()
    assert grants.revoked(grant) == replace(grant, revoked=True)


@pytest.mark.parametrize("grant", [session(is_main=True), grants.of_bridge(BRIDGE, now_s=NOW_S)])
def test_it_survives_its_event(grant: Grant) -> None:
    assert Grant.from_json(json.loads(json.dumps(grant.to_json()))) == grant
