"""Pure: what calls of language models may cost, and what they have cost.

An *account* has a limit in three sizes: requests, tokens and money. Three accounts pay for each
call: the session's (for its whole life), its group's and everybody's (by the UTC day). What a call
may cost at most is set aside before it is made, and corrected afterwards by what the provider
says; a crash in between leaves it spent.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from nips.own.grant import Grant
from nips.own.model_scope import ModelScope
from signer.buckets import DAY_S
from signer.model_caps import ModelCaps
from signer.model_providers import Price
from signer.model_request import Call
from signer.model_usage import Usage

# English has about four bytes a token, code and other scripts fewer; a settlement corrects it.
BYTES_PER_TOKEN = 3
FOR_GOOD = -1  # in place of a day


@dataclass(frozen=True, slots=True)
class Amount:
    """Requests, tokens, and millionths of a US dollar."""

    requests: int = 0
    tokens: int = 0
    money_microusd: int = 0

    def __add__(self, other: Amount) -> Amount:
        return Amount(
            self.requests + other.requests,
            self.tokens + other.tokens,
            self.money_microusd + other.money_microusd,
        )

    def __sub__(self, other: Amount) -> Amount:
        return self + Amount(-other.requests, -other.tokens, -other.money_microusd)


@dataclass(frozen=True, slots=True)
class Account:
    """Who pays, up to which limit. `day`: the UTC day that it is for, or FOR_GOOD. `ceiling`: of
    an account by the day, what no budget raises; `limit` is the budget where that is less."""

    name: str
    limit: Amount
    day: int
    ceiling: Amount | None = None

    @property
    def whose(self) -> str:
        """In words."""
        match self.name.split("/"):
            case ["grant", *_]:
                return "this job"
            case ["group", *_]:
                return "this conversation"
            case _:
                return "all conversations together"


@dataclass(frozen=True, slots=True)
class Overdrawn:
    """A call that an account cannot pay. `retry_after_s`: None where waiting does not help; where
    it does, a day's limit refused. `by_ceiling`: whether that limit is the ceiling's."""

    sentence: str
    retry_after_s: int | None
    by_ceiling: bool = False


def accounts(grant: Grant, scope: ModelScope, caps: ModelCaps, now_s: float) -> tuple[Account, ...]:
    """Who pays for a call of this session now, the narrowest first."""
    day = int(now_s // DAY_S)
    of_group = Amount(
        caps.group_requests_per_day, caps.group_tokens_per_day, caps.group_microusd_per_day
    )
    of_all = Amount(caps.requests_per_day, caps.tokens_per_day, caps.microusd_per_day)
    return (
        Account(
            f"grant/{grant.client}",
            Amount(scope.requests, scope.tokens, scope.money_microusd),
            FOR_GOOD,
        ),
        Account(
            f"group/{grant.group}",
            _within(of_group, scope.group_tokens_per_day, scope.group_microusd_per_day),
            day,
            of_group,
        ),
        Account(
            "all",
            _within(of_all, scope.tokens_per_day, scope.microusd_per_day),
            day,
            of_all,
        ),
    )


def _within(ceiling: Amount, tokens: int | None, microusd: int | None) -> Amount:
    """A day's budget, which two sessions at once share, and never more than the ceiling."""
    return Amount(
        ceiling.requests,
        ceiling.tokens if tokens is None else min(ceiling.tokens, tokens),
        ceiling.money_microusd if microusd is None else min(ceiling.money_microusd, microusd),
    )


def overdrawn(account: Account, spent: Amount, wanted: Amount, now_s: float) -> Overdrawn | None:
    """Why `account`, which has `spent` so much, does not pay `wanted`; None when it does."""
    limit, ceiling = account.limit, account.ceiling or Amount(-1, -1, -1)
    until = None if account.day == FOR_GOOD else math.ceil((account.day + 1) * DAY_S - now_s)
    period = "" if account.day == FOR_GOOD else " today"
    for words, most, used, asked, highest in (
        ("requests", limit.requests, spent.requests, wanted.requests, ceiling.requests),
        ("tokens", limit.tokens, spent.tokens, wanted.tokens, ceiling.tokens),
        (
            "US dollars",
            limit.money_microusd,
            spent.money_microusd,
            wanted.money_microusd,
            ceiling.money_microusd,
        ),
    ):
        if used + asked > most:
            show = _dollars if words == "US dollars" else _number
            return Overdrawn(
                f"{account.whose} may use {show(most)} {words}{period}; {show(used)} are used, and "
                f"this call may need {show(asked)}",
                until,
                most == highest,
            )
    return None


def reservation(call: Call, price: Price) -> Amount:
    """What a call is taken to cost before it is made; with what it asks to be cached, as if all of
    it were."""
    if not call.endpoint.makes_tokens:
        return Amount(1)
    n_read = math.ceil(call.n_text_bytes / BYTES_PER_TOKEN)
    match call.cached_for:
        case None:
            usage = Usage(fresh=n_read, out=call.out_tokens)
        case "5m":
            usage = Usage(written=n_read, out=call.out_tokens)
        case "1h":
            usage = Usage(kept=n_read, out=call.out_tokens)
    return Amount(1, usage.tokens, cost(usage, price))


def cost(usage: Usage, price: Price) -> int:
    """Millionths of a US dollar, rounded up."""
    fresh, out, cached = price.fresh, price.out, price.cached
    if price.long is not None and usage.read > price.long.over:
        # The whole of a long request costs more, what comes from its cache in proportion.
        cached = -(-cached * price.long.fresh // fresh) if fresh else cached
        fresh, out = price.long.fresh, price.long.out
    times_a_million = (
        usage.fresh * fresh
        + usage.cached * cached
        + -(-usage.written * fresh * 5 // 4)  # writing a cache costs a quarter more
        + usage.kept * fresh * 2  # and twice as much where it is to last for an hour
        + usage.out * out
    )
    return -(-times_a_million // 1_000_000)


def settled(
    reserved: Amount, usage: Usage | None, *, complete: bool, n_answer_bytes: int, price: Price
) -> Amount:
    """What a call that reached the provider has cost.

    complete: whether its answer was seen to its end. Where it was not, or told no usage, what was
    set aside stands, or what has demonstrably come, if that is more: an agent must not use models
    for nothing by hanging up before the bill.
    """
    if usage is not None and complete:
        return Amount(1, usage.tokens, cost(usage, price))
    seen = usage or Usage()
    least = Usage(
        seen.fresh,
        seen.cached,
        seen.written,
        max(seen.out, n_answer_bytes // BYTES_PER_TOKEN if usage is None else 0),
        seen.kept,
    )
    return Amount(
        1,
        max(reserved.tokens, least.tokens),
        max(reserved.money_microusd, cost(least, price)),
    )


def _number(value: int) -> str:
    return f"{value:,}"


def _dollars(microusd: int) -> str:
    # Of less than a cent, "0.00 are used, and this call may need 0.00" would explain nothing.
    usd = microusd / 1_000_000
    return f"{usd:.2f}" if microusd % 10_000 == 0 else f"{usd:.6f}".rstrip("0")
