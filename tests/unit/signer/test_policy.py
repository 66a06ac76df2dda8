"""signer/policy.py: what is signed, by table and against a naive oracle."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import replace
from typing import Any, get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nips.event import Tag, Template
from nips.own.grant import Grant, Mode, Rate, Rule
from nips.refusal import Prefix, Refusal
from signer.buckets import Counted, Rated
from signer.ceiling import NEVER_FOR_SESSIONS, Caps, Ceiling
from signer.policy import Ask, Decision, Refuse, Sign, decide, decide_seal
from tests.figures import dice, figure
from tests.unit.signer.house import JOB, MAIN, NOW, OTHER, House

HOUSE = House()
ANY_KIND = Ceiling(session_kinds=frozenset(range(65_536)))


def judge(
    template: Template,
    grant: Grant,
    ceiling: Ceiling | None = None,
    owner: str | None = HOUSE.owner.public,
) -> Decision:
    return decide(template, grant, ceiling or HOUSE.ceiling, HOUSE.roles, owner, NOW, "g")


def refused(decision: Decision) -> Refusal:
    assert isinstance(decision, Refuse)
    return decision.refusal


def test_a_reply_within_its_grant_is_signed() -> None:
    assert isinstance(judge(HOUSE.template(), HOUSE.session_grant()), Sign)


def test_what_no_rule_names_is_denied() -> None:
    assert (
        "kind 7" in refused(judge(HOUSE.template(7, ("h", MAIN)), HOUSE.session_grant())).sentence
    )


RULE = Rule(9, required=(("h", MAIN), ("job", JOB)))
GOOD: tuple[Tag, ...] = (("h", MAIN), ("job", JOB))


@pytest.mark.parametrize(
    ("rule", "changes", "words"),
    [
        (replace(RULE, mode="deny"), {}, "not allowed"),
        (RULE, {"pubkey": "aa" * 32}, "pubkey is not the bot's"),
        (RULE, {"created_at": NOW - 61}, "60 s"),
        (RULE, {"created_at": NOW + 61}, "60 s"),
        (RULE, {"tags": (("job", JOB),)}, "h tags must be exactly"),
        (RULE, {"tags": (("h", OTHER), ("job", JOB))}, "h tags must be exactly"),
        (RULE, {"tags": (("h", MAIN), ("h", OTHER), ("job", JOB))}, "h tags must be exactly"),
        (RULE, {"tags": (("h", MAIN), ("h", MAIN), ("job", JOB))}, "h tags must be exactly"),
        (RULE, {"tags": (("h", MAIN), ("h",), ("job", JOB))}, "h tags must be exactly"),
        (RULE, {"tags": (("h", MAIN), ("job", "cd" * 32))}, "job tags must be exactly"),
        (RULE, {"tags": (("h", MAIN),)}, "job tags must be exactly"),
        (replace(RULE, required=()), {"tags": ()}, "own group"),
        (replace(RULE, required=()), {"tags": (("h", OTHER),)}, "own group"),
        (replace(RULE, required=()), {"tags": (("h",),)}, "own group"),
        (replace(RULE, required=(("h",),)), {"tags": (("h", OTHER),)}, "own group"),
        (replace(RULE, required=()), {"tags": (("h", MAIN), ("h", OTHER))}, "own group"),
        (replace(RULE, forbidden=("p",)), {"tags": (*GOOD, ("p", "x"))}, "forbids the tag p"),
        (replace(RULE, d_prefix="a/"), {}, "d tag"),
        (replace(RULE, d_prefix="a/"), {"tags": (*GOOD, ("d",))}, "d tag"),
        (replace(RULE, d_prefix="a/"), {"tags": (*GOOD, ("d", "b/a/"))}, "d tag"),
        (replace(RULE, d_prefix="a/"), {"tags": (*GOOD, ("d", "a/"), ("d", "b"))}, "d tag"),
        (replace(RULE, max_content_bytes=3), {"content": "🦀"}, "4 bytes"),
        (replace(RULE, max_tags=2), {"tags": (*GOOD, ("p", "x"))}, "3 tags"),
    ],
)
def test_every_field_of_a_rule_is_enforced(rule: Rule, changes: dict[str, Any], words: str) -> None:
    template = replace(HOUSE.template(), **changes)
    assert words in refused(judge(template, HOUSE.session_grant(rule))).sentence


@pytest.mark.parametrize(
    ("rule", "changes"),
    [
        (RULE, {"created_at": NOW - 60}),
        (RULE, {"created_at": NOW + 60}),
        (RULE, {"tags": (("job", JOB), ("p", "x"), ("h", MAIN, "wss://a.example"))}),
        (replace(RULE, d_prefix="a/"), {"tags": (*GOOD, ("d", "a/b"))}),
        (replace(RULE, max_content_bytes=4), {"content": "🦀"}),
        (replace(RULE, max_tags=2), {}),
    ],
)
def test_what_keeps_to_its_rule_is_signed(rule: Rule, changes: dict[str, Any]) -> None:
    template = replace(HOUSE.template(), **changes)
    assert isinstance(judge(template, HOUSE.session_grant(rule)), Sign)


def test_a_grant_without_sign_event_signs_nothing() -> None:
    grant = HOUSE.session_grant(methods=("ping",))
    assert "sign_event" in refused(judge(HOUSE.template(), grant)).sentence


def test_nothing_is_said_before_the_owner_is_known() -> None:
    assert "owner" in refused(judge(HOUSE.template(), HOUSE.session_grant(), owner=None)).sentence


def test_a_waiting_key_says_nothing() -> None:
    grant = HOUSE.session_grant(Rule(9), job=None)
    assert "waits" in refused(judge(HOUSE.template(), grant)).sentence


def test_what_must_be_asked_is_not_signed() -> None:
    template = HOUSE.template()
    grant = HOUSE.session_grant(replace(RULE, mode="ask"))
    assert judge(template, grant) == Ask(template)


def test_a_question_never_goes_beyond_the_ceiling() -> None:
    grant = HOUSE.session_grant(Rule(30_023, mode="ask"))
    assert "ceiling" in refused(judge(HOUSE.template(30_023), grant)).sentence


@pytest.mark.parametrize("kind", sorted(NEVER_FOR_SESSIONS))
def test_no_grant_and_no_ceiling_gives_a_session_these(kind: int) -> None:
    # Attack: router and ceiling file are both the attacker's.
    grant = HOUSE.session_grant(Rule(kind), methods=("sign_event", "unwrap", "seal"))
    assert "never" in refused(judge(HOUSE.template(kind), grant, ANY_KIND)).sentence


def test_the_named_kinds_are_in_the_floor() -> None:
    named = {0, 3, 5, 13, 62, 1059, 10_002, 10_050, 22_242, 24_133, 30_078, 9_000, 9_008, 9_022}
    assert named <= NEVER_FOR_SESSIONS


def test_a_public_note_is_for_groups_whose_ceiling_says_so() -> None:
    note = HOUSE.template(1)
    assert isinstance(judge(note, HOUSE.session_grant(Rule(1))), Sign)
    elsewhere = HOUSE.session_grant(Rule(1), group=OTHER)
    assert "ceiling" in refused(judge(note, elsewhere)).sentence


def test_a_public_note_names_no_other_group() -> None:
    grant = HOUSE.session_grant(Rule(1))
    assert "own group" in refused(judge(HOUSE.template(1, ("h", OTHER)), grant)).sentence
    assert isinstance(judge(HOUSE.template(1, ("h", MAIN)), grant), Sign)


def test_a_bunkers_grant_signs_nothing() -> None:
    grant = HOUSE.bridge_grant(role="bunker", rules=(Rule(1),))
    assert "bunker" in refused(judge(HOUSE.template(1), grant)).sentence


@pytest.mark.parametrize("kind", [1, 3, 5, 7, 9, 13, 1059, 24_133, 30_078])
def test_a_bridges_grant_signs_no_other_kind(kind: int) -> None:
    grant = HOUSE.bridge_grant(rules=(Rule(kind),))
    assert "never signed for a bridge" in refused(judge(HOUSE.template(kind), grant)).sentence


def test_a_bridges_grant_is_its_keys_alone() -> None:
    grant = HOUSE.bridge_grant(client=HOUSE.session.public)
    template = HOUSE.template(10_050, ("relay", "wss://a.example"), ("relay", "wss://b.example"))
    assert "no bridge" in refused(judge(replace(template, content=""), grant)).sentence


# Costs


def test_costs_name_the_group_and_not_the_key() -> None:
    rule = replace(RULE, rate=Rate(20, 0.5), daily=500)
    ceiling = replace(HOUSE.ceiling, caps=Caps(60, 1_000, 30, 100))
    decision = judge(HOUSE.template(), HOUSE.session_grant(rule), ceiling)
    assert isinstance(decision, Sign)
    assert decision.costs == (
        Counted(f"key/{HOUSE.session.public}", 200, daily=False),
        Rated(f"kind/{MAIN}/9", 20, 0.5),
        Counted(f"kind/{MAIN}/9/day", 500, daily=True),
        Rated(f"group/{MAIN}", 30, 0.5),
        Counted(f"group/{MAIN}/day", 100, daily=True),
        Rated("all", 60, 1.0),
        Counted("all/day", 1_000, daily=True),
    )


def test_a_bridges_uses_are_its_grants() -> None:
    costs = decide_seal(
        HOUSE.template(14), HOUSE.bridge_grant(), HOUSE.ceiling, HOUSE.roles, "owner", "g"
    )
    assert not isinstance(costs, Refusal)
    assert costs[0] == Counted(f"key/{HOUSE.bridge.public}/g", 10_000, daily=False)
    assert costs[1].name == "all"


# Seals


@pytest.mark.parametrize(
    ("rumor", "grant", "owner", "words"),
    [
        (HOUSE.template(14), HOUSE.session_grant(methods=("seal",)), "o", "only a bridge"),
        (HOUSE.template(14), HOUSE.bridge_grant(client="aa" * 32), "o", "only a bridge"),
        (HOUSE.template(14), HOUSE.bridge_grant(), None, "no owner"),
        (replace(HOUSE.template(14), pubkey="aa" * 32), HOUSE.bridge_grant(), "o", "the bot's"),
        (HOUSE.template(1), HOUSE.bridge_grant(), "o", "kind 1 is not sealed"),
        (HOUSE.template(1059), HOUSE.bridge_grant(), "o", "kind 1059 is not sealed"),
    ],
)
def test_only_the_bots_direct_messages_are_sealed(
    rumor: Template, grant: Grant, owner: str | None, words: str
) -> None:
    judged = decide_seal(rumor, grant, HOUSE.ceiling, HOUSE.roles, owner, "g")
    assert isinstance(judged, Refusal)
    assert words in judged.sentence
    assert judged.prefix is Prefix.RESTRICTED


# Against an oracle that knows the same rules and is written in another way

KINDS = st.one_of(
    st.integers(0, 65_535), st.sampled_from([0, 1, 5, 7, 9, 13, 1059, 9_000, 22_242, 30_023])
)
NAMES = st.sampled_from(["h", "job", "d", "p", "e"])
VALUES = st.sampled_from([MAIN, OTHER, JOB, "", "a/b"])
TAGS = st.lists(
    st.one_of(st.tuples(NAMES, VALUES), st.tuples(NAMES), st.tuples(NAMES, VALUES, VALUES)),
    max_size=4,
).map(tuple)
RULES = st.builds(
    Rule,
    kind=KINDS,
    mode=st.sampled_from(get_args(Mode)),
    required=st.lists(st.tuples(NAMES, VALUES), max_size=2).map(tuple),
    forbidden=st.lists(NAMES, max_size=2).map(tuple),
    d_prefix=st.none() | st.sampled_from(["a/", ""]),
    max_content_bytes=st.none() | st.integers(0, 6),
    max_tags=st.none() | st.integers(0, 4),
)


def oracle(template: Template, grant: Grant, ceiling: Ceiling, owner: str | None) -> str:
    rules = [rule for rule in grant.rules if rule.kind == template.kind]
    if not rules or grant.role != "session" or grant.job is None or owner is None:
        return "refuse"
    rule = rules[0]
    by_name: dict[str, list[Tag]] = {}
    for tag in template.tags:
        by_name.setdefault(tag[0], []).append(tag)
    in_group = [tag[1:2] for tag in by_name.get("h", [])]
    d_tags = [tag[1:2] for tag in by_name.get("d", [])]
    required_names = {tag[0] for tag in rule.required}
    good = (
        "sign_event" in grant.methods
        and rule.mode != "deny"
        and template.pubkey == HOUSE.bot.public
        and NOW - 60 <= template.created_at <= NOW + 60
        and template.kind not in NEVER_FOR_SESSIONS
        and (
            template.kind in ceiling.session_kinds
            or template.kind in ceiling.groups.get(grant.group or "", frozenset())
        )
        and (in_group == [(grant.group,)] or (not in_group and template.kind not in (7, 9)))
        and all(
            sorted(tag[:2] for tag in by_name.get(name, []))
            == sorted(tag for tag in rule.required if tag[0] == name)
            for name in required_names
        )
        and not any(name in by_name for name in rule.forbidden)
        and (
            rule.d_prefix is None
            or (
                len(d_tags) == 1
                and d_tags[0] != ()
                and d_tags[0][0][: len(rule.d_prefix)] == rule.d_prefix
            )
        )
        and (
            rule.max_content_bytes is None
            or len(template.content.encode()) <= rule.max_content_bytes
        )
        and (rule.max_tags is None or len(template.tags) <= rule.max_tags)
    )
    return ("ask" if rule.mode == "ask" else "sign") if good else "refuse"


@settings(max_examples=600, deadline=None)
@given(
    kind=KINDS,
    tags=TAGS,
    content=st.text(max_size=3),
    at_s=st.integers(-70, 70),
    rules=st.lists(RULES, max_size=3, unique_by=lambda rule: rule.kind).map(tuple),
    same_kind=st.booleans(),
    methods=st.sampled_from([("sign_event",), ("ping",)]),
    group=st.sampled_from([MAIN, OTHER]),
    job=st.sampled_from([JOB, JOB, JOB, None]),
    session_kinds=st.sampled_from(
        [frozenset({7, 9}), frozenset(range(65_536)), frozenset[int](), frozenset({9, 1})]
    ),
    owner=st.sampled_from([HOUSE.owner.public, None]),
    author=st.sampled_from([HOUSE.bot.public, HOUSE.bot.public, HOUSE.stranger.public]),
)
def test_the_policy_agrees_with_the_oracle(
    kind: int,
    tags: tuple[Tag, ...],
    content: str,
    at_s: int,
    rules: tuple[Rule, ...],
    same_kind: bool,
    methods: tuple[str, ...],
    group: str,
    job: str | None,
    session_kinds: frozenset[int],
    owner: str | None,
    author: str,
) -> None:
    if same_kind and rules:
        kind = rules[0].kind
    template = Template(author, NOW + at_s, kind, tags, content)
    grant = HOUSE.session_grant(group=group, job=job, methods=methods)
    grant = replace(grant, rules=rules)
    ceiling = Ceiling(session_kinds=session_kinds, groups={MAIN: frozenset({1})})
    decision = judge(template, grant, ceiling, owner)
    said = {Sign: "sign", Ask: "ask", Refuse: "refuse"}[type(decision)]
    assert said == oracle(template, grant, ceiling, owner), decision


def test_of_all_kinds_only_the_ceilings_come_through() -> None:
    """All 65,536 kinds, each granted as widely as a grant can say it."""
    everything = replace(HOUSE.session_grant(), rules=tuple(Rule(kind) for kind in range(65_536)))
    usual = Ceiling(groups={MAIN: frozenset({1, 30_023})})
    # One rule at a time: finding it among all of them is not what is asked here.
    signed = set()
    for kind in range(65_536):
        grant = replace(everything, rules=(everything.rules[kind],))
        for tags in ((), (("h", MAIN),)):
            template = Template(HOUSE.bot.public, NOW, kind, tags, "")
            if isinstance(judge(template, grant, usual), Sign):
                signed.add(kind)
    assert signed == {1, 7, 9, 30_023}


# Written out, so that a change of the code's own set shows.
NEVER = {0, 3, 5, 13, 62, 1059, 10_002, 10_050, 22_242, 24_133, 30_078, *range(9_000, 9_023)}


def some_kinds(chance: random.Random, count: int) -> frozenset[int]:
    """So many at random, and those that are always in question."""
    return frozenset({1, 7, 9, *NEVER, *chance.sample(range(65_536), count)})


def some_grant(chance: random.Random) -> Grant:
    """Without its rules. Half of them can sign at all."""
    return chance.choice(
        [
            HOUSE.session_grant(),
            HOUSE.session_grant(group=OTHER),
            HOUSE.session_grant(methods=("sign_event", "unwrap", "seal")),
            HOUSE.session_grant(job=None),
            HOUSE.bridge_grant(),
            HOUSE.bridge_grant(role="bunker"),
        ]
    )


def some_ceiling(chance: random.Random) -> Ceiling:
    session_kinds = chance.choice([frozenset({7, 9}), some_kinds(chance, 300), frozenset[int]()])
    groups = {group: some_kinds(chance, 300) for group in (MAIN, OTHER) if chance.random() < 0.5}
    return Ceiling(session_kinds=session_kinds, groups=groups)


def test_no_kind_escapes_grant_and_ceiling(
    record_property: Callable[[str, object], None],
) -> None:
    """Every kind under grants and ceilings drawn by dice, in its group, in none, in another's."""
    signed = judged = 0
    for number in range(figure("kinds")):
        chance = dice("kinds", number)
        grant, ceiling, granted = (
            some_grant(chance),
            some_ceiling(chance),
            some_kinds(chance, 40_000),
        )
        allowed: frozenset[int] = frozenset()
        if grant.role == "session" and grant.job is not None:
            group_kinds = ceiling.groups.get(grant.group or "", frozenset())
            allowed = (granted & (ceiling.session_kinds | group_kinds)) - NEVER
        other = OTHER if grant.group == MAIN else MAIN
        expected = {
            (("h", str(grant.group)),): allowed,
            (): allowed - {7, 9},
            (("h", other),): frozenset[int](),
        }
        for kind in range(65_536):
            one = replace(grant, rules=(Rule(kind),) if kind in granted else ())
            for tags, kinds in expected.items():
                decision = judge(Template(HOUSE.bot.public, NOW, kind, tags, ""), one, ceiling)
                assert isinstance(decision, Sign) == (kind in kinds), (kind, tags, one, ceiling)
                judged += 1
                signed += kind in kinds
    record_property("judged", judged)
    record_property("signed", signed)
