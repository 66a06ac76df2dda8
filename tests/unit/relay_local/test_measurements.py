"""A running relay measured over its own port."""

from __future__ import annotations

from dataclasses import replace

import pytest

from relay_local.relay import CannotStart, RelaySettings, running
from tests.unit.relay_local.cast import OWNER, STRANGER
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
