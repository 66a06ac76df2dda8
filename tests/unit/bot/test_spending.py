"""bot/spending.py with a real relay and a real signer: the same count after any start."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from secrets import token_bytes, token_hex
from uuid import uuid4

import pytest

from bot.author import Author
from bot.budgets import UNLIMITED, Budgets, Spent, Status
from bot.groups import Group
from bot.spending import DAY_S, Spending
from nips import nip29, nip44
from nips.event import Event, Template
from nips.filter import Filter
from nips.key import SecretKey
from nips.kinds import Kind
from nips.own import cost as costs
from nips.own import job as job_events
from nips.own import spent as spendings
from nips.own.audit_head import day_of
from nips.own.binding import Binding, Budget
from nips.own.cost import Counts
from nips.own.day_budget import ALL
from nips.own.model_scope import ModelScope
from nips.own.spent import ModelUse, Sum, Use
from nips.refusal import Malformed
from relay_local.client import Caller, connect
from tests.unit.bot.bridges.nostr.stage import Stage, a_stage

OWNER = SecretKey.generate(token_bytes)
MODELS = ModelScope(("m",), 10, 1_000, 1_000)


class House:
    """A relay with groups; `now_s` may be set to any time."""

    def __init__(self, stage: Stage) -> None:
        self.stage = stage
        self.groups: dict[str, Group] = {}
        self.now_s: int | None = None

    def clock(self) -> int:
        return int(time.time()) if self.now_s is None else self.now_s

    async def group(self, budget: Budget = UNLIMITED, **fields: object) -> str:
        """A conversation with this budget."""
        made = str(uuid4())
        router = self.stage.router.public
        await self.stage.put(nip29.create_group(router, made, int(time.time())))
        bound = Binding(made, f"f-{made[:8]}", budget=budget, **fields)  # type: ignore[arg-type]
        self.groups[made] = Group(made, binding=bound, name=f"Group {made[:4]}")
        return made

    async def job(self, group: str, at_s: int | None = None) -> str:
        """A 43001; its id."""
        roles, at = self.stage.roles, self.clock() if at_s is None else at_s
        made = job_events.request(roles.router, group, token_hex(32), roles.bot, at)
        return (await self.stage.put(made)).id

    async def end(self, group: str, job: str) -> Event:
        return await self.stage.put(
            job_events.result(self.stage.roles.router, group, job, int(time.time()))
        )

    @asynccontextmanager
    async def spending(self, defaults: Budgets | None = None) -> AsyncIterator[Spending]:
        """As after a start."""
        stage = self.stage
        async with connect(stage.place.relay_address, [stage.router]) as link:
            made = Spending(
                Author(link, stage.router),
                stage.roles,
                self.groups.get,
                Caller(link, stage.router, stage.roles.signer),
                defaults or Budgets(),
                self.clock,
            )
            await made.load()
            yield made

    async def said(self, group: str, about: str = "") -> list[str]:
        """What the router has said in a group that holds these words."""
        wanted = Filter(kinds=frozenset({9}), tags={"h": frozenset({group})})
        return [e.content for e in await self.stage.link.fetch([wanted]) if about in e.content]

    async def costs(self) -> list[Event]:
        async with connect(self.stage.place.relay_address, [OWNER]) as link:
            return await link.fetch(
                [Filter(kinds=frozenset({int(Kind.COST)}), tags={"p": frozenset({OWNER.public})})]
            )


def told(group: str, job: str, tokens: int = 13, microusd: int = 63, **more: object) -> str:
    made = spendings.Spent(
        group=group,
        day=day_of(time.time()),
        group_day=Sum(tokens, microusd),
        job=job,
        models=(ModelUse("p", "m", 1, Use(5, 2, 4, 2, 63)),),
        under_way=0,
        exact=True,
        session=f"{group}/1767225600",
        turn_seq=1,
        conversation=Use(50, 20, 4, 2, 630),
    )
    return replace(made, **more).to_json()  # type: ignore[arg-type]


@pytest.fixture(scope="module")
async def stage() -> AsyncIterator[Stage]:
    async with a_stage(OWNER.public) as made:
        await made.make_main(OWNER.public)
        yield made


@pytest.fixture
def house(stage: Stage) -> House:
    return House(stage)


async def test_runs_are_the_jobs_of_the_day_and_a_restart_counts_alike(house: House) -> None:
    group, other = await house.group(Budget(runs=3)), await house.group(Budget(runs=3))
    async with house.spending() as spending:
        for _ in range(2):
            job = await house.job(group)
            for _ in range(3):  # told again, it is still one
                spending.began(group, job, house.clock())
        before = spending.status(group)
        assert spending.why_not(group) is None
    await house.job(group, house.clock() - DAY_S)
    async with house.spending() as spending:
        assert spending.status(group) == before
        assert before == [Status(group, Budget(runs=3), Spent(runs=2))]
        spending.began(group, await house.job(group), house.clock())
        assert spending.why_not(group) == "3 of 3 runs"
        assert spending.why_not(other) is None


async def test_a_new_day_begins_at_nothing(house: House) -> None:
    group = await house.group(Budget(runs=1, tokens=10))
    today = house.clock()
    house.now_s = yesterday = today - DAY_S
    async with house.spending() as spending:
        job = await house.job(group)
        spending.began(group, job, house.clock())
        await spending.hear(told(group, job, 9, 9, day=day_of(yesterday)))
        assert spending.status(group)[0].spent == Spent(1, 9, 9)
        assert spending.why_not(group) == "1 of 1 runs"
        house.now_s = today
        assert spending.why_not(group) is None
        assert spending.status(group)[0].spent == Spent()
        # What the proxy tells late of a day that is over is not today's, and undoes nothing of it.
        await spending.hear(told(group, job, 7, 7))
        await spending.hear(told(group, job, 9, 9, day=day_of(yesterday)))
        assert spending.status(group)[0].spent == Spent(0, 7, 7)
    async with house.spending() as again:
        assert again.status(group)[0].spent == Spent(0, 7, 7)


async def test_tokens_and_money_are_as_told_last_and_survive_a_restart(house: House) -> None:
    group = await house.group(Budget(tokens=100, microusd=1_000))
    job = await house.job(group)
    async with house.spending() as spending:
        for tokens in (90, 60, 70):  # what was set aside comes back
            assert await spending.hear(told(group, job, tokens, 500)) == "noted"
        assert spending.status(group)[0].spent == Spent(1, 70, 500)
        assert spending.why_not(group) is None
        await spending.hear(told(group, job, 120, 500))
        assert spending.why_not(group) == "120 of 100 tokens"
    async with house.spending() as again:
        assert again.why_not(group) == "120 of 100 tokens"
        assert again.status(group)[0].spent == Spent(1, 120, 500)


async def test_reached_it_is_told_there_once_and_the_owner_is_asked_once(house: House) -> None:
    group = await house.group(Budget(runs=0))
    main = house.stage.roles.main
    author = SecretKey.generate(token_bytes)
    message = Template(author.public, int(time.time()), 9, (("h", group),), "hello").sign(
        author, token_bytes(32)
    )
    for _ in range(2):
        async with house.spending() as spending:
            assert spending.why_not(group) == "0 of 0 runs"
            for _ in range(3):
                await spending.tell(group, message)
    (there,) = await house.said(group)
    assert "0 of 0 runs" in there
    (asked,) = await house.said(main, f"Group {group[:4]}")
    assert f"/budget Group {group[:4]} runs +10" in asked


async def test_the_last_message_that_made_a_job_is_not_told_that_it_made_none(
    house: House,
) -> None:
    """After a crash it is read again, when the budget has been used up by itself."""
    group = await house.group(Budget(runs=1))
    author = SecretKey.generate(token_bytes)
    message = Template(author.public, int(time.time()), 9, (("h", group),), "hello").sign(
        author, token_bytes(32)
    )
    roles = house.stage.roles
    await house.stage.put(
        job_events.request(roles.router, group, message.id, roles.bot, house.clock())
    )
    async with house.spending() as spending:
        assert spending.why_not(group) == "1 of 1 runs"
        await spending.tell(group, message)
        assert await house.said(group) == []


async def test_a_raise_is_for_today_once_and_survives_a_restart(house: House) -> None:
    group = await house.group(Budget(runs=0))
    async with house.spending() as spending:
        await spending.tell(group)
        for _ in range(2):
            status = await spending.raise_today(group, once="the message", runs=1)
        assert status == Status(group, Budget(runs=1), Spent(), Budget(1, 0, 0))
        assert spending.why_not(group) is None
    async with house.spending() as spending:
        await spending.raise_today(group, once="the message", runs=1)
        assert spending.why_not(group) is None
        spending.began(group, await house.job(group), house.clock())
        assert spending.why_not(group) == "1 of 1 runs"
        await spending.tell(group)  # said again, since the owner had allowed more
        await spending.tell(group)
        assert len(await house.said(group)) == 2
        house.now_s = house.clock() + DAY_S
        assert spending.status(group)[0].limit == Budget(runs=0)


async def test_a_raise_and_what_was_used_do_not_undo_each_other(house: House) -> None:
    group = await house.group(Budget(tokens=10))
    job = await house.job(group)
    async with house.spending() as spending:
        await asyncio.gather(
            *(spending.hear(told(group, job, n)) for n in range(11, 16)),
            *(spending.raise_today(group, once=f"{n}", tokens=1) for n in range(5)),
        )
        assert spending.status(group) == [
            Status(group, Budget(tokens=15), Spent(1, 15, 63), Budget(0, 5, 0))
        ]
    async with house.spending() as again:
        assert again.why_not(group) == "15 of 15 tokens"


async def test_the_settings_bound_who_has_no_budget_and_all_together(house: House) -> None:
    group, free = await house.group(), await house.group(Budget(runs=10**6))
    async with house.spending(Budgets(Budget(runs=1), Budget(tokens=10**9))) as spending:
        spending.began(group, await house.job(group), house.clock())
        assert spending.why_not(group) == "1 of 1 runs"
        assert spending.why_not(free) is None
    used = spending.status(ALL)[0].spent
    async with house.spending(Budgets(UNLIMITED, Budget(runs=used.runs))) as spending:
        assert spending.why_not(free) == f"{used.runs} of {used.runs} runs"
        await spending.tell(free)
        assert "all my conversations together" in (await house.said(free))[0]
        await spending.raise_today(ALL, once=token_hex(8), runs=1)
        assert spending.why_not(free) is None


async def test_a_session_carries_the_days_limits(house: House) -> None:
    group = await house.group(Budget(tokens=100), models=("m",))
    async with house.spending(Budgets(UNLIMITED, Budget(microusd=7))) as spending:
        await spending.raise_today(group, once="a", tokens=11)
        assert spending.scope(group, MODELS) == replace(
            MODELS, group_tokens_per_day=111, microusd_per_day=7
        )
        house.groups[group] = replace(
            house.groups[group], binding=Binding(group, "f", models=("other",))
        )
        assert spending.scope(group, MODELS) is None


async def test_a_refused_call_is_told_to_the_owner_once(house: House) -> None:
    group = await house.group(Budget(tokens=10))
    refused = spendings.Refused(False, "this conversation may use 10 tokens today; 9 are used")
    job = await house.job(group)
    async with house.spending() as spending:
        for _ in range(2):
            assert await spending.hear(told(group, job, 9, refused=refused)) == "noted"
    (asked,) = await house.said(house.stage.roles.main, f"Group {group[:4]}")
    assert f"/budget Group {group[:4]} tokens +N" in asked


async def test_a_jobs_cost_is_filed_at_its_end_once_for_the_owner(house: House) -> None:
    group = await house.group()
    job = await house.job(group)
    before = {event.id for event in await house.costs()}
    async with house.spending() as spending:
        assert await spending.hear(told(group, job)) == "noted"
        assert {event.id for event in await house.costs()} == before
        end = await house.end(group, job)
        assert await spending.hear(told(group, job, under_way=1)) == "noted"
        for _ in range(2):
            assert await spending.hear(told(group, job)) == "filed"
    async with house.spending() as again:  # the answer was lost, and the bot died
        assert await again.hear(told(group, job)) == "filed"
    (event,) = [event for event in await house.costs() if event.id not in before]
    bot = house.stage.roles.bot
    assert (event.pubkey, event.values("agent"), event.values("h")) == (bot, [bot], [])
    read = nip44.decrypt(event.content, nip44.conversation_key(OWNER, bot))
    cost = costs.parse(read)
    assert (cost.job, cost.group, cost.model, cost.stop_reason) == (job, group, "m", "end_turn")
    assert cost.turn == Counts(11, 2, 4, 2, 63)
    assert cost.cumulative == Counts(56, 20, 4, 2, 630)
    assert cost.ended_at == end.created_at
    assert json.loads(read)["turn"]["totalTokens"] is None


async def test_a_turn_that_was_not_told_to_its_end_claims_no_tokens(house: House) -> None:
    group = await house.group()
    job = await house.job(group)
    await house.end(group, job)
    before = {event.id for event in await house.costs()}
    async with house.spending() as spending:
        assert await spending.hear(told(group, job, exact=False)) == "filed"
    (event,) = [event for event in await house.costs() if event.id not in before]
    key = nip44.conversation_key(OWNER, house.stage.roles.bot)
    cost = costs.parse(nip44.decrypt(event.content, key))
    assert cost.turn == Counts(None, None, None, None, 63)
    assert not cost.exact


async def test_a_job_that_used_nothing_costs_nothing(house: House) -> None:
    group = await house.group()
    job = await house.job(group)
    await house.end(group, job)
    before = len(await house.costs())
    async with house.spending() as spending:
        assert await spending.hear(told(group, job, 0, 0, models=())) == "filed"
    assert len(await house.costs()) == before


async def test_a_call_for_an_end_is_none(house: House) -> None:
    """The owner cancels: until the router has written the end, its container may still ask."""
    group = await house.group()
    job = await house.job(group)
    roles = house.stage.roles
    await house.stage.put(
        Template(roles.router, int(time.time()), Kind.JOB_CANCEL, (("h", group), ("e", job)), "")
    )
    async with house.spending() as spending:
        assert await spending.hear(told(group, job)) == "noted"


async def test_without_the_signer_it_is_filed_later(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bot.filing.ANSWER_S", 1.0)
    group = await house.group()
    job = await house.job(group)
    await house.end(group, job)
    before = len(await house.costs())
    await house.stage.stop("signer")
    async with house.spending() as spending:
        assert await spending.hear(told(group, job)) == "noted"
        await house.stage.start("signer")
        monkeypatch.setattr("bot.filing.ANSWER_S", 20.0)
        assert await spending.hear(told(group, job)) == "filed"
    assert len(await house.costs()) == before + 1


async def test_while_nobody_owns_the_assistant_its_cost_waits() -> None:
    async with a_stage(None) as stage:
        await stage.make_main(OWNER.public)
        house = House(stage)
        group = await house.group()
        job = await house.job(group)
        await house.end(group, job)
        async with house.spending() as spending:
            assert await spending.hear(told(group, job)) == "noted"


async def test_what_is_not_its_form_changes_nothing(house: House) -> None:
    group = await house.group()
    async with house.spending() as spending:
        before = spending.status()
        with pytest.raises(Malformed):
            await spending.hear(told(group, "ab" * 32).replace('"under_way":0', '"under_way":-1'))
        assert spending.status() == before
