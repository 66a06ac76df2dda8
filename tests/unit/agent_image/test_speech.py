"""agent_image/agent/speech.py: a signer that is away is waited for; relay and signer are real."""

from __future__ import annotations

import asyncio
import os
import secrets
import signal
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from agent_image.agent import speech
from agent_image.agent.speech import SignerAway, Speaker
from nips.event import Event, Template
from nips.key import SecretKey
from nips.kinds import Kind
from nips.own.once import once_key
from relay_local.client import Caller, caller, connect
from tests.unit.agent_image.stage import Stage, a_stage


@pytest.fixture(scope="module")
async def stage() -> AsyncIterator[Stage]:
    async with a_stage() as made:
        yield made


@asynccontextmanager
async def speaking(stage: Stage, patience_s: float) -> AsyncIterator[tuple[Speaker, Event]]:
    """A session's speaker, over its own socket, and the job it speaks in."""
    request = await stage.job(await stage.ask("a question"))
    session = SecretKey.generate(secrets.token_bytes)
    await stage.grant(session, request, (9,))
    async with connect(f"unix:{stage.socket(session)}", [session]) as link:
        yield Speaker(Caller(link, session, stage.roles.signer), time.time, patience_s), request


def said(stage: Stage, request: Event, words: str, at: int | None = None) -> Template:
    tags = (("h", stage.group), ("job", request.id), ("o", once_key(request.id, words)))
    return Template(stage.roles.bot, at or int(time.time()), Kind.CHAT, tags, words)


async def test_one_that_returns_answers_the_request_that_waited(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(caller, "FIRST_RETRY_S", 600.0)
    async with speaking(stage, 60) as (speaker, request):
        await stage.signer.kill()
        speaks = asyncio.create_task(speaker.publish(said(stage, request, "patient")))
        await asyncio.wait([speaks], timeout=0.5)
        await stage.start_signer()
        event = await asyncio.wait_for(speaks, 5)
        assert await stage.published(request) == [event]


async def test_what_has_grown_too_old_is_asked_with_another_time_and_signed_once(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A stopped signer finds every request that was made meanwhile when it goes on."""
    monkeypatch.setattr(speech, "FRESH_S", 1.0)
    async with speaking(stage, 60) as (speaker, request):
        os.kill(stage.signer.running.pid, signal.SIGSTOP)
        began = int(time.time())
        speaks = asyncio.create_task(speaker.publish(said(stage, request, "late")))
        await asyncio.wait([speaks], timeout=4)
        assert not speaks.done()
        os.kill(stage.signer.running.pid, signal.SIGCONT)
        event = await asyncio.wait_for(speaks, 10)
        assert [each.id for each in await stage.published(request)] == [event.id]
        assert event.created_at >= began


async def test_a_template_that_is_too_old_for_the_signer_is_not_lost(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(speech, "FRESH_S", 1.0)
    async with speaking(stage, 60) as (speaker, request):
        await stage.signer.kill()
        old = said(stage, request, "very late", int(time.time()) - 58)
        speaks = asyncio.create_task(speaker.publish(old))
        await asyncio.wait([speaks], timeout=3)  # by now the signer would refuse it
        await stage.start_signer()
        event = await asyncio.wait_for(speaks, 10)
        assert event.created_at > old.created_at + 50


async def test_one_that_stays_away_is_told_in_time(stage: Stage) -> None:
    await stage.signer.kill()
    try:
        async with speaking(stage, 1.5) as (speaker, request):
            began = time.monotonic()
            with pytest.raises(SignerAway, match="it did not answer"):
                await speaker.publish(said(stage, request, "never"))
            assert time.monotonic() - began == pytest.approx(1.5, abs=0.5)
    finally:
        await stage.start_signer()


async def test_a_run_ends_with_a_status_of_its_own_where_the_signer_stays_away(
    stage: Stage,
) -> None:
    await stage.signer.kill()
    try:
        request = await stage.job(await stage.ask("/say never"))
        session = SecretKey.generate(secrets.token_bytes)
        await stage.grant(session, request, (9,))
        await stage.attempt(session, request)
        code, words = await (await stage.agent(session, seconds=3)).ended()
        assert code == 68
        assert words.startswith("agent: the signer signed nothing until the time was over")
        assert words.count("\n") == 1
    finally:
        await stage.start_signer()
    # A request is no letter: what was asked of nobody is not done afterwards.
    assert await stage.published(request) == []


async def test_a_run_survives_a_signer_that_is_killed_under_it(stage: Stage) -> None:
    request = await stage.job(await stage.ask("/run sleep 1; echo survived"))
    agent = await stage.agent_at_work(request)
    await stage.signer.kill()
    await asyncio.sleep(2)  # it asks, and nobody hears it
    await stage.start_signer()
    assert await agent.ended(20) == (0, "")
    assert [e.content for e in await stage.published(request)] == ["exit code 0\nsurvived"]
