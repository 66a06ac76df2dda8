"""bot/requests/allowance.py: rates and what is open at once."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from bot.requests.allowance import LIMITS, Allowance, Limits, Verdict
from bot.requests.callers import Bridge, Console, ModelProxy, Session, TheRouter

FEW = Limits(at_once=3, per_s=1.0, open=2)


def test_every_kind_of_caller_has_its_limits() -> None:
    assert set(LIMITS) == {Session, Bridge, Console, ModelProxy, TheRouter}


def test_a_burst_is_refused_at_its_end_and_then_ignored() -> None:
    one, verdicts = Allowance(FEW, 3, 0.0), []
    for _ in range(8):
        one, verdict = one.ask(0.0)
        verdicts.append(verdict)
        one = one.settle() if verdict is Verdict.ANSWER else one
    assert verdicts == [Verdict.ANSWER] * 3 + [Verdict.REFUSE] * 3 + [Verdict.IGNORE] * 2
    assert one.ask(3.9)[1] is Verdict.REFUSE
    assert one.ask(4.0)[1] is Verdict.ANSWER


def test_no_more_are_open_than_may_be() -> None:
    one, _ = Allowance(FEW, 3, 0.0).ask(0.0)
    one, _ = one.ask(0.0)
    refused, verdict = one.ask(0.0)
    assert verdict is Verdict.REFUSE
    assert refused.settle().ask(1.0)[1] is Verdict.ANSWER


@given(st.lists(st.floats(0, 10), max_size=200))
def test_never_more_than_the_rate(pauses: list[float]) -> None:
    one, now_s, answered = Allowance(FEW, 3, 0.0), 0.0, 0
    for pause in pauses:
        now_s += pause
        one, verdict = one.ask(now_s)
        if verdict is Verdict.ANSWER:
            answered += 1
            one = one.settle()
    assert answered <= FEW.at_once + now_s * FEW.per_s
