"""signer/model_budget.py and model_ledger.py: no sequence of calls costs more than was allowed."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nips.own.model_scope import ModelScope
from nips.own.spent import ModelUse, Sum, Use
from signer.buckets import DAY_S
from signer.model_budget import (
    FOR_GOOD,
    Account,
    Amount,
    Overdrawn,
    accounts,
    cost,
    overdrawn,
    reservation,
    settled,
)
from signer.model_caps import ModelCaps
from signer.model_ledger import Booking, ModelLedger, Replayed
from signer.model_providers import LongPrice, Price
from signer.model_request import ENDPOINTS, read
from signer.model_usage import Usage
from tests.unit.signer.house import MAIN, NOW, OTHER, House

PRICE = Price(fresh=3_000_000, out=15_000_000, cached=300_000)
SCOPE = ModelScope(("m",), 10, 1_000, 5_000)
CAPS = ModelCaps(100, 3_000, 20_000, 50, 2_000, 10_000)
GRANT = House().session_grant(models=SCOPE)
MESSAGES = next(one for one in ENDPOINTS if one.path == "/v1/messages")


@pytest.fixture
def ledger(tmp_path: Path) -> ModelLedger:
    return ModelLedger(tmp_path / "spent.sqlite")


def begin(
    ledger: ModelLedger,
    n: object,
    wanted: Amount,
    now_s: float = NOW,
    client: str = "",
    group: str = MAIN,
) -> Booking | Overdrawn | Replayed:
    grant = replace(GRANT, client=client or GRANT.client, group=group)
    payers = accounts(grant, SCOPE, CAPS, now_s)
    return ledger.begin(f"{n}", grant, "p", "m", payers, wanted, now_s)


def test_what_tokens_cost() -> None:
    assert cost(Usage(fresh=1_000_000), PRICE) == 3_000_000
    assert cost(Usage(out=1), PRICE) == 15
    assert cost(Usage(cached=10), PRICE) == 3
    assert cost(Usage(written=4), PRICE) == 15
    assert cost(Usage(cached=1), PRICE) == 1  # rounded up: nothing that costs is for nothing


def test_what_is_kept_for_an_hour_costs_twice_as_much() -> None:
    assert cost(Usage(kept=4), PRICE) == 24


def test_all_of_a_long_request_costs_more() -> None:
    long = replace(PRICE, long=LongPrice(200_000, 6_000_000, 22_500_000))
    usual = Usage(fresh=100_000, cached=50_000, written=40_000, kept=10_000, out=100)
    assert cost(usual, long) == cost(usual, PRICE)
    more = replace(usual, fresh=100_001)
    dearer = Price(6_000_000, 22_500_000, 600_000)
    assert cost(more, long) == cost(more, dearer)
    assert cost(replace(usual, out=10**6), long) == cost(replace(usual, out=10**6), PRICE)


def test_what_is_to_be_cached_is_set_aside_at_its_price() -> None:
    """Attack: to have a request cached for an hour with nothing set aside for it."""
    for ttl, factor in (("5m", 1.25), ("1h", 2)):
        body = f'{{"model":"m","max_tokens":1,"x":{{"cache_control":{{"ttl":"{ttl}"}}}}}}'.encode()
        n_read = math.ceil(len(body) / 3)
        wanted = reservation(read(MESSAGES, body), PRICE)
        assert wanted == Amount(1, n_read + 1, math.ceil(n_read * 3 * factor) + 15)


def test_what_is_set_aside() -> None:
    body = b'{"model":"m","max_tokens":100,"messages":[]}'
    wanted = reservation(read(MESSAGES, body), PRICE)
    assert wanted == Amount(1, 100 + 15, 15 * 3 + 100 * 15)
    counting = next(one for one in ENDPOINTS if one.path.endswith("count_tokens"))
    assert reservation(read(counting, body), PRICE) == Amount(1)


@pytest.mark.parametrize(
    ("usage", "complete", "n_bytes", "tokens"),
    [
        (Usage(fresh=5, out=5), True, 10, 10),
        (Usage(fresh=5, out=5), False, 10, 100),  # it was cut: what was set aside stands
        (Usage(fresh=5, out=500), False, 10, 505),
        (None, True, 10, 100),  # nobody said
        (None, False, 3_000, 1_000),  # and much came
    ],
)
def test_what_is_paid(usage: Usage | None, complete: bool, n_bytes: int, tokens: int) -> None:
    reserved = Amount(1, 100, 500)
    paid = settled(reserved, usage, complete=complete, n_answer_bytes=n_bytes, price=PRICE)
    assert (paid.requests, paid.tokens) == (1, tokens)


@pytest.mark.parametrize(
    ("wanted", "words"),
    [
        (Amount(11, 1, 1), "this job may use 10 requests; 0 are used"),
        (Amount(1, 1_001, 1), "this job may use 1,000 tokens; 0 are used, and this call may need"),
        (Amount(1, 1, 5_001), "this job may use 0.005 US dollars"),
    ],
)
def test_a_job_has_limits(ledger: ModelLedger, wanted: Amount, words: str) -> None:
    found = begin(ledger, 1, wanted)
    assert isinstance(found, Overdrawn)
    assert words in found.sentence
    assert found.retry_after_s is None


def test_a_conversation_has_a_day_and_so_have_all(ledger: ModelLedger) -> None:
    noon = (NOW // DAY_S) * DAY_S + DAY_S / 2
    for n in range(2):  # two jobs use up the conversation
        assert isinstance(begin(ledger, n, Amount(1, 1_000, 1), noon, f"{n}"), Booking)
    full = begin(ledger, 2, Amount(1, 1_000, 1), noon, "2")
    assert isinstance(full, Overdrawn)
    assert "this conversation may use 2,000 tokens today" in full.sentence
    assert full.retry_after_s == DAY_S / 2
    assert isinstance(begin(ledger, 3, Amount(1, 1_000, 1), noon, "3", group=OTHER), Booking)
    every = begin(ledger, 4, Amount(1, 1, 1), noon, "4", group=OTHER)
    assert isinstance(every, Overdrawn)
    assert "all conversations together" in every.sentence
    assert isinstance(begin(ledger, 5, Amount(1, 1_000, 1), noon + DAY_S / 2, "5"), Booking)


def test_two_sessions_at_once_share_a_days_budget(ledger: ModelLedger) -> None:
    """Each grant carries the day's own limit, not what was left when it was made."""
    scope = replace(SCOPE, group_tokens_per_day=250, tokens_per_day=400)
    wanted = Amount(1, 100, 1)
    taken = []
    for n, group in enumerate([MAIN, MAIN, MAIN, OTHER, OTHER, OTHER]):
        grant = replace(GRANT, client=f"{n}", group=group)
        payers = accounts(grant, scope, CAPS, NOW)
        taken.append(ledger.begin(f"{n}", grant, "p", "m", payers, wanted, NOW))
    assert [isinstance(one, Booking) for one in taken] == [True, True, False, True, True, False]
    refusals = [one for one in taken if isinstance(one, Overdrawn)]
    assert "this conversation may use 250 tokens today; 200 are used" in refusals[0].sentence
    assert not refusals[0].by_ceiling


def test_no_budget_passes_the_ceiling(ledger: ModelLedger) -> None:
    scope = replace(SCOPE, group_tokens_per_day=10**9, group_microusd_per_day=10**9)
    group = accounts(GRANT, scope, CAPS, NOW)[1]
    assert (group.limit.tokens, group.limit.money_microusd) == (2_000, 10_000)


def test_a_clock_that_goes_back_gives_no_second_day(ledger: ModelLedger) -> None:
    for n in range(2):
        begin(ledger, n, Amount(1, 1_000, 1), NOW, f"{n}")
    assert isinstance(begin(ledger, 2, Amount(1, 1_000, 1), NOW - DAY_S, "2"), Overdrawn)
    assert ledger.high_water_s() == NOW


def test_an_authorisation_counts_once_and_over_restarts(tmp_path: Path) -> None:
    ledger = ModelLedger(tmp_path / "l")
    assert isinstance(begin(ledger, "a", Amount(1, 1, 1)), Booking)
    ledger.close()
    again = ModelLedger(tmp_path / "l")
    assert begin(again, "a", Amount(1, 1, 1)) == Replayed()
    assert again.use("a", NOW) == Replayed()
    assert again.use("b", NOW) is None
    assert again.use("b", NOW + 59) == Replayed()


def test_what_was_not_needed_comes_back_and_a_jobs_totals_are_known(ledger: ModelLedger) -> None:
    first = begin(ledger, 1, Amount(1, 900, 4_000))
    assert isinstance(first, Booking)
    assert isinstance(begin(ledger, 2, Amount(1, 900, 1)), Overdrawn)
    ledger.settle(first, Amount(1, 30, 100), Usage(fresh=10, out=20), "200")
    second = begin(ledger, 3, Amount(1, 900, 1))
    assert isinstance(second, Booking)
    assert GRANT.job is not None
    told = ledger.reports.of(GRANT.job, NOW)
    assert told is not None
    assert told.models == (ModelUse("p", "m", 2, Use(10, 20, microusd=101)),)
    assert (told.group_day, told.under_way) == (Sum(930, 101), 1)


amounts = st.builds(Amount, st.just(1), st.integers(0, 1_500), st.integers(0, 6_000))


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["one", "two", "three"]),  # keys: new ones cost no less
            st.sampled_from([MAIN, OTHER]),
            amounts,
            st.sampled_from(["settle", "crash", "restart"]),
            st.floats(0, 1),
            st.integers(-DAY_S, DAY_S),
        ),
        max_size=30,
    )
)
@settings(max_examples=60)
def test_no_order_of_calls_kills_and_clocks_passes_a_limit(
    calls: list[tuple[str, str, Amount, str, float, int]],
) -> None:
    """Against an oracle that adds up what was paid, by key, by group and day, by day."""
    with TemporaryDirectory() as folder:
        ledger = ModelLedger(Path(folder) / "l")
        paid: dict[tuple[str, int], Amount] = {}
        latest_s = NOW
        for n, (client, group, wanted, then, part, step_s) in enumerate(calls):
            now_s = max(latest_s, NOW + step_s)  # as signer/clock.py has it
            latest_s = now_s
            grant = replace(GRANT, client=client, group=group)
            payers = accounts(grant, SCOPE, CAPS, now_s)
            booked = ledger.begin(f"{n}", grant, "p", "m", payers, wanted, now_s)
            fits = all(
                _fits(paid.get((one.name, one.day), Amount()) + wanted, one.limit) for one in payers
            )
            assert isinstance(booked, Booking) == fits
            if isinstance(booked, Booking):
                real = wanted
                if then == "settle":
                    real = Amount(1, int(wanted.tokens * part), int(wanted.money_microusd * part))
                    ledger.settle(booked, real, None, "200")
                for one in payers:
                    key = (one.name, one.day)
                    paid[key] = paid.get(key, Amount()) + real
                    assert ledger.spent(one) == paid[key]
                    assert _fits(paid[key], one.limit)
            if then == "restart":
                ledger.close()
                ledger = ModelLedger(Path(folder) / "l")
        ledger.close()


def _fits(amount: Amount, limit: Amount) -> bool:
    return (
        amount.requests <= limit.requests
        and amount.tokens <= limit.tokens
        and amount.money_microusd <= limit.money_microusd
    )


def test_an_account_for_good_has_no_day() -> None:
    account = Account("grant/x", Amount(1, 1, 1), FOR_GOOD)
    found = overdrawn(account, Amount(1, 0, 0), Amount(1, 0, 0), NOW)
    assert found is not None
    assert "today" not in found.sentence
