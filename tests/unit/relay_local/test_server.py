"""Real sockets: TCP, Unix, HTTP; what one client does to another."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, suppress
from dataclasses import replace
from typing import Any

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

from nips.kinds import Kind
from relay_local import crowd, outbox, peer, search, store
from relay_local.connection import MAX_FRAME_BYTES
from relay_local.limits import Limits
from relay_local.relay import RelaySettings, RunningRelay, running
from tests.unit.relay_local.cast import (
    BOT,
    BRIDGE,
    MAIN,
    MEMBER,
    OWNER,
    PUPPET,
    ROUTER,
    SIGNER,
    STRANGER,
    binding_event,
    put_user,
)
from tests.unit.relay_local.wire import Wire, signed, wire

H = ("h", MAIN)


async def furnish(relay: RunningRelay) -> None:
    """A main group with a member and a puppet."""
    async with wire(relay.url, ROUTER) as router:
        await router.keep(
            signed(ROUTER, Kind.CREATE_GROUP, H), put_user(MAIN, MEMBER, "member"),
            put_user(MAIN, OWNER, "owner"), binding_event(MAIN),
        )  # fmt: skip


async def http(url: str, request: str) -> tuple[str, dict[str, str], bytes]:
    host, port = url.removeprefix("ws://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(request.encode())
    whole = await asyncio.wait_for(reader.read(), 10)
    writer.close()
    head, _, body = whole.partition(b"\r\n\r\n")
    status, *lines = head.decode().split("\r\n")
    return status, dict(line.split(": ", 1) for line in lines), body


async def test_http_on_the_same_port(relay: RunningRelay) -> None:
    get = "GET / HTTP/1.1\r\nHost: relay\r\n"
    status, headers, body = await http(relay.url, get + "Accept: application/nostr+json\r\n\r\n")
    assert status == "HTTP/1.1 200 OK"
    assert headers["Access-Control-Allow-Origin"] == "*"
    assert json.loads(body)["limitation"]["auth_required"] is True
    status, _, body = await http(relay.url, get + "\r\n")
    assert b"Nostr relay" in body
    status, headers, body = await http(relay.url, "OPTIONS / HTTP/1.1\r\nHost: relay\r\n\r\n")
    assert status == "HTTP/1.1 204 No Content"
    assert "Access-Control-Allow-Methods" in headers
    status, _, _ = await http(relay.url, "DELETE / HTTP/1.1\r\nHost: relay\r\n\r\n")
    assert status.startswith("HTTP/1.1 405")


@pytest.mark.parametrize("over", ["tcp", "unix"])
async def test_a_message_from_a_puppet_reaches_the_router(relay: RunningRelay, over: str) -> None:
    await furnish(relay)
    assert relay.unix is not None
    address = relay.url if over == "tcp" else relay.unix
    async with wire(address, ROUTER) as router, wire(address, BRIDGE, PUPPET) as bridge:
        assert await router.req("in", {"kinds": [9], "after_seq": 0}) == []
        await bridge.keep(put_user(MAIN, PUPPET, "puppet", BRIDGE))
        message = signed(PUPPET, 9, H, ("-",), ("o", "once"), content="hello")
        await bridge.keep(message)
        frame = await router.hear()
        assert frame[:3] == ["EVENT", "in", message.to_json()]
        assert isinstance(frame[3], int)
        accepted, why = await bridge.put(signed(PUPPET, 9, H, ("o", "once"), content="again"))
        assert accepted
        assert why.startswith("duplicate: ")


async def test_the_ok_comes_after_the_event_is_queued(relay: RunningRelay) -> None:
    """One connection that writes and listens sees its own event before its OK."""
    async with wire(relay.url, OWNER) as owner:
        await owner.req("a", {"kinds": [1]})
        for number in range(20):
            new = signed(OWNER, 1, content=str(number))
            await owner.say("EVENT", new.to_json())
            assert (await owner.hear())[:2] == ["EVENT", "a"]
            assert (await owner.hear())[:3] == ["OK", new.id, True]


async def test_a_wrong_signature_and_id(relay: RunningRelay) -> None:
    async with wire(relay.url, OWNER) as owner:
        for change in ({"content": "other"}, {"sig": "0" * 128}, {"pubkey": MEMBER.public}):
            forged = signed(OWNER, 1).to_json() | change
            await owner.say("EVENT", forged)
            frame = await owner.hear()
            assert frame[:3] == ["OK", forged["id"], False]
            assert frame[3].startswith("invalid: ")


async def test_the_connection_outlives_what_is_wrong(relay: RunningRelay) -> None:
    async with wire(relay.url, OWNER) as owner:
        await owner.socket.send("not JSON")
        assert (await owner.hear())[0] == "NOTICE"
        await owner.socket.send(b"\x00\xff")
        assert (await owner.hear())[0] == "NOTICE"
        await owner.socket.send('["REQ","' + "x" * MAX_FRAME_BYTES + '",{}]')
        assert (await owner.hear())[0] == "NOTICE"
        await owner.keep(signed(OWNER, 1))


async def test_newest_first_and_limits(public: RunningRelay) -> None:
    from nips.event import Template

    async with wire(public.url) as client:
        events = [
            Template(STRANGER.public, 1_000 + n // 2, 1, (), str(n)).sign(STRANGER, bytes(32))
            for n in range(20)
        ]
        await client.keep(*events)
        order = [e.id for e in sorted(events, key=lambda e: (-e.created_at, e.id))]
        assert [e["id"] for e in await client.req("a", {"kinds": [1]})] == order
        assert [e["id"] for e in await client.req("a", {"limit": 5})] == order[:5]
        assert await client.req("a", {"limit": 0}) == []
        # Two filters that match the same events, and one that matches others.
        both = await client.req("a", {"limit": 3}, {"limit": 5}, {"ids": [order[9]]})
        assert [e["id"] for e in both] == [*order[:5], order[9]]
        within = await client.req("a", {"since": 1_003, "until": 1_004})
        assert {e["created_at"] for e in within} == {1_003, 1_004}


async def test_a_filter_without_limit_has_one(
    public: RunningRelay, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(search, "DEFAULT_LIMIT", 7)
    monkeypatch.setattr(search, "MAX_LIMIT", 9)
    async with wire(public.url) as client:
        await client.keep(*[signed(STRANGER, 1, content=str(n)) for n in range(12)])
        assert len(await client.req("a", {})) == 7
        assert len(await client.req("a", {"limit": 1_000})) == 9


async def test_ephemeral_events_are_heard_and_not_kept(relay: RunningRelay) -> None:
    await furnish(relay)
    async with wire(relay.url, MEMBER) as member, wire(relay.url, OWNER) as owner:
        await owner.req("a", {"kinds": [Kind.TYPING]})
        typing = signed(MEMBER, Kind.TYPING, H)
        await member.keep(typing)
        assert (await owner.hear())[2]["id"] == typing.id
        assert await owner.req("b", {"kinds": [Kind.TYPING]}) == []


async def test_strangers_ask_the_signer_and_hear_its_answer(relay: RunningRelay) -> None:
    async with wire(relay.url) as stranger, wire(relay.url, SIGNER) as signer:
        await signer.req("in", {"kinds": [24_133], "#p": [SIGNER.public]})
        await stranger.req("in", {"kinds": [24_133], "#p": [STRANGER.public]})
        request = signed(STRANGER, 24_133, ("p", SIGNER.public), content="x")
        await stranger.keep(request)
        assert (await signer.hear())[2] == request.to_json()
        answer = signed(SIGNER, 24_133, ("p", STRANGER.public), content="y")
        await signer.keep(answer)
        assert (await stranger.hear())[2] == answer.to_json()


async def test_nothing_is_missing_and_nothing_twice_between_stored_and_live(
    public: RunningRelay,
) -> None:
    """Subscriptions begin in the middle of a stream of events."""
    events = [signed(STRANGER, 1, content=str(n)) for n in range(400)]

    async def write() -> None:
        async with wire(public.url) as writer:
            for new in events:
                await writer.say("EVENT", new.to_json())
                if int(new.content) % 20 == 0:
                    await asyncio.sleep(0.002)
            for _ in events:
                await writer.hear()

    async def read(delay_s: float) -> list[str]:
        await asyncio.sleep(delay_s)
        async with wire(public.url) as reader:
            await reader.say("REQ", "a", {"kinds": [1], "limit": 5_000})
            got: list[str] = []
            while len(got) < len(events):
                frame = await reader.hear()
                if frame[0] == "EVENT":
                    got.append(frame[2]["id"])
            await reader.say("CLOSE", "a")
            await reader.say("REQ", "b", {"limit": 0})
            while (frame := await reader.hear())[:2] == ["EOSE", "a"]:
                continue  # all of them were stored when the REQ came
            assert frame[:2] == ["EOSE", "b"]
            return got

    seen = await asyncio.gather(write(), *(read(n * 0.01) for n in range(10)))
    for got in seen[1:]:
        assert got is not None
        assert sorted(got) == sorted(event.id for event in events)


async def test_places_are_kept_by_arrival(
    relay: RunningRelay, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(search, "ORDERED_PAGE", 7)
    await furnish(relay)
    async with wire(relay.url, ROUTER) as router, wire(relay.url, MEMBER) as member:
        sent = [signed(MEMBER, 9, H, content=str(n)) for n in range(30)]
        await member.keep(*sent)

        async def from_(
            after: int, *filters: dict[str, object]
        ) -> tuple[list[str], dict[str, int]]:
            asked = [{**one, "after_seq": after} for one in filters]
            await router.say("REQ", "a", *asked)
            got = []
            while (frame := await router.hear())[0] == "EVENT":
                got.append((frame[3], frame[2]["content"]))
            assert got == sorted(got)
            return [content for _, content in got], frame[2]

        contents, place = await from_(0, {"kinds": [9]})
        assert contents == [str(n) for n in range(30)]
        assert set(place) == {"epoch", "seq"}
        assert (await from_(place["seq"], {"kinds": [9]}))[0] == []
        odd = [event.id for event in sent[1::2]]
        contents, _ = await from_(0, {"kinds": [9], "until": 2**40}, {"ids": odd})
        assert contents == [str(n) for n in range(30)]
        await member.keep(signed(MEMBER, 9, H, content="next"))
        assert (await router.hear())[2]["content"] == "next"


async def test_a_slow_reader_is_cut_and_nobody_waits_for_it(
    public: RunningRelay, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outbox, "MAX_WAITING_BYTES", 1 << 20)
    slow = await connect(public.url, max_queue=1, max_size=None)
    try:
        await slow.recv()
        await slow.send('["REQ","a",{"kinds":[1]}]')
        await slow.recv()
        slow.transport.pause_reading()
        async with wire(public.url) as reader, wire(public.url) as writer:
            await reader.req("a", {"kinds": [1]})
            slowest_s = 0.0
            for number in range(200):
                new = signed(STRANGER, 1, content=f"{number}" + "x" * 60_000)
                before = time.perf_counter()
                await writer.keep(new)
                assert (await reader.hear())[2]["id"] == new.id
                slowest_s = max(slowest_s, time.perf_counter() - before)
            assert slowest_s < 5
        slow.transport.resume_reading()

        async def drain() -> None:
            while True:
                await slow.recv()

        with pytest.raises(ConnectionClosed):
            await asyncio.wait_for(drain(), 20)
    finally:
        await slow.close()


async def test_a_large_store_is_read_at_the_readers_pace(
    public: RunningRelay, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Stored events beyond the bound of what may wait do not end a connection that pauses."""
    monkeypatch.setattr(outbox, "MAX_WAITING_BYTES", 1 << 20)
    async with wire(public.url) as writer, wire(public.url) as pausing:
        many = [signed(STRANGER, 1, content=f"{n}" + "x" * 60_000) for n in range(300)]
        for new in many:
            await writer.say("EVENT", new.to_json())
        for _ in many:
            assert (await writer.hear())[2] is True
        pausing.socket.transport.pause_reading()
        await pausing.say("REQ", "a", {"kinds": [1]})
        # As long as another needs to read it all, whoever pauses has been overrun or spared.
        assert len(await writer.req("a", {"kinds": [1]})) == 300
        pausing.socket.transport.resume_reading()
        found = 0
        while (await pausing.hear())[0] == "EVENT":
            found += 1
        assert found == 300


async def test_reqs_without_end_leave_the_store_to_others(
    relay: RunningRelay, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Attack: REQs faster than they are answered."""
    under_way, most = 0, 0

    async def counted(*given: Any) -> AsyncIterator[list[tuple[int, bytes]]]:
        nonlocal under_way, most
        under_way += 1
        most = max(most, under_way)
        try:
            async for page in search.pages(*given):
                yield page
        finally:
            under_way -= 1

    await furnish(relay)
    monkeypatch.setattr(peer, "pages", counted)
    async with wire(relay.url, MEMBER) as flood, wire(relay.url, OWNER) as owner:
        for number in range(1_000):
            await flood.say("REQ", str(number % 100), {"kinds": [9, number]})
        assert [e["kind"] for e in await owner.req("a", {"kinds": [39_000]})] == [39_000]
        answered = 0
        async with asyncio.timeout(30):
            while (await flood.hear())[1] != "99" or answered < 9:
                answered += 1
    assert most <= peer.MAX_SEARCHES + 1


async def test_connections_over_tcp_leave_room_for_the_parts(
    settings: RelaySettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Attack: somebody else on this machine opens connections until no descriptor is left."""
    monkeypatch.setattr(crowd, "tcp_connections", lambda: 20)
    async with running(settings) as relay:
        assert relay.unix is not None
        host, port = relay.url.removeprefix("ws://").split(":")
        opened = [await asyncio.open_connection(host, int(port)) for _ in range(40)]
        try:
            ended = await asyncio.wait(
                [asyncio.create_task(reader.read(1)) for reader, _ in opened], timeout=1
            )
            assert len(ended[0]) == 20
            async with wire(relay.unix, ROUTER) as router:
                await router.req("a", {"kinds": [9]})
        finally:
            for task in ended[1]:
                task.cancel()
            for _, writer in opened:
                writer.close()


async def test_gift_wraps_on_a_public_relay(public: RunningRelay) -> None:
    wrap = signed(STRANGER, 1059, ("p", OWNER.public))
    async with wire(public.url) as nobody, wire(public.url, MEMBER) as other:
        await nobody.req("all", {"limit": 0})
        await other.req("all", {"limit": 0})
        async with wire(public.url, OWNER) as owner:
            await owner.req("a", {"kinds": [1059]})
            await nobody.keep(wrap)
            assert (await owner.hear())[2] == wrap.to_json()
            assert await owner.req("b", {"#p": [OWNER.public]}) == [wrap.to_json()]
        await nobody.say("REQ", "a", {"kinds": [1059], "#p": [OWNER.public]})
        frame = await nobody.hear()
        assert frame[:2] == ["CLOSED", "a"]
        assert frame[2].startswith("auth-required: ")
        assert await nobody.req("b", {"ids": [wrap.id]}) == []
        assert await other.req("b", {"kinds": [1059]}) == []
        # Neither heard it live: what comes next is what comes next.
        await other.say("CLOSE", "b")
        note = signed(STRANGER, 1)
        await nobody.say("EVENT", note.to_json())
        assert (await nobody.hear())[2]["id"] == note.id
        assert (await other.hear())[2]["id"] == note.id


async def test_a_bots_event_comes_by_the_signer_alone(relay: RunningRelay) -> None:
    await furnish(relay)
    said = signed(BOT, 9, H, content="hi")
    async with wire(relay.url, OWNER) as owner, wire(relay.url, SIGNER) as signer:
        accepted, why = await owner.put(said)
        assert not accepted
        assert why.startswith("restricted: ")
        await signer.keep(said)


async def test_the_world_is_the_same_after_a_restart(settings: RelaySettings) -> None:
    async with running(settings) as relay:
        await furnish(relay)
        world, last = relay.ingest.world, relay.ingest.last_seq
    async with running(settings) as relay:
        assert relay.ingest.world == world
        assert relay.ingest.last_seq == last
        async with wire(relay.url, MEMBER) as member:
            found = await member.req("a", {"kinds": [39_002]})
            assert {tag[1] for tag in found[0]["tags"] if tag[0] == "p"} == {
                MEMBER.public, OWNER.public,
            }  # fmt: skip


async def test_what_expires_is_gone_the_second_it_does(settings: RelaySettings) -> None:
    clock = [int(time.time())]
    async with running(settings, lambda: clock[0]) as relay, wire(relay.url, OWNER) as owner:
        await owner.keep(signed(OWNER, 1, ("expiration", str(clock[0] + 60))))
        assert len(await owner.req("a", {"kinds": [1]})) == 1
        clock[0] += 60
        assert await owner.req("a", {"kinds": [1]}) == []


async def test_many_connections(public: RunningRelay) -> None:
    """A note reaches two hundred readers."""
    async with asyncio.timeout(60):
        clients: list[Wire] = []
        sockets = await asyncio.gather(*(connect(public.url) for _ in range(200)))
        for socket in sockets:
            client = Wire(socket, public.url)
            await client.hear()
            clients.append(client)
        await asyncio.gather(*(client.req("a", {"kinds": [1]}) for client in clients))
        note = signed(STRANGER, 1)
        await clients[0].say("EVENT", note.to_json())
        heard = await asyncio.gather(*(client.hear() for client in clients))
        assert all(frame[2]["id"] == note.id for frame in heard)
        await asyncio.gather(*(socket.close() for socket in sockets))


async def test_who_stays_without_authenticating_is_shown_out(settings: RelaySettings) -> None:
    """Idle connections that say nothing would use up every descriptor; a client that listens
    for the signer's answers needs no AUTH and stays."""
    short = replace(settings, limits=Limits(unauthenticated_s=0.2))
    listening: dict[str, object] = {"kinds": [24_133], "#p": [STRANGER.public]}
    async with (
        running(short) as relay,
        wire(relay.url, OWNER) as member,
        wire(relay.url) as client,
    ):
        await client.req("a", listening)
        async with wire(relay.url) as idle:
            with pytest.raises(ConnectionClosed) as ended:
                await idle.hear()
            assert ended.value.rcvd is not None
            assert ended.value.rcvd.code == 1008
        assert await client.req("a", listening) == []
        assert await member.req("a", {}) == []


async def test_one_address_has_so_many_connections(settings: RelaySettings) -> None:
    few = replace(settings, limits=Limits(max_connections=2))
    assert settings.unix is not None
    async with running(few) as relay:
        async with wire(relay.url), wire(relay.url):
            async with connect(relay.url) as third:
                with pytest.raises(ConnectionClosed) as ended:
                    await third.recv()
                assert ended.value.rcvd is not None
                assert ended.value.rcvd.code == 1013
            async with wire(settings.unix):  # the house's own way in is none of them
                pass
        while True:  # the relay learns of the ends a moment later
            async with connect(relay.url) as again:
                try:
                    assert json.loads(await again.recv())[0] == "AUTH"
                except ConnectionClosed:
                    continue
                break


async def test_a_graceful_stop_answers_what_it_took_in(settings: RelaySettings) -> None:
    events = [signed(OWNER, 1, content=str(n)) for n in range(300)]
    oks: list[str] = []
    stack = AsyncExitStack()
    relay = await stack.enter_async_context(running(settings))
    async with wire(relay.url, OWNER) as owner:
        for one in events:
            await owner.say("EVENT", one.to_json())
        assert (await owner.hear())[2] is True

        async def rest() -> None:
            with suppress(ConnectionClosed):
                while True:
                    frame = await owner.hear()
                    assert frame[2] is True
                    oks.append(frame[1])

        reading = asyncio.create_task(rest())
        await stack.aclose()
        await reading
    async with running(settings) as relay, wire(relay.url, OWNER) as owner:
        kept = {one["id"] for one in await owner.req("a", {"kinds": [1]})}
    # Nothing that was stored went unanswered, and nothing was answered that is not there.
    assert kept == {events[0].id, *oks}


async def test_an_invited_person_joins_over_the_wire(relay: RunningRelay) -> None:
    """From the code to the first message, heard live by both sides, and out again."""
    await furnish(relay)
    async with wire(relay.url, OWNER) as owner, wire(relay.url, STRANGER) as guest:
        await owner.keep(signed(OWNER, 9009, H, ("code", "come in, please")))
        await guest.say("REQ", "told", {"kinds": [44_100, 44_101], "#p": [STRANGER.public]})
        assert (await guest.hear())[:2] == ["CLOSED", "told"]  # nobody here yet
        accepted, message = await guest.put(signed(STRANGER, 9021, H, ("code", "a wrong code")))
        assert (accepted, message.split(":")[0]) == (False, "restricted")
        await guest.keep(signed(STRANGER, 9021, H, ("code", "come in, please")))
        told = await guest.req("told", {"kinds": [44_100, 44_101], "#p": [STRANGER.public]})
        assert [one["kind"] for one in told] == [44_100]
        for asked in ({"#d": [MAIN]}, {"#h": [MAIN]}):
            state = await guest.req("state", {"kinds": [39_000, 39_001, 39_002, 39_003], **asked})
            assert {one["kind"] for one in state} == {39_000, 39_001, 39_002, 39_003}
        await owner.req("live", {"kinds": [9, 9001, 39_002], "#h": [MAIN], "limit": 0})
        hello = signed(STRANGER, 9, H, content="hello")
        await guest.keep(hello)
        assert (await owner.hear())[2]["id"] == hello.id
        roster = await owner.req("roster", {"kinds": [13_534]})
        assert ["member", STRANGER.public] in roster[0]["tags"]
        await guest.say("EVENT", signed(STRANGER, 9022, H).to_json())
        heard = [await guest.hear() for _ in range(2)]
        # The notice of the leaving comes live, though nothing else of the group does any more.
        assert sorted(frame[0] for frame in heard) == ["EVENT", "OK"]
        assert [frame[2]["kind"] for frame in heard if frame[0] == "EVENT"] == [44_101]
        assert [(await owner.hear())[2]["kind"] for _ in range(2)] == [9001, 39_002]
        accepted, _ = await guest.put(signed(STRANGER, 9, H))
        assert not accepted


@pytest.mark.parametrize("name", ["REQ", "COUNT", "NEG-OPEN"])
async def test_a_question_that_takes_too_long_is_given_up(
    public: RunningRelay, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """Attack: a few clients that ask for all there is keep everybody else from reading."""
    async with wire(public.url) as client:
        many = [signed(STRANGER, 1, ("t", f"{n}"), content=f"{n}") for n in range(400)]
        for new in many:
            await client.say("EVENT", new.to_json())
        for _ in many:
            assert (await client.hear())[2] is True
        more = ["6100000200"] if name == "NEG-OPEN" else []
        # No time at all: whatever looks at the clock once is late.
        monkeypatch.setattr(store, "MAX_QUERY_S", 0.0)
        # Each of 400 events is looked up under each of 1,000 values, and none is found.
        slow = {"#e": [f"{n}" for n in range(1_000)], "#t": [f"{n}" for n in range(400)]}
        for _ in range(store.READERS + 1):
            await client.say(name, "slow", slow, *more)
            frame = await client.hear()
            assert frame[:2] == ["NEG-ERR" if more else "CLOSED", "slow"]
            assert frame[2].startswith("error: this took longer than")
        monkeypatch.undo()
        assert len(await client.req("a", {"kinds": [1], "limit": 10})) == 10
        await client.say(name, "now", {"ids": [many[0].id]}, *more)
        assert (await client.hear())[0] in ("EVENT", "COUNT", "NEG-MSG")
