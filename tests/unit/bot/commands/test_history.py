"""bot/commands/history.py over a real relay."""

from __future__ import annotations

import time
from secrets import token_bytes, token_hex

from bot.beginning import make_main
from bot.commands.history import EVENTS_A_RUN, History
from nips.event import Event
from nips.own import job as jobs
from relay_local.client import connect
from tests.unit.bot.requests.stage import House, a_house


async def begun(house: House, at: int) -> Event:
    author, main = house.author, house.roles.main
    made = await author.require(
        jobs.request(author.pubkey, main, token_hex(32), house.roles.bot, at)
    )
    await author.require(jobs.attempt(author.pubkey, main, made.id, 1, token_hex(32), at + 1))
    return made


async def done(house: House, run: Event) -> None:
    author = house.author
    at = run.created_at + 2
    await author.require(jobs.result(author.pubkey, house.roles.main, run.id, at))


async def test_a_run_of_which_much_is_said_hides_no_other() -> None:
    """Attack: somebody, or an agent, says so much about a run that the relay's answer holds
    nothing else, and what has ended looks as if it had not."""
    async with a_house() as house:
        await make_main(house.author, house.roles, house.owner.public, house.directory)
        now_s, owner = int(time.time()), house.owner
        old, loud = await begun(house, now_s - 60), await begun(house, now_s - 30)
        await done(house, old)
        async with connect(house.url, [owner]) as link:
            for number in range(3 * EVENTS_A_RUN):
                called_off = jobs.cancel(owner.public, house.roles.main, loud.id, now_s + number)
                ok = await link.publish(called_off.sign(owner, token_bytes(32)), deadline_s=10)
                assert ok.accepted, ok.message
        await done(house, loud)
        history = History(house.author, house.roles, owner.public)
        found = {run.id: run for run in await history.last_runs(10)}
    assert [found[run.id].end for run in (old, loud)] == ["done", "done"]
    assert all(len(found[run.id].begun) == 1 for run in (old, loud))


async def test_of_one_second_the_last_to_come_stands_first() -> None:
    async with a_house() as house:
        await make_main(house.author, house.roles, house.owner.public, house.directory)
        now_s = int(time.time())
        runs = [(await begun(house, now_s - 10)).id for _ in range(12)]
        earlier = (await begun(house, now_s - 20)).id  # dated before them, it came after them
        history = History(house.author, house.roles, house.owner.public)
        found = [run.id for run in await history.last_runs(20)]
        assert found == [*reversed(runs), earlier]
        runs.append((await begun(house, now_s - 10)).id)
        assert [run.id for run in await history.last_runs(1)] == runs[-1:]
