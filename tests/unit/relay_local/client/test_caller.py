"""Calls over a real relay, with a peer that is slow, deaf, double, or somebody else."""

from __future__ import annotations

import asyncio
import secrets
import signal
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from bot.operate.house import free_ports
from nips import nip44, nip46
from nips.filter import Filter
from nips.key import SecretKey
from nips.kinds import Kind
from nips.own import serving
from nips.refusal import Prefix, Refusal, Refused
from relay_local.client import Caller, Delivery, Link, Unanswered, caller, connect
from tests.relay_process import RelayProcess, relay_process

Answer = Callable[[nip46.Request], nip46.Response | None]


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(caller, "FIRST_RETRY_S", 0.2)


@pytest.fixture
async def relay(tmp_path: Path) -> AsyncIterator[RelayProcess]:
    async with relay_process(tmp_path, "--open", port=free_ports(1)[0]) as running:
        yield running


async def respond(
    link: Link, key: SecretKey, request: nip46.Response | nip46.Request, to: str
) -> None:
    """Publish one response, or what is said without being asked."""
    payload = nip44.encrypt(
        request.to_json(), nip44.conversation_key(key, to), secrets.token_bytes(32), extended=True
    )
    template = nip46.envelope(key.public, to, payload, int(time.time()))
    await link.publish(template.sign(key, secrets.token_bytes(32)))


@asynccontextmanager
async def a_peer(relay: RelayProcess, key: SecretKey, answer: Answer) -> AsyncIterator[list[str]]:
    """A signer's outside: hears every request for `key`; the ids it heard are the value."""
    heard: list[str] = []
    wanted = Filter(kinds=frozenset({int(Kind.REQUEST)}), tags={"p": frozenset({key.public})})

    async def serve(link: Link, caught: asyncio.Event) -> None:
        async with link.subscribe([wanted]) as stream:
            async for item in stream:
                if not isinstance(item, Delivery):
                    caught.set()
                    continue
                shared = nip44.conversation_key(key, item.event.pubkey)
                text = nip44.decrypt(item.event.content, shared, extended=True)
                request = nip46.parse_request(text)
                heard.append(request.id)
                if (response := answer(request)) is not None:
                    await respond(link, key, response, item.event.pubkey)

    async with connect(relay.url) as link:
        caught = asyncio.Event()
        link.spawn(serve(link, caught))
        await caught.wait()
        yield heard


@asynccontextmanager
async def calling(relay: RelayProcess, peer: SecretKey) -> AsyncIterator[Caller]:
    key = SecretKey.generate(secrets.token_bytes)
    async with connect(relay.url, [key]) as link:
        yield Caller(link, key, peer.public)


@pytest.fixture
def peer() -> SecretKey:
    return SecretKey.generate(secrets.token_bytes)


def echo(request: nip46.Request) -> nip46.Response:
    return nip46.Response(request.id, "/".join((request.method, *request.params)))


async def test_a_call_is_answered(relay: RelayProcess, peer: SecretKey) -> None:
    async with a_peer(relay, peer, echo), calling(relay, peer) as asks:
        assert await asks.call("ping", "a", "b") == "ping/a/b"


async def test_many_calls_at_once_get_each_their_own(relay: RelayProcess, peer: SecretKey) -> None:
    async with a_peer(relay, peer, echo), calling(relay, peer) as asks:
        answers = await asyncio.gather(*(asks.call("n", str(n)) for n in range(50)))
        assert answers == [f"n/{n}" for n in range(50)]


async def test_a_large_request_passes(relay: RelayProcess, peer: SecretKey) -> None:
    async with a_peer(relay, peer, echo), calling(relay, peer) as asks:
        assert len(await asks.call("big", "x" * 200_000)) == 200_004


async def test_a_refusal_is_raised_as_the_peer_gave_it(
    relay: RelayProcess, peer: SecretKey
) -> None:
    denied = Refusal(Prefix.RESTRICTED, "not for you")
    async with (
        a_peer(relay, peer, lambda r: nip46.Response(r.id, error=denied)),
        calling(relay, peer) as asks,
    ):
        with pytest.raises(Refused) as error:
            await asks.call("sign_event", "{}")
        assert error.value.refusal == denied


async def test_a_deaf_peer_is_asked_again_under_the_same_id(
    relay: RelayProcess, peer: SecretKey
) -> None:
    """A request vanishes while its reader is away; the repetition must be recognisable."""
    asked: list[str] = []

    def third_time(request: nip46.Request) -> nip46.Response | None:
        asked.append(request.id)
        return echo(request) if len(asked) == 3 else None

    async with a_peer(relay, peer, third_time) as heard, calling(relay, peer) as asks:
        assert await asks.call("ping", request_id="fixed") == "ping"
        assert heard == ["fixed"] * 3


async def test_nobody_there_is_unanswered(relay: RelayProcess, peer: SecretKey) -> None:
    async with calling(relay, peer) as asks:
        with pytest.raises(Unanswered):
            await asks.call("ping", deadline_s=0.5)


async def test_an_answer_by_somebody_else_is_no_answer(
    relay: RelayProcess, peer: SecretKey
) -> None:
    """Attack: anyone may write a 24133 to us; only the peer's counts."""
    mallory = SecretKey.generate(secrets.token_bytes)
    async with calling(relay, peer) as asks, connect(relay.url) as other:
        waiting = asyncio.create_task(asks.call("ping", deadline_s=1, request_id="known"))
        client = asks._key.public
        for _ in range(3):
            await respond(other, mallory, nip46.Response("known", "pwned"), client)
        with pytest.raises(Unanswered):
            await waiting


async def test_a_call_survives_the_relay(relay: RelayProcess, peer: SecretKey) -> None:
    async with calling(relay, peer) as asks:
        waiting = asyncio.create_task(asks.call("ping", deadline_s=30))
        await relay.end(signal.SIGKILL)
        await relay.start()
        async with a_peer(relay, peer, echo):
            assert await waiting == "ping"


async def test_a_peer_that_returns_is_asked_at_once(
    relay: RelayProcess, peer: SecretKey, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its announcement ends the wait; the request is the same one."""
    monkeypatch.setattr(caller, "FIRST_RETRY_S", 600.0)
    asked = asyncio.Event()
    serves = False

    def answer(request: nip46.Request) -> nip46.Response | None:
        asked.set()
        return echo(request) if serves else None

    async with (
        a_peer(relay, peer, answer) as heard,
        calling(relay, peer) as asks,
        connect(relay.url) as other,
    ):
        waiting = asyncio.create_task(asks.call("ping", deadline_s=30))
        await asyncio.wait_for(asked.wait(), 10)
        serves, served = True, asks.served
        await respond(other, peer, serving.announcement("f00d"), asks._key.public)
        assert await asyncio.wait_for(waiting, 10) == "ping"
        assert served.is_set()
        assert not asks.served.is_set(), "the next announcement has an event of its own"
        assert len(heard) == 2
        assert len(set(heard)) == 1


async def test_only_the_peer_announces_itself(
    relay: RelayProcess, peer: SecretKey, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Attack: somebody else makes us send our request again and again."""
    monkeypatch.setattr(caller, "FIRST_RETRY_S", 600.0)
    asked = asyncio.Event()

    def deaf(_: nip46.Request) -> None:
        asked.set()

    mallory = SecretKey.generate(secrets.token_bytes)
    async with (
        a_peer(relay, peer, deaf) as heard,
        calling(relay, peer) as asks,
        connect(relay.url) as other,
    ):
        waiting = asyncio.create_task(asks.call("ping", deadline_s=2))
        await asyncio.wait_for(asked.wait(), 10)
        for _ in range(5):
            await respond(other, mallory, serving.announcement("f00d"), asks._key.public)
        with pytest.raises(Unanswered):
            await waiting
        assert len(heard) == 1
