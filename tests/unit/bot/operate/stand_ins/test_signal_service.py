"""bot/operate/stand_ins/signal_service.py, and what only a stand-in can do.

What it does as the real service does it is asked of both in tests/signal.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator

import httpx
import pytest
from websockets.asyncio.client import connect

from bot.operate.stand_ins.signal_envelopes import said
from bot.operate.stand_ins.signal_faults import answers, cut, drops, held, refuses
from bot.operate.stand_ins.signal_service import SignalService, StandInError
from tests.signal_service import ALICE, NUMBER, a_service


@pytest.fixture(scope="module")
async def running() -> AsyncIterator[SignalService]:
    async with a_service(version="0.90") as made:
        yield made


@pytest.fixture
async def service(running: SignalService) -> SignalService:
    await running.faults()
    return running


@pytest.fixture(scope="module")
async def client(running: SignalService) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=running.url, trust_env=False) as made:
        yield made


def message(text: str) -> dict[str, object]:
    return {"number": NUMBER, "recipients": [ALICE.aci], "message": text, "text_mode": "styled"}


async def test_it_says_the_version_that_it_is_told(
    service: SignalService, client: httpx.AsyncClient
) -> None:
    assert (await client.get("/v1/about")).json()["version"] == "0.90"


async def test_it_shows_what_was_sent_as_it_came_and_as_it_went(
    service: SignalService, client: httpx.AsyncClient
) -> None:
    n = len(await service.sent())
    waiting = asyncio.create_task(service.wait_sent(n + 1))
    await client.post("/v2/send", json=message("**a**"))
    (*_, sent) = await waiting
    assert (sent["raw"], sent["message"]) == ("**a**", "a")
    (*_, call) = await service.wait_calls(1, "/v2/send")
    assert (call["method"], call["body"]["message"]) == ("POST", "**a**")


@pytest.mark.parametrize("late", [False, True])
async def test_it_hangs_up(service: SignalService, client: httpx.AsyncClient, late: bool) -> None:
    n = len(await service.sent())
    await service.faults(cut("/v2/send", late=late))
    with pytest.raises(httpx.RemoteProtocolError):
        await client.post("/v2/send", json=message("a"))
    assert len(await service.sent()) == n + late


async def test_something_else_answers_in_its_place(
    service: SignalService, client: httpx.AsyncClient
) -> None:
    await service.faults(answers("/v1/", 502, "Bad Gateway"))
    response = await client.get("/v1/about")
    assert (response.status_code, response.text) == (502, "Bad Gateway")
    assert (await client.get("/v1/about")).status_code == 200


async def test_messages_that_find_the_websocket_busy_are_dropped() -> None:
    async with a_service("json-rpc") as service:
        url = service.url.replace("http:", "ws:") + f"/v1/receive/{NUMBER}"
        async with connect(url, proxy=None) as socket:
            await service.wait_for(listening=1)
            await service.faults(drops(2))
            await service.push(*(said(ALICE, word, 1) for word in "abcd"))
            heard = [json.loads(await socket.recv()) for _ in range(2)]
        assert [one["envelope"]["dataMessage"]["message"] for one in heard] == ["c", "d"]
        await service.wait_for(listening=0)


async def test_a_fault_is_over_when_it_was_used_as_often_as_it_says(
    service: SignalService, client: httpx.AsyncClient
) -> None:
    await service.faults(refuses("send", times=2), refuses("receive", times=None))
    codes = [(await client.post("/v2/send", json=message("a"))).status_code for _ in range(3)]
    assert codes == [400, 400, 201]
    codes = [(await client.get(f"/v1/receive/{NUMBER}")).status_code for _ in range(3)]
    assert codes == [400, 400, 400]


async def test_it_is_away_and_back_on_the_same_port() -> None:
    async with (
        a_service() as service,
        httpx.AsyncClient(base_url=service.url, trust_env=False) as client,
    ):
        await service.faults(held("receive"))
        polling = asyncio.create_task(client.get(f"/v1/receive/{NUMBER}"))
        await service.wait_for(held=1)
        await service.stop()
        with pytest.raises(httpx.RequestError):
            await polling
        with pytest.raises(httpx.ConnectError):
            await client.get("/v1/health")
        await service.push(said(ALICE, "a", 1))
        await service.start()
        assert "dataMessage" in (await client.get(f"/v1/receive/{NUMBER}?max_messages=1")).text


async def test_it_says_what_is_asked_of_it_in_vain(service: SignalService) -> None:
    with pytest.raises(StandInError):
        await service.scan("+49")
    with pytest.raises(TimeoutError):
        await service.wait_sent(10_000, timeout_s=0.01)
