"""The model proxy as a process tells a router what is used, until the router has filed it."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TypeVar

import pytest

from agent_image.agent.model import ModelRefused, Models, ModelUnavailable
from bot.requests.callers import ModelProxy, who_calls
from bot.requests.methods import Asked, Method, table
from bot.requests.reception import Reception
from nips.own import spent
from nips.own.audit_head import day_of
from nips.own.spent import ModelUse, Spent, Sum, Use
from relay_local.client import Caller, connect
from signer.model_ledger import ModelLedger
from signer.model_telling import Telling
from tests.unit.signer.house import MAIN, OTHER, House
from tests.unit.signer.models import MODEL, SCOPE, Scene, a_scene, said

T = TypeVar("T")
MESSAGES = "/v1/messages"
MODEL_KEY = MODEL.public
WORDS = "sesame opens nothing here"


class Router:
    """Answers `spent` as the router does, and remembers what it was told."""

    def __init__(self, scene: Scene) -> None:
        self._scene = scene
        self.told: list[Spent] = []
        self.answers: dict[str, str] = {}
        self._news = asyncio.Event()

    async def spent(self, asked: Asked) -> str:
        self.told.append(spent.parse(asked.params[0]))
        assert WORDS not in asked.params[0]
        self._news.set()
        return self.answers.get(self.told[-1].job, spent.NOTED)

    def of(self, job: str) -> list[Spent]:
        return [one for one in self.told if one.job == job]

    async def until(self, job: str, *, input_tokens: int, under_way: int = 0) -> Spent:
        """Wait until so much is told of a job."""
        async with asyncio.timeout(20):
            while True:
                self._news.clear()
                for one in self.of(job):
                    if (one.use.input, one.under_way) == (input_tokens, under_way):
                        return one
                await self._news.wait()

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[None]:
        key, roles = self._scene.place.house.router, self._scene.place.roles
        roles = replace(roles, model=MODEL_KEY)
        async with connect(self._scene.place.address, [key]) as link:
            reception = Reception(
                link,
                key,
                lambda caller: who_calls(caller, roles, {}),
                table([Method("spent", (ModelProxy,), self.spent)]),
                (MODEL_KEY,),
            )
            serving = asyncio.create_task(reception.serve())
            try:
                await asyncio.wait_for(reception.ready.wait(), 10)
                yield
            finally:
                serving.cancel()
                await asyncio.gather(serving, return_exceptions=True)


@pytest.fixture
async def scene(house: House) -> AsyncIterator[Scene]:
    with TemporaryDirectory(prefix="nc-") as folder:
        async with a_scene(Path(folder), house) as made:
            await made.add_both()
            yield made


def a_job() -> str:
    return secrets.token_hex(32)


async def test_each_bill_is_told_in_absolute_numbers_and_no_word_of_it(scene: Scene) -> None:
    router, job = Router(scene), a_job()
    async with router.serving():
        await scene.start_proxy()
        _, models = await scene.session(job=job)
        await models.ask(MESSAGES, said(WORDS))
        first = await router.until(job, input_tokens=11)
        assert first.models == (ModelUse("one", "echo", 1, Use(11, 4, 0, 0, 11 * 3 + 4 * 15)),)
        assert (first.group, first.day, first.exact) == (MAIN, day_of(time.time()), True)
        assert first.group_day == Sum(15, 93)
        await models.ask(MESSAGES, said(WORDS))
        second = await router.until(job, input_tokens=22)
        assert (second.group_day, second.turn_seq) == (Sum(30, 186), 1)
        assert second.conversation == second.use


async def test_it_is_told_again_until_it_is_filed_and_then_no_more(scene: Scene) -> None:
    router, job = Router(scene), a_job()
    async with router.serving():
        await scene.start_proxy()
        session, models = await scene.session(job=job)
        await models.ask(MESSAGES, said("one"))
        await router.until(job, input_tokens=11)
        router.answers[job] = spent.FILED
        await scene.revoke(session)
        async with asyncio.timeout(20):
            while len(router.of(job)) < 2:
                await asyncio.sleep(0.05)
        n_told = len(router.of(job))
        # Another job is told for as long as it takes; this one is done.
        other = a_job()
        _, models = await scene.session(job=other)
        await models.ask(MESSAGES, said("two"))
        async with asyncio.timeout(20):
            while len(router.of(other)) < 3:
                await asyncio.sleep(0.05)
        assert len(router.of(job)) == n_told


async def test_of_what_never_cost_anything_nothing_is_kept(scene: Scene, tmp_path: Path) -> None:
    """Attack: jobs without end that are refused for what they themselves may use."""
    ledger, looked = ModelLedger(tmp_path / "models.sqlite"), asyncio.Event()

    async def in_ledger(function: Callable[..., T], *arguments: object) -> T:
        found = function(*arguments)
        if arguments:
            asyncio.get_running_loop().call_soon(looked.set)
        return found

    key = scene.place.house.router
    async with connect(scene.place.address, [key]) as link:
        telling = Telling(Caller(link, key, key.public), ledger.reports, in_ledger, time.time)
        telling.changed(a_job())
        running = asyncio.create_task(telling.run())
        await asyncio.wait_for(looked.wait(), 10)
        assert telling.due == frozenset()
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
    ledger.close()


@pytest.mark.parametrize("who", ["proxy", "router"])
async def test_what_was_not_filed_is_told_after_a_kill(scene: Scene, who: str) -> None:
    router, job = Router(scene), a_job()
    proxy = await scene.start_proxy()
    _, models = await scene.session(job=job)
    if who == "proxy":
        await models.ask(MESSAGES, said("one"))
        slow = asyncio.create_task(_cut_off(models))
        async with asyncio.timeout(20):
            while not any(
                one["fields"].get("model") == "slow"
                for one in scene.provider.seen()
                if "fields" in one
            ):
                await asyncio.sleep(0.02)
        await proxy.kill()
        await slow
        await scene.start_proxy()
        async with router.serving():
            told = await router.until(job, input_tokens=11)
        # What a kill cut off stays spent, and is under way no more.
        assert not told.exact
        assert told.group_day.tokens > 15
    else:
        async with router.serving():
            await models.ask(MESSAGES, said("one"))
            await router.until(job, input_tokens=11)
        await models.ask(MESSAGES, said("two"))
        async with router.serving():
            await router.until(job, input_tokens=22)


async def _cut_off(models: Models) -> None:
    with pytest.raises(ModelUnavailable):
        async for _ in models.events(MESSAGES, said("a b c d e f g h " * 40, model="slow")):
            pass


async def test_a_days_budget_is_shared_by_two_containers_at_once(scene: Scene) -> None:
    """Set aside before anything is spent: together they never pass it."""
    router = Router(scene)
    # 100 tokens of answer and a third of the request's bytes are set aside for each.
    scope = replace(SCOPE, group_tokens_per_day=400)
    async with router.serving():
        await scene.start_proxy()
        jobs = [a_job(), a_job()]
        sessions = [await scene.session(scope, job=job) for job in jobs]
        answers = await asyncio.gather(
            *(_asked(models) for _, models in sessions for _ in range(6))
        )
        refused = [one for one in answers if one is not None]
        assert 0 < len(refused) < 12
        assert all(
            one.startswith("429: this conversation may use 400 tokens today") for one in refused
        )
        async with asyncio.timeout(20):
            while not all(
                router.of(job) and router.of(job)[-1].under_way == 0 for job in jobs
            ) or not any(one.refused for one in router.told):
                await asyncio.sleep(0.05)
        assert max(one.group_day.tokens for one in router.told) <= 400
        told = next(one.refused for one in router.told if one.refused)
        assert not told.by_ceiling
        # Another conversation has a budget of its own.
        other = replace(scope, group_tokens_per_day=400)
        _, models = await scene.session(other, group=OTHER, job=a_job())
        assert await _asked(models) is None


async def _asked(models: Models) -> str | None:
    try:
        await models.ask(MESSAGES, said("hello"))
    except ModelRefused as refused:
        return f"{refused.status}: {refused.sentence}"
    return None


async def test_without_a_router_models_are_served_all_the_same(scene: Scene) -> None:
    await scene.start_proxy()
    _, models = await scene.session(job=a_job())
    for _ in range(3):
        assert await _asked(models) is None
