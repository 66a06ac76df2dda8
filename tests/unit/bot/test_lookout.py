"""bot/lookout.py with a real relay and a real signer that is killed, stopped and started again."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from secrets import token_bytes

import pytest

from bot import absence, lookout
from bot.author import Author
from bot.lookout import Lookout
from bot.operate.assembly import SOURCE_TREE
from nips.event import Event
from nips.filter import Filter
from nips.key import SecretKey
from nips.kinds import Kind
from nips.own import signer_status
from nips.own.signer_status import SignerStatus
from relay_local.client import Caller, Delivery, connect
from tests.unit.bot.bridges.nostr.stage import Stage, a_stage

OWNER = SecretKey.generate(token_bytes)


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lookout, "PERIOD_S", 0.5)
    monkeypatch.setattr(absence, "AWAY_AFTER_S", 1.5)
    monkeypatch.setattr(absence, "FIRST_HOLD_S", 1.0)


@pytest.fixture
async def stage() -> AsyncIterator[Stage]:
    async with a_stage(OWNER.public) as made:
        await made.make_main(OWNER.public)
        yield made


class Terminal:
    """Whoever reads what is said."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self._change = asyncio.Event()

    def say(self, line: str) -> None:
        self.lines.append(line)
        self._change.set()

    async def said(self, n: int) -> None:
        async with asyncio.timeout(30):
            while len(self.lines) < n:
                self._change.clear()
                await self._change.wait()


@asynccontextmanager
async def looking(stage: Stage, terminal: Terminal) -> AsyncIterator[Lookout]:
    async with connect(stage.place.relay_address, [stage.router]) as link:
        caller = Caller(link, stage.router, stage.roles.signer)
        made = Lookout(Author(link, stage.router), caller, stage.roles, terminal.say)
        running = asyncio.create_task(made.run())
        try:
            yield made
        finally:
            running.cancel()
            (ended,) = await asyncio.gather(running, return_exceptions=True)
            assert isinstance(ended, asyncio.CancelledError), ended


async def notices(stage: Stage, n: int) -> list[Event]:
    """Wait for this many; returns all that are there."""
    wanted = Filter(kinds=frozenset({9}), authors=frozenset({stage.router.public}))
    found: set[str] = set()
    async with asyncio.timeout(20), stage.link.subscribe([wanted]) as stream:
        while len(found) < n:
            if isinstance(item := await anext(aiter(stream)), Delivery):
                found.add(item.event.id)
    return await stage.link.fetch([wanted])


async def status(stage: Stage, *, away: bool) -> SignerStatus:
    """Wait for a status that says so."""
    wanted = Filter(kinds=frozenset({int(Kind.STATUS)}), authors=frozenset({stage.router.public}))
    async with asyncio.timeout(20), stage.link.subscribe([wanted]) as stream:
        async for item in stream:
            if isinstance(item, Delivery) and signer_status.parse(item.event).away is away:
                return signer_status.parse(item.event)
    raise AssertionError("the stream ended")


async def test_gone_and_back_are_each_told_once_wherever_the_owner_looks(stage: Stage) -> None:
    terminal = Terminal()
    async with looking(stage, terminal) as looks:
        assert await looks.serving(0)
        began = int(time.time())
        await stage.stop("signer", signal.SIGKILL)
        await terminal.said(1)
        assert not await looks.serving(0)
        waiting = asyncio.create_task(looks.serving(60))
        await stage.start("signer")
        await terminal.said(2)
        assert await waiting
        found = await status(stage, away=False)
    gone, back = terminal.lines
    assert "does not answer" in gone
    assert back.startswith("I can speak again. The signer was away for ")
    told = {event.content: event for event in await notices(stage, 2)}
    assert set(told) == {gone, back}
    # As a direct message it would come when it is no longer true.
    assert ("delivery", "here") in told[gone].tags
    assert ("delivery", "here") not in told[back].tags
    assert found.since_s >= began


async def test_a_stopped_process_is_away_too(stage: Stage) -> None:
    terminal = Terminal()
    pid = stage.processes["signer"].pid
    async with looking(stage, terminal):
        os.kill(pid, signal.SIGSTOP)
        await terminal.said(1)
        os.kill(pid, signal.SIGCONT)
        await terminal.said(2)
        assert len(await notices(stage, 2)) == 2


async def test_the_relay_being_away_says_nothing_of_the_signer(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Longer than the signer's link may pause before it tries the relay again.
    monkeypatch.setattr(absence, "AWAY_AFTER_S", 5.0)
    terminal = Terminal()
    async with looking(stage, terminal) as looks:
        await stage.stop("relay", signal.SIGKILL)
        assert not await said_within(terminal, 6.5)
        await stage.start("relay")
        assert not await said_within(terminal, 2.0)
        assert await looks.serving(0)


async def said_within(terminal: Terminal, seconds: float) -> bool:
    try:
        await asyncio.wait_for(terminal.said(1), seconds)
    except TimeoutError:
        return False
    return True


async def test_a_bot_that_is_started_meanwhile_tells_nothing_twice(stage: Stage) -> None:
    terminal = Terminal()
    async with looking(stage, terminal):
        await stage.stop("signer", signal.SIGKILL)
        assert len(await notices(stage, 1)) == 1
        await status(stage, away=True)
    second = Terminal()
    async with looking(stage, second) as looks:
        assert not await said_within(second, 3.0)
        assert not await looks.serving(0), "it is known from before"
        await stage.start("signer")
        await second.said(1)
        assert len(await notices(stage, 2)) == 2
        await status(stage, away=False)


async def test_a_bot_killed_before_it_could_tell_tells_at_its_next_start(stage: Stage) -> None:
    """The status is written first: with it alone, the notice is missing and is made up for."""
    await stage.stop("signer", signal.SIGKILL)
    away = SignerStatus(True, int(time.time()) - 100)
    await stage.put(signer_status.template(away, stage.router.public, "", int(time.time())))
    terminal = Terminal()
    async with looking(stage, terminal):
        assert len(await notices(stage, 1)) == 1
        await stage.start("signer")
        await terminal.said(1)
        assert len(await notices(stage, 2)) == 2


async def test_one_that_comes_and_goes_does_not_flood(stage: Stage) -> None:
    terminal = Terminal()
    async with looking(stage, terminal):
        for _ in range(4):
            os.kill(stage.processes["signer"].pid, signal.SIGSTOP)
            await asyncio.sleep(2.6)  # longer than it takes to be missed
            os.kill(stage.processes["signer"].pid, signal.SIGCONT)
            await asyncio.sleep(0.6)  # shorter than a second return has to hold
        await terminal.said(3)
    assert 3 <= len(terminal.lines) <= 4, terminal.lines


async def test_a_locked_signer_is_away_in_its_own_words_until_it_is_unlocked(stage: Stage) -> None:
    kept = stage.place.signer / "passphrase"
    passphrase = kept.read_text()
    await stage.stop("signer")
    kept.unlink()
    await stage.start("signer")
    terminal = Terminal()
    async with looking(stage, terminal) as looks:
        await terminal.said(1)
        assert "is locked; unlock it: nostrclaw key unlock. What you write" in terminal.lines[0]
        assert not await looks.serving(0)
        await unlock(stage, passphrase)
        await terminal.said(2)
        assert await looks.serving(0)
        assert len(await notices(stage, 2)) == 2


async def unlock(stage: Stage, passphrase: str) -> None:
    """As a person does whose passphrase comes through a descriptor."""
    reads, writes = os.pipe()
    os.write(writes, passphrase.encode())
    os.close(writes)
    try:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "signer", "key", "unlock",
            "--data", str(stage.place.signer), "--passphrase-fd", str(reads),
            cwd=SOURCE_TREE, pass_fds=(reads,), stderr=asyncio.subprocess.PIPE,
        )  # fmt: skip
        _, said = await asyncio.wait_for(process.communicate(), 60)
    finally:
        os.close(reads)
    assert process.returncode == 0, said.decode()
