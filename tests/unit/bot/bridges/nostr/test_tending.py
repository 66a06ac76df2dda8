"""What is wrong with a relay is noticed, shown, and costs nothing that the relay has."""

import asyncio
import json
from pathlib import Path

import pytest
from websockets.asyncio.server import ServerConnection, serve

from nips.event import Event
from relay_local.client import connect
from tests.relay_process import relay_process
from tests.unit.bot.bridges.nostr.foreign_relay import ForeignRelay, listening, running, wrap

PROBE_S = 0.4  # and the echo four times as long


async def test_a_relay_that_passes_on_what_it_takes_is_listened_to() -> None:
    relay = ForeignRelay(takes=True)
    async with running(relay), listening(relay.url, probe_s=PROBE_S) as said:
        health = await said.state(relay.url, "listening")
        async with asyncio.timeout(20):
            while relay.echoed < 3:
                await asyncio.sleep(0.01)
        assert len(relay.connections) == 1
        assert said.health[relay.url]["state"] == "listening"
        assert health["last_probe_s"] is not None


async def test_one_that_answers_and_passes_nothing_on_is_found_and_read_all_the_same() -> None:
    """It pongs, ends every REQ, says OK to events: only the echo tells."""
    relay = ForeignRelay(takes=True, echoes=False)
    async with running(relay), listening(relay.url, probe_s=PROBE_S) as said:
        health = await said.state(relay.url, "deaf")
        assert health["reason"] == "what it takes does not come back as it was"
        async with asyncio.timeout(20):
            while len(relay.connections) < 2:
                await asyncio.sleep(0.01)
        later = wrap(3_600)
        relay.events.append(later)
        assert await said() == later.id
        assert said.health[relay.url]["state"] == "deaf"
        relay.echoes = True
        await said.state(relay.url, "listening")
        assert len(relay.connections) == 2


async def test_one_that_takes_no_events_of_ours_is_not_blamed() -> None:
    relay = ForeignRelay()  # says nothing to an EVENT
    async with running(relay), listening(relay.url, probe_s=PROBE_S) as said:
        await said.state(relay.url, "listening")
        probes = len(relay.requests)
        async with asyncio.timeout(20):
            while len(relay.requests) < probes + 10:
                await asyncio.sleep(0.01)
        assert said.health[relay.url]["state"] == "listening"
        assert len(relay.connections) == 1


async def test_what_comes_under_the_live_subscription_shows_that_it_is_not_deaf() -> None:
    relay = ForeignRelay(takes=True, echoes=False)
    async with running(relay), listening(relay.url, probe_s=PROBE_S) as said:
        await said.state(relay.url, "deaf")
        async with asyncio.timeout(20):
            while said.health[relay.url]["state"] == "deaf":
                live = wrap()
                for connection in relay.connections[1:]:
                    for number in range(1, 60):  # under whichever name is the newest
                        text = json.dumps(["EVENT", f"live-{number}", live.to_json()])
                        await connection.send(text)
                await asyncio.sleep(0.1)


@pytest.mark.parametrize(
    ("words", "state"),
    [("rate-limited: too many", "rate-limited"), ("restricted: members only", "refused")],
)
async def test_one_that_closes_is_shown_with_its_words_and_asked_again(
    words: str, state: str
) -> None:
    relay, waiting = ForeignRelay(closes=words), wrap()
    relay.events.append(waiting)
    async with running(relay), listening(relay.url, probe_s=PROBE_S) as said:
        health = await said.state(relay.url, state)
        assert health["reason"] == words
        relay.closes = None
        assert await said() == waiting.id
        health = await said.state(relay.url, "listening")
        assert health["reconnects"] > 0


async def test_one_that_closes_what_it_has_ended_is_asked_again_in_its_time() -> None:
    """Attack: it has us ask and write to the log as fast as it answers."""
    asked = 0

    async def answer(connection: ServerConnection) -> None:
        nonlocal asked
        async for data in connection:
            match json.loads(data):
                case ["REQ", str(name), _]:
                    asked += 1
                    await connection.send(json.dumps(["EOSE", name]))
                    if name.startswith("live-"):
                        await connection.send(json.dumps(["CLOSED", name, "error: idle"]))

    async with serve(answer, "127.0.0.1", 0) as server:
        url = f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        async with listening(url) as said:
            await said.state(url, "listening")
            await asyncio.sleep(4)  # after the first comparison, which it does not answer
            before = asked
            await asyncio.sleep(3)
            assert 0 < asked - before < 20


async def test_one_that_takes_no_login_is_shown() -> None:
    relay = ForeignRelay(login_answer=(False, "restricted: not on the list"))
    relay.closes = "auth-required: log in"
    async with running(relay), listening(relay.url, probe_s=PROBE_S) as said:
        async with asyncio.timeout(20):
            while not relay.connections:
                await asyncio.sleep(0.01)
        await relay.connections[0].send(json.dumps(["AUTH", "challenge"]))
        health = await said.state(relay.url, "refused")
        assert health["reason"] in ("restricted: not on the list", relay.closes)


async def test_one_that_changes_what_others_have_sent_is_shown_once() -> None:
    """Attack: of an id that it knows the SDK does not look at the rest any more."""
    honest, liar, good, last = ForeignRelay(), ForeignRelay(), wrap(), wrap()
    async with running(honest), running(liar), listening(honest.url, liar.url) as said:
        await honest.asked()
        await liar.asked()
        await honest.send_live(good)
        assert await said() == good.id
        for _ in range(3):
            await liar.send_live(Event.from_json(good.to_json() | {"content": "changed"}))
        health = await said.state(liar.url, "forging")
        assert health["reason"] == "it sent an event with a wrong signature"
        await said.state(liar.url, "listening")
        await honest.send_live(last)
        assert await said() == last.id


async def test_one_that_is_not_there_is_down_and_comes_back() -> None:
    relay = ForeignRelay()
    async with running(relay):
        url = relay.url
    async with listening(url, probe_s=PROBE_S) as said:
        health = await said.state(url, "down")
        assert health["reason"]
        assert health["healthy_s"] is None


async def test_what_it_stores_is_compared_with_what_we_have(tmp_path: Path) -> None:
    """By negentropy, with a relay that speaks it: what is there twice is sent once."""
    wraps = [wrap(age_s) for age_s in range(0, 120_000, 600)]
    async with relay_process(tmp_path, "--open") as relay:
        async with connect(relay.url) as link:
            for event in wraps:
                assert (await link.publish(event)).accepted
        async with listening(relay.url, probe_s=PROBE_S) as said:
            assert len(await said.all_of(len(wraps))) == len(wraps)
            await said.state(relay.url, "listening")
            await relay.end()
            await said.state(relay.url, "down")
            late = wrap(90_000)
            async with relay_process(tmp_path, "--open", port=port_of(relay.url)) as again:
                async with connect(again.url) as link:
                    assert (await link.publish(late)).accepted
                assert await said() == late.id
                await said.logged("lacked=1")


def port_of(url: str) -> int:
    return int(url.rpartition(":")[2])
