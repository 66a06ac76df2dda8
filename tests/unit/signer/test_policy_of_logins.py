"""signer/policy.py: what a bunker client may have signed, whatever its grant says."""

from __future__ import annotations

from dataclasses import replace

import pytest

from nips.event import Template
from nips.own.grant import Grant, Rate, Rule
from nips.refusal import Prefix
from signer.buckets import Counted, Rated
from signer.ceiling import NEVER_FOR_SESSIONS, Caps, Ceiling
from signer.policy import Decision, Refuse, Sign, decide, decide_seal
from tests.unit.signer.house import JOB, MAIN, NOW, House

HOUSE = House()


def judge(
    template: Template, grant: Grant, ceiling: Ceiling | None = None, owner: str | None = "owner"
) -> Decision:
    return decide(template, grant, ceiling or HOUSE.ceiling, HOUSE.roles, owner, NOW, "id")


def refused(decision: Decision) -> str:
    assert isinstance(decision, Refuse), decision
    assert decision.refusal.prefix in (Prefix.RESTRICTED, Prefix.INVALID)
    return decision.refusal.sentence


def test_what_it_was_invited_to_is_signed() -> None:
    assert isinstance(judge(HOUSE.template(1), HOUSE.login_grant()), Sign)
    assert "not allowed by this key" in refused(judge(HOUSE.template(7), HOUSE.login_grant()))


@pytest.mark.parametrize("kind", sorted(NEVER_FOR_SESSIONS))
def test_no_login_takes_over_the_bot(kind: int) -> None:
    # Attack: whoever got the owner's word for one login makes itself the bot.
    wide = Ceiling(bunker_kinds=frozenset(range(65_536)))
    grant = HOUSE.login_grant(Rule(kind))
    assert "never signed for a login" in refused(judge(HOUSE.template(kind), grant, wide))


def test_a_kind_above_the_ceiling_is_not_signed() -> None:
    grant = HOUSE.login_grant(Rule(31_990))
    assert "above the ceiling of logins" in refused(judge(HOUSE.template(31_990), grant))
    wide = Ceiling(bunker_kinds=frozenset({31_990}))
    assert isinstance(judge(HOUSE.template(31_990), grant, wide), Sign)


def test_a_login_speaks_in_no_group() -> None:
    # Attack: the bot's word in a group, which its members would take for the assistant's.
    wide = Ceiling(bunker_kinds=frozenset({1, 7, 9}))
    grant = HOUSE.login_grant(Rule(1), Rule(7), Rule(9))
    for kind in (1, 7, 9):
        for tags in ((("h", MAIN),), (("h",),), (("t", "x"), ("h", MAIN), ("job", JOB))):
            template = Template(HOUSE.bot.public, NOW, kind, tags, "hi")
            assert "no h tag" in refused(judge(template, grant, wide))


def test_without_an_owner_nobody_logs_in() -> None:
    decision = judge(HOUSE.template(1), HOUSE.login_grant(), owner=None)
    assert "no owner is named" in refused(decision)


@pytest.mark.parametrize(("at_s", "fine"), [(-61, False), (-60, True), (60, True), (61, False)])
def test_no_login_gets_a_signature_for_later(at_s: int, fine: bool) -> None:
    decision = judge(HOUSE.template(1, at=NOW + at_s), HOUSE.login_grant())
    assert isinstance(decision, Sign) == fine


def test_it_seals_nothing() -> None:
    judged = decide_seal(
        HOUSE.template(14), HOUSE.login_grant(), HOUSE.ceiling, HOUSE.roles, "owner", "id"
    )
    assert "only a bridge" in str(judged)


def test_it_costs_its_own_rate_and_what_all_logins_share() -> None:
    client = HOUSE.login.public
    caps = Caps(bunker_per_minute=6, bunker_per_day=9)
    ceiling = replace(HOUSE.ceiling, caps=caps)
    grant = HOUSE.login_grant(Rule(1, rate=Rate(2, 1.0), daily=3))
    decision = judge(HOUSE.template(1), grant, ceiling)
    assert isinstance(decision, Sign)
    assert decision.costs == (
        Counted(f"key/{client}/id", 1_000, daily=False),
        Rated(f"grant/{client}", 10, 10 / 3_600),
        Rated(f"kind/{client}/1", 2, 1.0),
        Counted(f"kind/{client}/1/day", 3, daily=True),
        Rated("bunker", 6, 0.1),
        Counted("bunker/day", 9, daily=True),
        Rated("all", 600, 10.0),
        Counted("all/day", 50_000, daily=True),
    )
