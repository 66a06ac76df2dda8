"""The program's way to a model: a real proxy and a provider behind it, an HTTP client before it."""

from __future__ import annotations

import asyncio
import tempfile
import time
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from secrets import token_bytes
from typing import Any

import httpx
import pytest

from agent_image.agent.door import MAX_BODY_BYTES, open_door
from agent_image.agent.model import Models
from nips.key import SecretKey
from tests.unit.signer.house import House
from tests.unit.signer.models import SCOPE, Scene, a_scene, said

PLACEHOLDER = {"x-api-key": "none-in-here", "x-stainless-os": "Linux"}
VERSION = {"anthropic-version": "2023-06-01", "anthropic-beta": "one,two"}


@pytest.fixture(scope="module")
async def scene() -> AsyncIterator[Scene]:
    with tempfile.TemporaryDirectory(prefix="door-") as folder:
        async with a_scene(Path(folder), House()) as made:
            await made.add_both()
            await made.start_proxy()
            yield made


@pytest.fixture
async def program(scene: Scene) -> AsyncIterator[httpx.AsyncClient]:
    """What the program is to the door: a client that knows an address and a placeholder."""
    _, models = await scene.session()
    async with (
        open_door(lambda: models) as address,
        httpx.AsyncClient(base_url=address, headers=PLACEHOLDER | VERSION, timeout=20) as client,
    ):
        yield client


def last(scene: Scene) -> dict[str, Any]:
    return [one for one in scene.provider.seen() if "path" in one][-1]


async def test_an_answer_comes_back_and_the_programs_own_headers_stay(
    scene: Scene, program: httpx.AsyncClient
) -> None:
    answer = await program.post("/v1/messages?beta=true", json=said("good morning"))
    assert answer.status_code == 200
    assert answer.json()["content"][0]["text"] == "good morning"
    seen = last(scene)
    assert seen["has_key"]  # the provider's, which the proxy put there
    assert set(VERSION) <= set(seen["headers"])
    assert "x-stainless-os" not in seen["headers"]
    # One connection serves one request after another.
    again = await program.post("/v1/messages", json=said("once more"))
    assert again.json()["content"][0]["text"] == "once more"


async def test_a_stream_passes_as_it_comes(program: httpx.AsyncClient) -> None:
    body = said(" ".join("abcdefghij"), model="slow", stream=True)
    times: list[float] = []
    async with program.stream("POST", "/v1/messages", json=body) as answer:
        async for line in answer.aiter_lines():
            times += [time.monotonic()] * line.startswith('data: {"type": "content_block_delta"')
    assert len(times) == 10
    assert times[-1] - times[0] > 0.2  # held back, they would come together


async def test_a_limit_passes_with_when_to_ask_again(program: httpx.AsyncClient) -> None:
    answer = await program.post("/v1/messages", json=said("x", model="limited"))
    assert (answer.status_code, answer.headers["retry-after"]) == (429, "7")
    assert answer.json()["error"]["type"] == "rate_limit_error"


@pytest.mark.parametrize("model", ["hangs-up", "stalls-later"])
async def test_an_answer_that_breaks_off_is_no_whole_one(
    program: httpx.AsyncClient, model: str
) -> None:
    stream = model == "stalls-later"
    try:
        answer = await program.post(
            "/v1/messages", json=said("one two three", model=model, stream=stream)
        )
    except httpx.RemoteProtocolError:
        return
    # Told in the stream, or instead of an answer: never as if it had ended well.
    assert answer.status_code >= 500 or '"error"' in answer.text
    assert "message_stop" not in answer.text


async def test_who_hangs_up_ends_the_models_work(scene: Scene, program: httpx.AsyncClient) -> None:
    body = said(" ".join(["word"] * 2_000), model="slow", stream=True)
    async with program.stream("POST", "/v1/messages", json=body) as answer:
        async for _ in answer.aiter_bytes():
            break
    async with asyncio.timeout(20):
        while not scene.provider.seen()[-1].get("gone"):
            await asyncio.sleep(0.02)  # the provider writes a line; nobody is told


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/"),
        ("POST", "/v1/complete"),
        ("HEAD", "/v1/messages"),
        ("GET", "/v1/messages/../x"),
    ],
)
async def test_nothing_else_is_served(program: httpx.AsyncClient, method: str, path: str) -> None:
    answer = await program.request(method, path)
    assert answer.status_code == 404


async def test_a_body_without_end_is_not_kept(program: httpx.AsyncClient) -> None:
    """Attack: a process in the container fills the agent's memory."""

    async def endless() -> AsyncIterator[bytes]:
        for _ in range(MAX_BODY_BYTES // 2**20 + 8):
            yield b"x" * 2**20

    with pytest.raises(httpx.TransportError):
        await program.post("/v1/messages", content=endless())


async def test_what_is_no_http_is_hung_up_on(scene: Scene) -> None:
    _, models = await scene.session()
    async with open_door(lambda: models) as address:
        reader, writer = await asyncio.open_connection("127.0.0.1", int(address.rpartition(":")[2]))
        writer.write(b"\x16\x03\x01 hello\r\n\r\n")
        assert await asyncio.wait_for(reader.read(), 10) == b""
        writer.close()


async def test_what_the_session_may_not_is_refused_through_it_too(scene: Scene) -> None:
    """Attack: a program in the container asks for a dearer model by the door."""
    _, models = await scene.session(replace(SCOPE, names=("echo",)))
    async with open_door(lambda: models) as address, httpx.AsyncClient(base_url=address) as client:
        answer = await client.post("/v1/messages", json=said("x", model="slow"), headers=VERSION)
    assert answer.status_code == 403
    assert answer.json()["error"]["message"]


async def test_without_a_proxy_it_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("agent_image.agent.model.PROXY_AWAY_S", 0.05)
    models = Models(SecretKey.generate(token_bytes), time.time, "/nowhere/model.sock")
    async with open_door(lambda: models) as address, httpx.AsyncClient(base_url=address) as client:
        answer = await client.post("/v1/messages", json=said("x"), headers=VERSION)
    assert answer.status_code == 502
    assert "no model proxy" in answer.json()["error"]["message"]
