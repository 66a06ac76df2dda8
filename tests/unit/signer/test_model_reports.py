"""signer/model_reports.py: what the ledger tells of a job and its group; always absolute."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from nips.own.grant import Grant
from nips.own.model_scope import ModelScope
from nips.own.spent import ModelUse, Spent, Sum, Use
from signer.buckets import DAY_S
from signer.model_budget import Amount, Overdrawn, accounts
from signer.model_caps import ModelCaps
from signer.model_ledger import Booking, ModelLedger, Replayed
from signer.model_usage import Usage
from tests.unit.signer.house import MAIN, NOW, OTHER, House

SCOPE = ModelScope(("m",), 1_000, 1_000_000, 1_000_000)
CAPS = ModelCaps()
ONE, TWO, THREE = ("a1" * 32, "a2" * 32, "a3" * 32)
GRANT = House().session_grant(models=SCOPE)
n_authorisations = iter(range(1_000_000))


@pytest.fixture
def ledger(tmp_path: Path) -> ModelLedger:
    return ModelLedger(tmp_path / "spent.sqlite")


def begin(
    ledger: ModelLedger,
    job: str | None = ONE,
    *,
    group: str = MAIN,
    scope: ModelScope = SCOPE,
    model: str = "m",
    now_s: float = NOW,
    wanted: Amount = Amount(1, 100, 500),  # noqa: B008 - a frozen value
) -> Booking | Overdrawn | Replayed:
    grant: Grant = replace(GRANT, group=group, job=job, models=scope, client=(job or ONE))
    payers = accounts(grant, scope, CAPS, now_s)
    return ledger.begin(
        f"{next(n_authorisations)}", grant, "p", model, payers, wanted, now_s
    )  # fmt: skip


def call(
    ledger: ModelLedger,
    job: str | None = ONE,
    usage: Usage | None = Usage(fresh=10, out=2),  # noqa: B008
    microusd: int = 60,
    **more: object,
) -> None:
    booked = begin(ledger, job, **more)  # type: ignore[arg-type]
    assert isinstance(booked, Booking)
    paid = booked.reserved if usage is None else Amount(1, usage.tokens, microusd)
    ledger.settle(booked, paid, usage, "200")


def of(ledger: ModelLedger, job: str = ONE, now_s: float = NOW) -> Spent:
    told = ledger.reports.of(job, now_s)
    assert told is not None
    return told


def test_a_job_model_by_model_and_its_group_and_day(ledger: ModelLedger) -> None:
    call(ledger)
    call(ledger, usage=Usage(fresh=1, cached=2, written=3, out=4), microusd=7, model="n")
    call(ledger)
    told = of(ledger)
    assert told.models == (
        ModelUse("p", "m", 2, Use(20, 4, 0, 0, 120)),
        ModelUse("p", "n", 1, Use(1, 4, 2, 3, 7)),
    )
    assert (told.group, told.job, told.under_way, told.exact) == (MAIN, ONE, 0, True)
    assert told.group_day == Sum(34, 127)
    assert told.conversation == told.use


def test_it_is_told_alike_as_often_as_it_is_asked(ledger: ModelLedger) -> None:
    call(ledger)
    assert of(ledger) == of(ledger, now_s=NOW + 1)


def test_a_call_under_way_counts_as_set_aside(ledger: ModelLedger) -> None:
    begin(ledger)
    told = of(ledger)
    assert (told.under_way, told.group_day, told.use) == (1, Sum(100, 500), Use(microusd=500))


def test_a_call_that_a_kill_cut_off_is_spent_and_under_way_no_more(tmp_path: Path) -> None:
    ledger = ModelLedger(tmp_path / "l")
    begin(ledger)
    ledger.close()
    told = of(ModelLedger(tmp_path / "l"))
    assert (told.under_way, told.exact) == (0, False)
    assert told.use == Use(microusd=500)


def test_what_no_provider_told_is_not_exact(ledger: ModelLedger) -> None:
    call(ledger)
    assert of(ledger).exact
    call(ledger, usage=None)
    assert not of(ledger).exact


def test_conversations_add_up_turn_after_turn_and_apart(ledger: ModelLedger) -> None:
    call(ledger, ONE)
    call(ledger, THREE, group=OTHER)
    call(ledger, TWO)
    one, two, three = of(ledger, ONE), of(ledger, TWO), of(ledger, THREE)
    assert [one.turn_seq, two.turn_seq, three.turn_seq] == [1, 2, 1]
    assert (one.conversation.input, two.conversation.input) == (10, 20)
    assert three.conversation.input == 10
    assert one.session == two.session != three.session


def test_a_new_ledger_is_a_new_conversation(tmp_path: Path) -> None:
    """NIP-AM: a lost counter begins a new session, or its cumulative values would go back."""
    sessions = []
    for at_s in (NOW, NOW + 7):
        ledger = ModelLedger(tmp_path / f"{at_s}")
        call(ledger)
        sessions.append(of(ledger, now_s=at_s).session)
    assert sessions == [f"{MAIN}/{NOW}", f"{MAIN}/{NOW + 7}"]


def test_the_next_day_begins_at_nothing(ledger: ModelLedger) -> None:
    call(ledger)
    told = of(ledger, now_s=NOW + DAY_S)
    assert told.group_day == Sum()
    assert told.day > of(ledger).day
    assert told.use == of(ledger).use


def test_while_the_clock_is_behind_the_day_goes_on(ledger: ModelLedger) -> None:
    call(ledger)
    assert of(ledger, now_s=NOW - DAY_S).group_day == Sum(12, 60)
    assert of(ledger, now_s=NOW - DAY_S).day == of(ledger).day


@pytest.mark.parametrize(
    ("scope", "by_ceiling"),
    [
        (replace(SCOPE, group_tokens_per_day=50), False),
        (replace(SCOPE, microusd_per_day=50), False),
        (replace(SCOPE, group_tokens_per_day=10**9), None),
    ],
)
def test_a_refusal_of_the_day_is_told_and_whose_it_was(
    ledger: ModelLedger, scope: ModelScope, by_ceiling: bool | None
) -> None:
    booked = begin(ledger, scope=scope)
    if by_ceiling is None:
        assert isinstance(booked, Booking)
        assert of(ledger).refused is None
        return
    assert isinstance(booked, Overdrawn)
    told = of(ledger)
    assert told.refused is not None
    assert (told.refused.by_ceiling, told.models, told.use) == (by_ceiling, (), Use())
    assert "today" in told.refused.sentence
    assert of(ledger, now_s=NOW + DAY_S).refused is None


def test_the_ceilings_refusal_says_so(ledger: ModelLedger) -> None:
    wanted = Amount(1, CAPS.group_tokens_per_day + 1, 0)
    scope = replace(SCOPE, tokens=10**12, group_tokens_per_day=CAPS.group_tokens_per_day)
    assert isinstance(begin(ledger, wanted=wanted, scope=scope), Overdrawn)
    told = of(ledger).refused
    assert told is not None
    assert told.by_ceiling


def test_a_refusal_for_the_jobs_own_limit_is_not_the_days(ledger: ModelLedger) -> None:
    assert isinstance(begin(ledger, scope=replace(SCOPE, tokens=1)), Overdrawn)
    assert ledger.reports.of(ONE, NOW) is None


def test_a_job_is_pending_until_it_is_filed_and_over_restarts(tmp_path: Path) -> None:
    ledger = ModelLedger(tmp_path / "l")
    for job in (ONE, TWO):
        call(ledger, job)
    call(ledger, None)
    begin(ledger, THREE, scope=replace(SCOPE, group_tokens_per_day=0))
    assert sorted(ledger.reports.pending()) == [ONE, TWO, THREE]
    ledger.reports.file(ONE)
    ledger.reports.file(ONE)
    ledger.close()
    assert sorted(ModelLedger(tmp_path / "l").reports.pending()) == [TWO, THREE]


def test_nothing_is_known_of_what_never_was(ledger: ModelLedger) -> None:
    assert ledger.reports.of(ONE, NOW) is None
