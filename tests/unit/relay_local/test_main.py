"""The process: its one line, its end, and what it says when it cannot start."""

from __future__ import annotations

import asyncio
import os
import secrets
import signal
import socket
import stat
import sys
from collections.abc import Callable
from pathlib import Path

from websockets.exceptions import ConnectionClosed

from config.roles import save
from tests.figures import dice, figure
from tests.relay_process import ROOT, relay_process
from tests.unit.relay_local.cast import OWNER, RELAY, ROLES, STRANGER
from tests.unit.relay_local.wire import signed, wire


async def refused(*argv: str) -> str:
    """Start a relay that cannot start; returns what it says."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "relay_local", *argv,
        cwd=ROOT, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    out, err = await asyncio.wait_for(process.communicate(), 30)
    assert process.returncode == 2
    assert out == b""
    said = err.decode()
    assert "Traceback" not in said
    return said


def key_file(folder: Path) -> str:
    path = folder / "key"
    path.write_text(RELAY.raw.hex())
    return str(path)


async def test_a_newcomer_gets_a_relay_of_their_own(tmp_path: Path) -> None:
    data = tmp_path / "data"
    async with relay_process(data, owner=OWNER.public) as relay:
        key = data / "key"
        assert stat.S_IMODE(key.stat().st_mode) == 0o600
        assert stat.S_IMODE(data.stat().st_mode) == 0o700
        note = signed(OWNER, 1)
        async with wire(relay.url, OWNER) as owner, wire(relay.url, STRANGER) as stranger:
            await owner.keep(note)
            accepted, _ = await stranger.put(signed(STRANGER, 1))
            assert not accepted
        first = key.read_text()
        assert await relay.end(signal.SIGTERM) == 0
        await relay.start()
        async with wire(relay.url, OWNER) as owner:
            assert await owner.req("a", {"kinds": [1]}) == [note.to_json()]
        assert key.read_text() == first


async def test_every_option_of_a_house(tmp_path: Path, short: Path) -> None:
    save(tmp_path / "roles.toml", ROLES)
    unix = short / "relay.sock"
    options = [
        "--unix", str(unix), "--roles", str(tmp_path / "roles.toml"), "--sessions",
        str(short / "s"), "--key", key_file(tmp_path), "--url", "wss://relay.example/path",
    ]  # fmt: skip
    async with relay_process(tmp_path / "data", *options) as relay:
        async with wire(unix, OWNER) as owner:
            await owner.req("a", {})
        async with wire(relay.url) as client:
            client.url = "wss://relay.example/path/"
            await client.auth(OWNER)
        assert await relay.end(signal.SIGINT) == 0
    assert not unix.exists()


async def test_killed_it_starts_again_on_the_same_socket(tmp_path: Path, short: Path) -> None:
    unix = short / "relay.sock"
    async with relay_process(tmp_path, "--unix", str(unix), "--open") as relay:
        await relay.end(signal.SIGKILL)
        assert unix.exists()
        await relay.start()
        async with wire(unix) as client:
            await client.keep(signed(STRANGER, 1))


async def test_what_it_says_when_it_cannot_start(tmp_path: Path, short: Path) -> None:
    data = str(tmp_path / "data")
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        said = await refused("--data", data, "--listen", f"127.0.0.1:{port}")
        assert str(port) in said
        assert "--listen" in said
    free = ["--data", data, "--listen", "127.0.0.1:0"]
    said = await refused(*free, "--unix", str(short / ("x" * 120)))
    assert "100 bytes" in said
    assert "shorter" in said
    assert "--owner" in await refused(*free, "--owner", "nobody")
    assert "roles.toml" in await refused(*free, "--roles", str(tmp_path / "roles.toml"))
    bad = tmp_path / "bad.toml"
    bad.write_text("relay = 1")
    assert "relay" in await refused(*free, "--roles", str(bad))
    save(tmp_path / "roles.toml", ROLES)
    said = await refused(*free, "--roles", str(tmp_path / "roles.toml"))
    assert RELAY.public in said  # another key than the roles name
    assert "--listen" in await refused("--data", data, "--listen", "here")
    (tmp_path / "file").write_text("")
    assert "file" in await refused("--data", str(tmp_path / "file"), "--listen", "127.0.0.1:0")
    garbage = tmp_path / "garbage"
    garbage.mkdir()
    (garbage / "events.sqlite").write_bytes(os.urandom(8_192))
    said = await refused("--data", str(garbage), "--listen", "127.0.0.1:0")
    assert "events.sqlite" in said
    assert "backup" in said


async def test_two_relays_do_not_share_a_folder(tmp_path: Path, short: Path) -> None:
    unix = str(short / "relay.sock")
    async with relay_process(tmp_path, "--unix", unix):
        said = await refused("--data", str(tmp_path), "--listen", "127.0.0.1:0")
        assert "another relay" in said
        other = str(tmp_path / "other")
        said = await refused("--data", other, "--listen", "127.0.0.1:0", "--unix", unix)
        assert "in use" in said


async def test_no_acknowledged_event_is_lost_in_a_kill(
    tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    """kill -9 in the middle of a stream; what had its OK is there afterwards, once."""
    kills, chance = figure("ok-on-disk"), dice("ok-on-disk")
    acknowledged: list[str] = []
    async with relay_process(tmp_path, "--open") as relay:
        for round_ in range(kills):
            if round_:
                await relay.start()
            enough = asyncio.Event()
            goal = chance.randint(1, 300)

            async def write(enough: asyncio.Event = enough, goal: int = goal) -> None:
                heard = 0
                async with wire(relay.url) as writer:
                    while True:
                        batch = [
                            signed(STRANGER, 1, content=secrets.token_hex(200)) for _ in range(20)
                        ]
                        for new in batch:
                            await writer.say("EVENT", new.to_json())
                        for _ in batch:
                            ok = await writer.hear()
                            assert ok[0] == "OK"
                            assert ok[2] is True
                            acknowledged.append(ok[1])
                            heard += 1
                            if heard == goal:
                                enough.set()

            writing = asyncio.create_task(write())
            await asyncio.wait_for(enough.wait(), 30)
            await asyncio.sleep(chance.uniform(0, 0.02))
            await relay.end(signal.SIGKILL)
            (ended,) = await asyncio.gather(writing, return_exceptions=True)
            assert isinstance(ended, ConnectionClosed), ended
        await relay.start()
        async with wire(relay.url) as reader:
            for start in range(0, len(acknowledged), 400):
                ids = acknowledged[start : start + 400]
                found = await reader.req("a", {"ids": ids, "limit": 500})
                assert sorted(event["id"] for event in found) == sorted(ids)
    assert len(acknowledged) >= kills
    record_property("events acknowledged and found", len(acknowledged))
