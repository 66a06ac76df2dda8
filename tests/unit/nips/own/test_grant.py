"""Grants: what the signer believes, and each way to make it believe more."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nips.event import Event, Tag, Template
from nips.key import SecretKey
from nips.kinds import Kind
from nips.own.grant import Grant, Rate, Rule, parse, template
from nips.refusal import Malformed

ROUTER, CLIENT = SecretKey(b"\x21" * 32), SecretKey(b"\x22" * 32)
GROUP, JOB = "0f8fad5b-d9cb-469f-a165-70867728950e", "0c" * 32
AUX = bytes(32)
GRANT = Grant(
    client=CLIENT.public,
    role="session",
    methods=("sign_event",),
    rules=(
        Rule(
            9,
            required=(("h", GROUP), ("job", JOB)),
            max_content_bytes=65_536,
            max_tags=40,
            rate=Rate(20, 0.5),
            daily=500,
        ),
        Rule(30_078, "ask", forbidden=("h",), d_prefix="draft/"),
    ),
    not_before=100,
    expires_at=280,
    hard_expires_at=1_000,
    max_uses=200,
    group=GROUP,
    job=JOB,
)
# As PROTOCOL.md writes it.
DOCUMENTED: dict[str, Any] = {
    "client": CLIENT.public,
    "role": "session",
    "group": GROUP,
    "job": JOB,
    "methods": ["sign_event"],
    "rules": [
        {
            "kind": 9,
            "mode": "allow",
            "required": [["h", GROUP], ["job", JOB]],
            "max_content_bytes": 65_536,
            "max_tags": 40,
            "rate": {"capacity": 20, "per_s": 0.5},
            "daily": 500,
        }
    ],
    "not_before": 0,
    "expires_at": 0,
    "hard_expires_at": 0,
    "max_uses": 200,
    "revoked": False,
}


def signed(grant: Grant = GRANT, key: SecretKey = ROUTER) -> Event:
    return template(grant, key.public, 7).sign(key, AUX)


def retagged(*tags: tuple[str, ...]) -> Event:
    return replace(template(GRANT, ROUTER.public, 7), tags=tags).sign(ROUTER, AUX)


def test_round_trip() -> None:
    assert parse(signed(), ROUTER.public) == GRANT


def test_the_documented_form() -> None:
    grant = Grant.from_json(DOCUMENTED)
    assert grant.to_json() == DOCUMENTED
    assert grant.rules == (GRANT.rules[0],)


def test_the_event() -> None:
    event = signed()
    assert event.kind == Kind.APP_DATA
    assert event.tags[:2] == (("d", f"grant/{CLIENT.public}"), ("p", CLIENT.public))
    assert event.tag("alt")


rules = st.builds(
    Rule,
    kind=st.integers(0, 65_535),
    mode=st.sampled_from(["allow", "ask", "deny"]),
    required=st.lists(st.lists(st.text(), min_size=1).map(tuple), max_size=3).map(tuple),
    forbidden=st.lists(st.text(), max_size=3).map(tuple),
    d_prefix=st.none() | st.text(),
    max_content_bytes=st.none() | st.integers(0, 10**6),
    max_tags=st.none() | st.integers(0, 100),
    rate=st.none() | st.builds(Rate, st.integers(1, 100), st.floats(0, 1_000)),
    daily=st.none() | st.integers(0, 1_000),
)


@given(
    rules=st.lists(rules, max_size=4, unique_by=lambda rule: rule.kind),
    revoked=st.booleans(),
    rate=st.none() | st.builds(Rate, st.integers(1, 100), st.floats(0, 1_000)),
)
def test_any_grant_survives_its_json(rules: list[Rule], revoked: bool, rate: Rate | None) -> None:
    grant = replace(GRANT, rules=tuple(rules), revoked=revoked, job=None, rate=rate)
    assert Grant.from_json(json.loads(json.dumps(grant.to_json()))) == grant


# Attacks


def test_a_grant_that_another_signed(mallory: SecretKey) -> None:
    with pytest.raises(Malformed, match="router"):
        parse(signed(key=mallory), ROUTER.public)
    stolen = template(GRANT, ROUTER.public, 7).with_sig(signed(key=mallory).sig)
    with pytest.raises(Malformed, match="signature"):
        parse(stolen, ROUTER.public)


def test_a_grant_changed_on_the_relay() -> None:
    """The relay is transport: whoever holds its disk must not widen a grant."""
    wider = template(replace(GRANT, max_uses=10**6), ROUTER.public, 7)
    with pytest.raises(Malformed):
        parse(replace(signed(), content=wider.content), ROUTER.public)
    with pytest.raises(Malformed):
        parse(wider.with_sig(signed().sig), ROUTER.public)


def test_a_grant_shelved_under_another_key(mallory: SecretKey) -> None:
    """Its revocation would then be looked for elsewhere."""
    d, p = ("d", f"grant/{CLIENT.public}"), ("p", CLIENT.public)
    assert parse(retagged(d, p), ROUTER.public) == GRANT
    other_d, other_p = ("d", f"grant/{mallory.public}"), ("p", mallory.public)
    for tags in (
        (other_d, p),
        (d, other_p),
        (d,),
        (p,),
        (d, other_d, p),
        (d, p, other_p),
        (("d", CLIENT.public), p),
    ):
        with pytest.raises(Malformed):
            parse(retagged(*tags), ROUTER.public)


def test_another_kind_is_no_grant() -> None:
    event = replace(template(GRANT, ROUTER.public, 7), kind=1).sign(ROUTER, AUX)
    with pytest.raises(Malformed, match="kind"):
        parse(event, ROUTER.public)


@pytest.mark.parametrize(
    "name",
    [
        "client",
        "role",
        "group",
        "methods",
        "rules",
        "not_before",
        "expires_at",
        "hard_expires_at",
        "max_uses",
    ],
)
def test_a_missing_field_is_no_freedom(name: str) -> None:
    value = GRANT.to_json()
    del value[name]
    with pytest.raises(Malformed):
        Grant.from_json(value)


@pytest.mark.parametrize(
    "change",
    [
        {"client": "x"},
        {"role": "owner"},
        {"role": None},
        {"group": "main"},
        {"group": None},
        {"job": "x"},
        {"methods": "sign_event"},
        {"methods": [1]},
        {"methods": ["x"] * 21},
        {"rules": {}},
        {"rules": [[]]},
        {"rules": [{"kind": 1, "mode": "allow"}] * 2},
        {"rules": [{"kind": n, "mode": "deny"} for n in range(101)]},
        {"not_before": 1.5},
        {"expires_at": "later"},
        {"hard_expires_at": -1},
        {"max_uses": True},
        {"max_uses": None},
        {"revoked": 0},
        {"publishes": 1},
        {"publishes": True},  # of a session it is not said
        {"publishes": None},
        {"revoked": None},
        {"only_on_sundays": True},
    ],
    ids=str,
)
def test_a_wrong_field(change: dict[str, Any]) -> None:
    with pytest.raises(Malformed):
        Grant.from_json(GRANT.to_json() | change)


@pytest.mark.parametrize(
    "change",
    [
        {"kind": None},
        {"kind": 65_536},
        {"kind": "9"},
        {"mode": None},
        {"mode": "Allow"},
        {"required": {}},
        {"required": [[]]},
        {"required": ["h"]},
        {"required": [["h", 5]]},
        {"required": [["h"]] * 21},
        {"forbidden": "h"},
        {"forbidden": [5]},
        {"d_prefix": 5},
        {"max_content_bytes": -1},
        {"max_tags": "40"},
        {"daily": 1.0},
        {"rate": 5},
        {"rate": {}},
        {"rate": {"capacity": 0, "per_s": 1}},
        {"rate": {"capacity": 1}},
        {"rate": {"capacity": 1, "per_s": -1}},
        {"rate": {"capacity": 1, "per_s": True}},
        {"rate": {"capacity": 1, "per_s": float("inf")}},
        {"rate": {"capacity": 1, "per_s": float("nan")}},
        {"rate": {"capacity": 1, "per_s": 1, "burst": 9}},
        {"max_content_chars": 5},
    ],
    ids=str,
)
def test_a_wrong_rule(change: dict[str, Any]) -> None:
    rule = DOCUMENTED["rules"][0] | change
    with pytest.raises(Malformed):
        Grant.from_json(DOCUMENTED | {"rules": [rule]})


def test_that_it_publishes_is_said_of_a_bunker_client_alone() -> None:
    plain = replace(GRANT, role="bunker", group=None, job=None)
    assert "publishes" not in plain.to_json()
    for grant in (plain, replace(plain, publishes=True)):
        assert Grant.from_json(grant.to_json()) == grant


def test_a_kind_has_two_rules_where_one_is_for_what_is_public() -> None:
    said, public = Rule(7, required=(("h", GROUP),)), Rule(7, forbidden=("h",))
    for rules in ((said, public), (public, said)):
        both = Grant.from_json(replace(GRANT, rules=rules).to_json())
        assert both.rules == rules

        def judged_by(*tags: Tag, grant: Grant = both) -> Rule | None:
            return grant.rule_for(Template(CLIENT.public, 1, 7, tags, "+"))

        assert judged_by() == judged_by(("e", "h"), ("H", GROUP), ("", "h")) == public
        for hidden in (("h", GROUP), ("h",), ("h", ""), ("h", "x", "y")):
            assert judged_by(hidden) == judged_by(("e", JOB), hidden, ("p", JOB)) == said
    wrong: tuple[Rule, ...]
    for wrong in ((said, said), (public, replace(public, mode="ask")), (said, public, Rule(7))):
        with pytest.raises(Malformed, match="two rules for one kind"):
            Grant.from_json(replace(GRANT, rules=wrong).to_json())


def test_one_rule_judges_whatever_is_of_its_kind() -> None:
    for rule in (Rule(1), Rule(1, forbidden=("h",))):
        grant = replace(GRANT, rules=(rule, Rule(7)))
        for tags in ((), (("h", GROUP),)):
            assert grant.rule_for(Template(CLIENT.public, 1, 1, tags, "")) == rule
            assert grant.rule_for(Template(CLIENT.public, 1, 2, tags, "")) is None


@pytest.mark.parametrize(
    ("now_s", "change", "live"),
    [
        (99, {}, False),
        (100, {}, True),
        (279, {}, True),
        (280, {}, False),
        (500, {"expires_at": 2_000}, True),
        (1_000, {"expires_at": 2_000}, False),  # renewals do not move the hard end
        (150, {"revoked": True}, False),
    ],
)
def test_when_it_lives(now_s: int, change: dict[str, Any], live: bool) -> None:
    assert replace(GRANT, **change).live_at(now_s) is live


def test_a_bridge_s_grant_needs_no_group() -> None:
    grant = replace(GRANT, role="bridge", group=None, job=None, methods=("unwrap", "seal"))
    assert parse(signed(grant), ROUTER.public) == grant
