"""Batch after batch, through everything that goes wrong with the service.

A poll that brings as many as it may ends at once; any other waits a second, as signal-cli does.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import pytest
from websockets.asyncio.server import ServerConnection, serve
from websockets.datastructures import Headers
from websockets.http11 import Request, Response

from bot.bridges.signal.service import receiving as module
from bot.bridges.signal.service.receiving import Batch, Receiving, State
from bot.bridges.signal.service.rest import Service
from bot.operate.stand_ins import signal_envelopes as made
from bot.operate.stand_ins import signal_faults as faults
from bot.operate.stand_ins.signal_service import SignalService
from tests.signal_service import ALICE, NUMBER, a_service
from tests.unit.bot.bridges.signal.raw_server import a_raw_server, whole
from tests.unit.bot.bridges.signal.service.test_transport import a_closed_port

AT = 1_700_000_000_000
PATH = f"/v1/receive/{NUMBER}"


@pytest.fixture(autouse=True)
def _short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "FIRST_PAUSE_S", 0.02)
    monkeypatch.setattr(module, "LONGEST_PAUSE_S", 0.1)


class Reader:
    """Somebody who takes batches, in a task of its own. It writes each down before the next one,
    and may be held at that: at once, or when it has so many items."""

    def __init__(self, receiving: Receiving, hold_at: int) -> None:
        self.receiving, self.batches, self._hold_at = receiving, list[Batch](), hold_at
        self.may_write = asyncio.Event()
        self.may_write.set()
        self._more = asyncio.Condition()
        self.task = asyncio.create_task(self._run())

    async def _run(self) -> None:
        async for batch in self.receiving:
            self.batches.append(batch)
            if len(self.texts) >= self._hold_at:
                self.may_write.clear()
            async with self._more:
                self._more.notify_all()
            await self.may_write.wait()

    @property
    def texts(self) -> list[str]:
        return [
            item["envelope"]["dataMessage"]["message"] for batch in self.batches for item in batch
        ]

    async def until(self, n: int) -> list[str]:
        """What came, once there is so much of it."""
        async with self._more:
            await self._more.wait_for(lambda: len(self.texts) >= n)
        return self.texts

    async def until_state(self, state: State) -> None:
        while True:
            change = self.receiving.change
            if self.receiving.health.state is state:
                return
            await change.wait()


@asynccontextmanager
async def reading(
    url: str, *, hold_at: int = 1_000, **options: float | int
) -> AsyncIterator[Reader]:
    async with Service(url) as service:
        given = {"poll_s": 0.01, "max_messages": 20, "grace_s": 0.0} | options
        receiving = Receiving(service, NUMBER, **given)  # type: ignore[arg-type]
        reader = Reader(receiving, hold_at)
        try:
            yield reader
        finally:
            reader.task.cancel()
            with suppress(asyncio.CancelledError):
                await reader.task


def words(*texts: str) -> list[made.Json]:
    return [made.said(ALICE, text, AT + n) for n, text in enumerate(texts)]


@pytest.fixture(params=["normal", "json-rpc"])
async def either(request: pytest.FixtureRequest) -> AsyncIterator[SignalService]:
    async with a_service(request.param) as stand_in:
        yield stand_in


@pytest.fixture(scope="module")
async def normal() -> AsyncIterator[SignalService]:
    """For those who take all that they push, and leave no poll under way."""
    async with a_service() as stand_in:
        yield stand_in


@pytest.fixture
async def own() -> AsyncIterator[SignalService]:
    async with a_service() as stand_in:
        yield stand_in


@pytest.mark.parametrize("mode", ["normal", "json-rpc"])
async def test_a_burst_comes_whole_and_in_order(mode: str) -> None:
    sent = [str(n) for n in range(300)]
    async with a_service(mode) as stand_in:
        if mode == "normal":
            await stand_in.push(*words(*sent))
        async with reading(stand_in.url) as reader:
            if mode == "json-rpc":  # what comes while nobody listens is lost
                await stand_in.wait_for(listening=1)
                await stand_in.push(*words(*sent))
            assert await reader.until(300) == sent
        assert all(1 <= len(batch) <= 20 for batch in reader.batches)
        counts = reader.receiving.counts
        assert (counts.received, counts.salvaged, counts.lost, counts.broken) == (300, 0, 0, 0)
        about = reader.receiving.health.about
        assert about is not None
        assert about.mode == mode


async def test_more_than_was_asked_for_comes_in_parts() -> None:
    """Attack: an answer of a hundred thousand items, all of which are dealt with in one go."""
    sent = [str(n) for n in range(45)]
    items = [{"envelope": said, "account": NUMBER} for said in words(*sent)]
    given = iter([whole(b'{"mode":"normal"}'), whole(json.dumps(items).encode())])
    async with (
        a_raw_server(lambda _: next(given, None)) as server,
        reading(server.url, max_messages=20) as reader,
    ):
        assert await reader.until(45) == sent
        assert [len(batch) for batch in reader.batches] == [20, 20, 5]


async def test_no_poll_begins_before_the_last_batch_is_written_down(normal: SignalService) -> None:
    n_polls = len(await normal.calls(PATH))
    await normal.push(*words(*"abcdef"))
    async with reading(normal.url, hold_at=6, max_messages=2) as reader:
        reader.may_write.clear()
        assert await reader.until(2) == ["a", "b"]
        assert (await normal.waiting(), len(await normal.calls(PATH)) - n_polls) == (4, 1)
        reader.may_write.set()
        assert await reader.until(6) == list("abcdef")


async def test_only_one_poll_at_a_time(normal: SignalService) -> None:
    n_polls = len(await normal.calls(PATH))
    await normal.faults(faults.held("receive", late=True))
    async with reading(normal.url, hold_at=1, max_messages=1) as reader:
        await normal.push(*words("a"))
        await normal.wait_for(held=1)
        assert len(await normal.calls(PATH)) == n_polls + 1
        await normal.release()
        assert await reader.until(1) == ["a"]


async def test_a_poll_under_way_at_the_end_is_not_broken_off(normal: SignalService) -> None:
    await normal.faults(faults.held("receive", late=True))
    await normal.push(*words("a", "b"))
    async with reading(normal.url, grace_s=60.0) as reader:
        await normal.wait_for(held=1)  # it has taken both, and not answered
        reader.task.cancel()
        await asyncio.sleep(0)
        assert not reader.task.done()
        await normal.release()
        with pytest.raises(asyncio.CancelledError):
            await reader.task
        assert reader.texts == ["a", "b"]
        assert await normal.waiting() == 0


async def test_the_end_does_not_wait_for_ever(own: SignalService) -> None:
    await own.faults(faults.held("receive"))
    async with reading(own.url, grace_s=0.05) as reader:
        await own.wait_for(held=1)
        reader.task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await reader.task
    await own.release()


async def test_the_end_between_two_polls_is_at_once(own: SignalService) -> None:
    async with reading(own.url, poll_s=1_000, grace_s=1_000) as reader:
        await reader.until_state(State.LISTENING)
        reader.task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await reader.task


async def test_noise_in_the_array_costs_nothing(normal: SignalService) -> None:
    await normal.faults(faults.noise("receive"))
    await normal.push(*words("a", "b"))
    async with reading(normal.url, hold_at=2, max_messages=2) as reader:
        assert await reader.until(2) == ["a", "b"]
        assert reader.receiving.counts.salvaged == 2


async def test_a_failure_after_the_messages_costs_nothing(normal: SignalService) -> None:
    await normal.faults(faults.exits("receive"))
    await normal.push(*words("a", "b"))
    async with reading(normal.url, hold_at=2, max_messages=2) as reader:
        assert await reader.until(2) == ["a", "b"]
        counts = reader.receiving.counts
        assert (counts.salvaged, counts.lost) == (2, 0)


async def test_what_is_broken_is_counted(normal: SignalService) -> None:
    cut = '{"envelope":{"sourceUuid":"x","dataMessage":{"message":"so'
    a, b = words("a", "b")
    await normal.push(a, {"line": cut}, b)
    async with reading(normal.url, hold_at=2, max_messages=3) as reader:
        assert await reader.until(2) == ["a", "b"]
        assert reader.receiving.counts.lost == 1


async def test_a_poll_without_an_answer_is_counted(normal: SignalService) -> None:
    await normal.faults(faults.cut(PATH, late=True))
    await normal.push(*words("a"))
    async with reading(normal.url, hold_at=1, max_messages=1) as reader:
        await reader.until_state(State.AWAY)
        await normal.push(*words("b"))
        assert await reader.until(1) == ["b"]
        assert reader.receiving.counts.broken == 1


async def test_a_refusal_is_shown_and_asked_again(normal: SignalService) -> None:
    await normal.faults(faults.refuses("receive", "User is not registered.", times=3))
    await normal.push(*words("a"))
    async with reading(normal.url, hold_at=1, max_messages=1) as reader:
        await reader.until_state(State.AWAY)
        assert reader.receiving.health.reason == (
            "The Signal service says: User is not registered."
        )
        assert await reader.until(1) == ["a"]
        assert reader.receiving.counts.broken == 0


async def test_an_outage_is_over_when_it_is_over(either: SignalService) -> None:
    async with reading(either.url, max_messages=1) as reader:
        await reader.until_state(State.LISTENING)
        since_s = reader.receiving.health.since_s
        await either.stop()
        await reader.until_state(State.AWAY)
        assert reader.receiving.health.reason
        assert reader.receiving.health.about is not None  # what it was when it was there
        await either.start()
        await reader.until_state(State.LISTENING)
        assert reader.receiving.health.since_s >= since_s
        assert reader.receiving.health.reason == ""
        await either.push(*words("a"))
        assert await reader.until(1) == ["a"]


async def test_a_service_that_is_not_there_yet_is_waited_for() -> None:
    port = a_closed_port()
    async with reading(f"http://127.0.0.1:{port}") as reader:
        assert reader.receiving.health.state is State.WAITING
        await reader.until_state(State.AWAY)
        async with a_service("json-rpc", port=port) as stand_in:
            await reader.until_state(State.LISTENING)
            await stand_in.push(*words("a"))
            assert await reader.until(1) == ["a"]


@pytest.mark.parametrize("modes", [("normal", "json-rpc"), ("json-rpc", "native")])
async def test_after_an_outage_it_may_be_in_another_mode(modes: tuple[str, str]) -> None:
    port = a_closed_port()
    async with reading(f"http://127.0.0.1:{port}", max_messages=1) as reader:
        for n, mode in enumerate(modes, 1):
            async with a_service(mode, port=port) as stand_in:
                if mode == "json-rpc":  # what comes while nobody listens is lost
                    await stand_in.wait_for(listening=1)
                await stand_in.push(*words(mode))
                assert await reader.until(n) == list(modes[:n])
            await reader.until_state(State.AWAY)


async def test_a_mode_that_is_not_known_is_said() -> None:
    about = whole(b'{"mode":"telepathy","versions":["v1"]}')
    async with a_raw_server(lambda _: about) as server, reading(server.url) as reader:
        await reader.until_state(State.AWAY)
        assert "mode" in reader.receiving.health.reason


async def test_a_slow_writer_loses_nothing_that_the_websocket_brings() -> None:
    sent = [str(n) for n in range(200)]
    async with a_service("json-rpc") as stand_in, reading(stand_in.url) as reader:
        await reader.until_state(State.LISTENING)
        reader.may_write.clear()
        await stand_in.push(*words(*sent))
        await reader.until(1)
        assert len(reader.batches) == 1
        reader.may_write.set()
        assert await reader.until(200) == sent


async def test_what_the_service_complains_of_is_no_message() -> None:
    async def answer(_: ServerConnection, request: Request) -> Response | None:
        body = b'{"mode":"json-rpc"}'
        is_about = request.path == "/v1/about"
        return Response(200, "OK", Headers({"Content-Length": "19"}), body) if is_about else None

    async def handle(connection: ServerConnection) -> None:
        await connection.send('{"error":"Invalid message"}')
        (said,) = words("a")
        await connection.send(json.dumps({"envelope": said, "account": NUMBER}))
        await connection.wait_closed()

    async with serve(handle, "127.0.0.1", 0, process_request=answer) as server:
        port = next(iter(server.sockets)).getsockname()[1]
        async with reading(f"http://127.0.0.1:{port}") as reader:
            assert await reader.until(1) == ["a"]
            assert reader.receiving.counts.lost == 0
