"""signer/policy.py: no kind escapes grant and ceiling, against a naive oracle (kind_oracle.py)."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import product
from typing import get_args

from hypothesis import given, settings
from hypothesis import strategies as st

from nips.event import Tag, Tags, Template
from nips.own.grant import Grant, Mode, Rule
from signer.ceiling import Ceiling
from signer.policy import Ask, Refuse, Sign, decide
from tests.figures import dice, figure
from tests.unit.signer.house import JOB, MAIN, NOW, OTHER
from tests.unit.signer.kind_oracle import (
    FACE,
    HOUSE,
    NEVER,
    OWNERS,
    PROFILE,
    RELAYS,
    meant,
    promised,
)

ALL = range(65_536)
IN_QUESTION = (1, 6, 7, 9, 14, 1_111, 30_023, 30_024, *NEVER, *OWNERS)
EVENT = "ab" * 32
OWN_ARTICLE = f"30023:{HOUSE.bot.public}:slug"
ANOTHERS = f"30023:{HOUSE.stranger.public}:slug"
TAGS: tuple[Tag, ...] = (
    ("h", MAIN), ("h", OTHER), ("h",), ("h", MAIN, "wss://a.example"), ("job", JOB),
    ("job", "cd" * 32), ("d", "a/b"), ("d", "b"), ("d",), ("p", EVENT), ("e", EVENT), ("e", "x"),
    ("a", OWN_ARTICLE), ("a", ANOTHERS), ("a",), ("relay", RELAYS[0]), ("r", RELAYS[0]),
    ("challenge", "c"),
)  # fmt: skip
SHAPES: tuple[Tags, ...] = (
    (), (("h", MAIN),), (("h", OTHER),), (("h", MAIN), ("job", JOB)), (("h", MAIN), ("h", OTHER)),
    (("e", EVENT),), (("a", OWN_ARTICLE),), (("a", ANOTHERS),), (("h", MAIN), ("e", EVENT)),
    (("d", "a/b"),), (("h", MAIN), ("d", "a/b")), (("h",),), (("p", EVENT),) * 5,
    (("e", EVENT), ("h", MAIN)), (("e", EVENT), ("h", OTHER)), (("h", MAIN),) * 2,
    (("e", EVENT), ("h",)), (("e", EVENT, "h"), ("job", JOB)), (("H", MAIN), ("e", EVENT)),
    (("e", EVENT), ("p", "x" * 65_537)),
    *(tuple(sorted(tags)) for _, tags, _ in FACE),
)  # fmt: skip


Rules = tuple[Rule, ...]  # of one kind: none, one, or one for what is said in the group and one not


def judged(
    template: Template, grant: Grant, rules: Rules, ceiling: Ceiling, owner: str | None
) -> str:
    """What the policy says, in the oracle's words."""
    one = replace(grant, rules=rules)
    match decide(template, one, ceiling, HOUSE.roles, owner, NOW, "g"):
        case Sign():
            return "sign"
        case Ask():
            return "ask"
        case Refuse():
            return "refuse"


def some(chance: random.Random, most: int) -> frozenset[int]:
    """Kinds at random, and half of those that are always in question."""
    return frozenset(
        {*chance.sample(IN_QUESTION, len(IN_QUESTION) // 2), *chance.sample(ALL, most)}
    )


def some_ceiling(chance: random.Random) -> Ceiling:
    def kinds() -> frozenset[int]:
        return chance.choice((frozenset(), frozenset({1, 7, 9}), some(chance, 3_000)))

    return Ceiling(
        session_kinds=kinds(),
        bunker_kinds=kinds(),
        groups={group: kinds() for group in (MAIN, OTHER) if chance.random() < 0.6},
        public_reactions=frozenset(chance.sample((MAIN, OTHER), chance.choice((0, 1, 1, 2)))),
        ask_kinds=frozenset(OWNERS) | kinds(),
        pre_approved=kinds(),
        relays=RELAYS,
        profile=HOUSE.ceiling.profile,
    )


GRANTS = (
    HOUSE.session_grant(),
    HOUSE.session_grant(group=OTHER),
    HOUSE.session_grant(job=None),
    HOUSE.session_grant(methods=("ping",)),
    HOUSE.bridge_grant(),
    HOUSE.bridge_grant(methods=("unwrap", "seal")),
    HOUSE.bridge_grant(client=HOUSE.stranger.public),
    HOUSE.login_grant(),
    HOUSE.login_grant(methods=("nip44_encrypt", "nip44_decrypt")),
    HOUSE.login_grant(publishes=True),
)
ABLE = tuple(grant for grant in GRANTS if grant.job or grant.role != "session")


def some_rules(chance: random.Random) -> Sequence[Rules]:
    """The rules for the kind they stand under: one of a dozen forms for each kind, or none, and
    for some kinds a second one of which just one forbids `h`."""
    forms: list[Rule | None] = [None, Rule(0), Rule(0, "ask"), Rule(0, "deny")]
    forms += [
        Rule(
            0,
            chance.choice(get_args(Mode)),
            required=tuple(chance.sample(TAGS, chance.choice((0, 0, 1, 2)))),
            forbidden=chance.choice(((), (), ("p",), ("h", "e"))),
            d_prefix=chance.choice((None, None, None, "a/", "")),
            max_content_bytes=chance.choice((None, None, 0, 4)),
            max_tags=chance.choice((None, None, 0, 1, 4)),
        )
        for _ in range(8)
    ]
    weights = [3, 8, 2, 1, *[1] * 8]
    pairs = zip(
        chance.choices(forms, weights, k=len(ALL)),
        chance.choices([None, *forms], [60, *weights], k=len(ALL)),
        strict=True,
    )
    return [rules_of(kind, one, other) for kind, (one, other) in enumerate(pairs)]


def rules_of(kind: int, one: Rule | None, other: Rule | None) -> Rules:
    """The rules of a kind from two forms; both, where a grant can hold both."""
    if one is not None and other is not None:
        spoken = tuple(name for name in one.forbidden if name != "h")
        one, other = replace(one, forbidden=spoken), replace(other, forbidden=("h",))
    return tuple(replace(rule, kind=kind) for rule in (one, other) if rule is not None)


def test_no_kind_escapes_grant_and_ceiling(
    record_property: Callable[[str, object], None],
) -> None:
    """All 65,536 kinds under each grant and ceiling that the dice give."""
    counted: Counter[str] = Counter()
    for number in range(figure("kinds")):
        chance = dice("kinds", number)
        ceiling, rules = some_ceiling(chance), some_rules(chance)
        owner = chance.choice((HOUSE.owner.public,) * 7 + (None,))
        grant = chance.choice(ABLE)
        shapes = chance.choices(SHAPES, k=len(ALL))
        contents = chance.choices(("", "", "", "🦀", "hello", PROFILE), k=len(ALL))
        for kind, of_kind, tags, content in zip(ALL, rules, shapes, contents, strict=True):
            template = Template(HOUSE.bot.public, NOW, kind, tags, content)
            counted[both_say(template, grant, of_kind, ceiling, owner)] += 1
        for grant, kind, tags in product(GRANTS, IN_QUESTION, SHAPES):
            both = rules_of(kind, Rule(kind), Rule(kind))
            for of_kind, content in (
                *((rules[kind], ""), ((Rule(kind),), ""), ((Rule(kind),), PROFILE)),
                *((both, ""), (both[1:], "")),
            ):
                template = Template(HOUSE.bot.public, NOW, kind, tags, content)
                counted[both_say(template, grant, of_kind, ceiling, owner)] += 1
    for said, count in counted.items():
        record_property(f"{said} decisions", count)


def both_say(
    template: Template, grant: Grant, rules: Rules, ceiling: Ceiling, owner: str | None
) -> str:
    """What policy and oracle agree on, in whichever order tags and rules stand."""
    wanted = promised(template, grant, meant(template, rules), ceiling, owner)
    said = judged(template, grant, rules, ceiling, owner)
    assert said == wanted, (template, grant, rules, ceiling)
    if len(rules) > 1 and template.tags:
        turned = replace(template, tags=template.tags[::-1])
        assert judged(turned, grant, rules[::-1], ceiling, owner) == wanted, (turned, rules)
    return said


def test_every_role_has_its_yes_and_its_no() -> None:
    """The sweep shows something: each role is both signed for and refused in it."""
    seen: Counter[tuple[str, str]] = Counter()
    for grant, kind, tags, content in product(GRANTS, IN_QUESTION, SHAPES, ("", PROFILE)):
        template = Template(HOUSE.bot.public, NOW, kind, tags, content)
        ceiling = replace(HOUSE.ceiling, bunker_kinds=frozenset({1}), relays=RELAYS)
        seen[grant.role, judged(template, grant, (Rule(kind),), ceiling, HOUSE.owner.public)] += 1
    assert {role for role, said in seen if said == "sign"} == {"session", "bridge", "bunker"}
    assert {role for role, said in seen if said == "refuse"} == {"session", "bridge", "bunker"}
    assert {role for role, said in seen if said == "ask"} == {"session", "bunker"}


KINDS = st.integers(0, 65_535) | st.sampled_from(IN_QUESTION)
SETS = st.sets(KINDS, max_size=6) | st.just(set(ALL)) | st.sampled_from([{7, 9}, {1, 30_023}])


@settings(max_examples=400)
@given(data=st.data())
def test_the_policy_keeps_its_promise(data: st.DataObject) -> None:
    """Every field of template, rule, grant and ceiling drawn on its own."""
    draw = data.draw
    kind = draw(KINDS)
    forms = st.none() | st.builds(
        Rule,
        kind=st.just(kind),
        mode=st.sampled_from(get_args(Mode)),
        required=st.lists(st.sampled_from(TAGS), max_size=2).map(tuple),
        forbidden=st.lists(st.sampled_from(["h", "p", "e", "d"]), max_size=2).map(tuple),
        d_prefix=st.none() | st.sampled_from(["", "a/"]),
        max_content_bytes=st.none() | st.integers(0, 6),
        max_tags=st.none() | st.integers(0, 4),
    )
    rules = rules_of(kind, draw(forms), draw(st.none() | forms))
    grant = draw(st.sampled_from(GRANTS))
    ceiling = Ceiling(
        session_kinds=frozenset(draw(SETS)),
        bunker_kinds=frozenset(draw(SETS)),
        groups={MAIN: frozenset(draw(SETS))},
        public_reactions=frozenset(draw(st.sets(st.sampled_from([MAIN, OTHER])))),
        ask_kinds=frozenset(draw(SETS)),
        pre_approved=frozenset(draw(SETS)),
        relays=RELAYS,
        profile=HOUSE.ceiling.profile,
    )
    template = Template(
        draw(st.sampled_from([HOUSE.bot.public] * 4 + [HOUSE.owner.public])),
        NOW + draw(st.sampled_from([0, 0, 60, -60, 61, -61, 10**9])),
        kind,
        draw(st.sampled_from(SHAPES) | st.lists(st.sampled_from(TAGS), max_size=4).map(tuple)),
        draw(st.sampled_from(["", PROFILE]) | st.text(max_size=3)),
    )
    owner = draw(st.sampled_from([HOUSE.owner.public, HOUSE.owner.public, None]))
    both_say(template, grant, rules, ceiling, owner)
