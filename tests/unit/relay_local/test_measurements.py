"""A running relay measured over its own port."""

from __future__ import annotations

from dataclasses import replace

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

from relay_local.limits import Limits
from relay_local.relay import CannotStart, RelaySettings, running
from tests.unit.relay_local.cast import OWNER, SIGNER, STRANGER
from tests.unit.relay_local.test_scrape import ask
from tests.unit.relay_local.wire import signed, wire


def free_port() -> int:
    import socket

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


async def test_what_happens_is_counted(settings: RelaySettings) -> None:
    port = free_port()
    async with (
        running(replace(settings, metrics=("127.0.0.1", port))) as relay,
        wire(relay.url, OWNER) as owner,
        wire(relay.url, STRANGER),
    ):
        note = signed(OWNER, 1, content="a secret")
        await owner.req("a", {"kinds": [1]})
        await owner.keep(note)
        await owner.put(note)
        await owner.put(signed(OWNER, 39_000, ("d", "x")))
        answer = (await ask(port, b"GET /metrics HTTP/1.1\r\n\r\n")).decode()
        lines = answer.splitlines()
        for line in (
            'nostrclaw_relay_events_total{outcome="accepted"} 1',
            'nostrclaw_relay_events_total{outcome="duplicate"} 1',
            'nostrclaw_relay_events_total{outcome="restricted"} 1',
            "nostrclaw_relay_connections 2",
            "nostrclaw_relay_subscriptions 1",
            "nostrclaw_relay_deliveries_total 1",
            "nostrclaw_relay_last_seq 1",
            "nostrclaw_relay_frames_total 6",
        ):
            assert line in lines
        assert "a secret" not in answer
        assert OWNER.public not in answer


async def test_it_does_not_start_where_others_could_read(settings: RelaySettings) -> None:
    with pytest.raises(CannotStart, match="loopback"):
        async with running(replace(settings, metrics=("0.0.0.0", 0))):
            pass


async def test_whom_the_door_refused_is_counted(settings: RelaySettings) -> None:
    """A flood from outside is seen, though none of it gets in; who it was stays out of it."""
    port = free_port()
    few = replace(settings, metrics=("127.0.0.1", port), limits=Limits(max_connections=2))
    async with running(few) as relay, wire(relay.url, STRANGER) as stranger, wire(relay.url):
        accepted, _ = await stranger.put(signed(STRANGER, 1))
        assert not accepted
        request = signed(STRANGER, 24_133, ("p", SIGNER.public)).to_json()
        for _ in range(60):
            await stranger.say("EVENT", request)
        refused = 0
        for _ in range(60):
            refused += (await stranger.hear())[2] is False
        assert refused
        async with connect(relay.url) as third:
            with pytest.raises(ConnectionClosed) as closed:
                await third.recv()
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code == 1013
        lines = (await ask(port, b"GET /metrics HTTP/1.1\r\n\r\n")).decode().splitlines()
        for why, count in (("restricted", 1), ("rate-limited", refused), ("full address", 1)):
            assert f'nostrclaw_relay_turned_away_total{{why="{why}"}} {count}' in lines
        assert "nostrclaw_relay_connections 2" in lines
