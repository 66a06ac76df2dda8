"""A container's own socket: there with its grant, gone with it, and nobody else's."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from websockets.asyncio.client import unix_connect
from websockets.exceptions import ConnectionClosed

from nips.kinds import Kind
from relay_local.crowd import MAX_SESSION_CONNECTIONS
from relay_local.relay import RelaySettings, RunningRelay, running
from tests.unit.relay_local.cast import (
    JOB,
    MAIN,
    MEMBER,
    OTHER,
    OTHER_SESSION,
    ROUTER,
    SESSION,
    SIGNER,
    grant_event,
    put_user,
)
from tests.unit.relay_local.wire import now, signed, wire

H = ("h", MAIN)


def socket_of(settings: RelaySettings, key: str) -> Path:
    assert settings.sessions is not None
    return settings.sessions / key[:16] / "relay.sock"


async def furnish(relay: RunningRelay, *, lasts_s: int = 600) -> None:
    async with wire(relay.url, ROUTER) as router:
        await router.keep(
            signed(ROUTER, Kind.CREATE_GROUP, H),
            signed(ROUTER, Kind.CREATE_GROUP, ("h", OTHER)),
            put_user(MAIN, MEMBER, "member"),
            grant_event(SESSION, created_at=now(), lasts_s=lasts_s),
        )


async def revoke(relay: RunningRelay) -> None:
    async with wire(relay.url, ROUTER) as router:
        await router.keep(grant_event(SESSION, revoked=True, created_at=now()))


async def test_the_socket_stands_before_the_ok(
    relay: RunningRelay, settings: RelaySettings
) -> None:
    path = socket_of(settings, SESSION.public)
    assert not path.exists()
    await furnish(relay)
    assert path.is_socket()
    # The container's user is another uid and may come in by its own folder only.
    assert path.stat().st_mode & 0o777 == 0o666
    assert path.parent.stat().st_mode & 0o777 == 0o755
    async with wire(path, SESSION) as session:
        assert [e["kind"] for e in await session.req("g", {"kinds": [39_000]})] == [39_000]


async def test_a_session_hears_its_job_and_reports_on_it(
    relay: RunningRelay, settings: RelaySettings
) -> None:
    await furnish(relay)
    async with (
        wire(socket_of(settings, SESSION.public), SESSION) as session,
        wire(relay.url, ROUTER) as router,
    ):
        accepted = signed(
            ROUTER, Kind.JOB_ACCEPTED, H, ("e", JOB), ("attempt", "1"), ("p", SESSION.public)
        )
        await session.req("job", {"kinds": [43_002], "#p": [SESSION.public]})
        await router.keep(accepted, signed(ROUTER, 9, ("h", OTHER), ("p", SESSION.public)))
        assert (await session.hear())[2] == accepted.to_json()
        assert await session.req("all", {"kinds": [9]}) == []
        done = signed(SESSION, Kind.JOB_PROGRESS, H, ("e", JOB), ("status", "done"))
        await session.keep(done, signed(SESSION, 24_133, ("p", SIGNER.public)))
        for other in (
            signed(SESSION, Kind.JOB_PROGRESS, ("h", OTHER), ("e", JOB)),
            signed(SESSION, 9, H),
            signed(SESSION, Kind.APP_DATA, ("d", f"grant/{SESSION.public}")),
        ):
            ok, why = await session.put(other)
            assert not ok
            assert why.startswith("restricted: ")


async def test_another_key_does_not_come_in_by_it(
    relay: RunningRelay, settings: RelaySettings
) -> None:
    """A container that got hold of the router's key has no use for it inside."""
    await furnish(relay)
    path = socket_of(settings, SESSION.public)
    with pytest.raises(AssertionError, match="restricted: "):
        async with wire(path, ROUTER):
            pass
    async with wire(path) as session:
        await session.say("REQ", "a", {})
        assert (await session.hear())[0] == "CLOSED"


async def test_a_sessions_key_is_nothing_by_another_way(relay: RunningRelay) -> None:
    await furnish(relay)
    assert relay.unix is not None
    for address in (relay.url, relay.unix):
        async with wire(address, SESSION) as outside:
            await outside.say("REQ", "a", {"kinds": [39_000]})
            assert (await outside.hear())[:2] == ["CLOSED", "a"]
            ok, _ = await outside.put(signed(SESSION, Kind.JOB_PROGRESS, H, ("e", JOB)))
            assert not ok


async def test_one_connection_at_a_time(relay: RunningRelay, settings: RelaySettings) -> None:
    await furnish(relay)
    path = socket_of(settings, SESSION.public)
    async with wire(path, SESSION) as first:
        async with unix_connect(str(path)) as second:
            with pytest.raises(ConnectionClosed) as closed:
                await asyncio.wait_for(second.recv(), 10)
            assert closed.value.rcvd is not None
            assert closed.value.rcvd.code == 1008
        await first.req("a", {})
    async with asyncio.timeout(10):
        while True:  # the first one's end is noticed when the relay reads it
            try:
                async with wire(path, SESSION):
                    break
            except ConnectionClosed:
                continue


async def test_a_container_cannot_use_up_the_relays_descriptors(
    relay: RunningRelay, settings: RelaySettings
) -> None:
    """Attack: connections by the hundred that never say a word."""
    await furnish(relay)
    path = socket_of(settings, SESSION.public)
    files = Path("/proc/self/fd")
    async with wire(path, SESSION) as session:
        before = len(list(files.iterdir()))
        opened = [await asyncio.open_unix_connection(path) for _ in range(200)]
        try:
            async with asyncio.timeout(10):  # our own ends are among them
                while len(list(files.iterdir())) > before + 200 + MAX_SESSION_CONNECTIONS:
                    await asyncio.sleep(0.01)
            await session.req("still here", {})
        finally:
            for _, writer in opened:
                writer.close()


async def test_a_new_connection_refills_nothing(
    relay: RunningRelay, settings: RelaySettings
) -> None:
    await furnish(relay)
    path = socket_of(settings, SESSION.public)
    taken = 0
    for _ in range(3):
        async with wire(path, SESSION) as session:
            for _ in range(100):
                ok, why = await session.put(signed(SESSION, 24_133, ("p", SIGNER.public)))
                taken += ok
                assert ok or why.startswith("rate-limited: ")
    assert taken < 300


async def test_revocation_ends_the_connection_and_the_socket(
    relay: RunningRelay, settings: RelaySettings
) -> None:
    await furnish(relay)
    path = socket_of(settings, SESSION.public)
    async with wire(path, SESSION) as session:
        await revoke(relay)
        with pytest.raises(ConnectionClosed):
            await session.hear()
    assert not path.exists()
    async with wire(relay.url, ROUTER) as router:
        ok, why = await router.put(grant_event(SESSION, created_at=now() + 5))
        assert not ok
        assert "revoked" in why
    assert not path.exists()


async def test_the_hard_limit_ends_it_whatever_comes_later(
    relay: RunningRelay, settings: RelaySettings
) -> None:
    await furnish(relay, lasts_s=2)
    path = socket_of(settings, SESSION.public)
    async with wire(path, SESSION) as session, wire(relay.url, ROUTER) as router:
        # Renewed with a later end: the limit never moves.
        await router.keep(grant_event(SESSION, created_at=now() + 1, lasts_s=600))
        with pytest.raises(ConnectionClosed):
            await asyncio.wait_for(session.hear(), 10)
    assert not path.exists()


async def test_live_sessions_have_their_sockets_again_after_a_restart(
    settings: RelaySettings,
) -> None:
    async with running(settings) as relay:
        await furnish(relay)
        async with wire(relay.url, ROUTER) as router:
            await router.keep(grant_event(OTHER_SESSION, OTHER, created_at=now()))
            await router.keep(grant_event(OTHER_SESSION, OTHER, created_at=now() + 1, revoked=True))
    assert settings.sessions is not None
    leftover = settings.sessions / "left by a relay that was killed"
    leftover.mkdir(parents=True)
    folder = socket_of(settings, SESSION.public).parent
    mounted = folder.stat().st_ino
    async with running(settings):
        assert not leftover.exists()
        # A container has mounted that folder: a new one of the same name it would never see.
        assert folder.stat().st_ino == mounted
        assert not socket_of(settings, OTHER_SESSION.public).exists()
        async with wire(socket_of(settings, SESSION.public), SESSION) as session:
            await session.req("a", {})
