"""A relay's events out and in again, as processes a person starts."""

from __future__ import annotations

import asyncio
import json
import stat
import sys
from pathlib import Path

import pytest

from config.roles import save
from nips.event import Event
from nips.kinds import Kind
from relay_local.relay import RelaySettings, holding, running
from tests.relay_process import ROOT, relay_process
from tests.unit.relay_local.cast import (
    MAIN,
    MEMBER,
    NOW,
    OTHER,
    OWNER,
    RELAY,
    ROLES,
    ROUTER,
    STRANGER,
    event,
    put_user,
)
from tests.unit.relay_local.wire import signed, wire

H = ("h", MAIN)


async def relay_command(*argv: str, stdin: bytes = b"") -> tuple[int, bytes, str]:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "relay_local", *argv, cwd=ROOT,
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    out, err = await asyncio.wait_for(process.communicate(stdin), 60)
    assert process.returncode is not None
    assert b"Traceback" not in err
    return process.returncode, out, err.decode()


def line(one: Event) -> bytes:
    return json.dumps(one.to_json()).encode() + b"\n"


async def test_a_house_moves_with_its_groups(
    settings: RelaySettings, tmp_path: Path, short: Path
) -> None:
    async with running(settings) as relay, wire(relay.url, ROUTER, OWNER, MEMBER) as house:
        await house.keep(
            signed(ROUTER, Kind.CREATE_GROUP, H), put_user(MAIN, OWNER, "owner"),
            put_user(MAIN, MEMBER, "member"), signed(MEMBER, 9, H, content="hello"),
            signed(OWNER, 9009, H, ("code", "come in, please")),
        )  # fmt: skip
    old, moved = str(settings.data), tmp_path / "moved"
    file = tmp_path / "events.jsonl"
    status, _, said = await relay_command("export", "--data", old, str(file))
    assert status == 0
    assert "exported: 1" in said
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    save(tmp_path / "roles.toml", ROLES)
    key = tmp_path / "key"
    key.write_text(RELAY.raw.hex())
    options = ["--data", str(moved), "--roles", str(tmp_path / "roles.toml"), "--key", str(key)]
    status, _, said = await relay_command("import", *options, str(file))
    assert status == 0, said
    assert "5 stored" in said
    there = RelaySettings(moved, RELAY, roles=ROLES)
    async with holding(settings, NOW) as before:
        world = before.world
    async with holding(there, NOW) as after:
        assert after.world == world
    async with running(there) as relay, wire(relay.url, MEMBER) as member:
        assert [one["content"] for one in await member.req("a", {"kinds": [9]})] == ["hello"]
        assert len(await member.req("b", {"kinds": [39_000, 39_001, 39_002, 39_003]})) == 4
    # Again nothing is news.
    status, _, said = await relay_command("import", *options, stdin=file.read_bytes())
    assert status == 0
    assert "0 stored, 5 here already" in said


async def test_what_comes_in_is_verified_and_obeys_the_store(tmp_path: Path) -> None:
    data = str(tmp_path / "data")
    good, gone = event(STRANGER, 1, content="good"), event(STRANGER, 1, content="gone")
    forged = {**event(STRANGER, 1, content="said").to_json(), "content": "never said"}
    newer, older = (event(STRANGER, 0, created_at=NOW + n) for n in (1, 0))
    lines = [
        line(good), b"\n", b"not json\n", json.dumps(forged).encode() + b"\n", line(newer),
        line(older), line(gone), line(event(STRANGER, 5, ("e", gone.id))), line(gone),
        b'{"content":"' + b"x" * (5 << 20) + b'"}\n', b"[" * 20_000 + b"\n",
        line(event(STRANGER, 20_001)), line(event(STRANGER, 1, ("expiration", str(NOW)))),
        line(good).rstrip(),
    ]  # fmt: skip
    status, _, said = await relay_command("import", "--data", data, "--open", stdin=b"".join(lines))
    assert status == 1
    assert "14 read, 4 stored, 1 here already, 1 not for storing, 3 refused, 4 wrong" in said
    assert "line 3:" in said
    assert "line 4: id does not match" in said
    status, out, _ = await relay_command("export", "--data", data)
    assert status == 0
    kinds = [json.loads(one)["kind"] for one in out.splitlines()]
    assert kinds == [1, 0, 5]
    status, out, _ = await relay_command("stats", "--data", data, "--json")
    counted = json.loads(out)
    assert status == 0
    assert counted["events"] == 3
    assert counted["by_kind"] == {"0": 1, "1": 1, "5": 1}
    assert counted["authors"] == counted["forgotten"] == 1
    assert counted["size_bytes"] > 0
    status, out, _ = await relay_command("stats", "--data", data)
    assert out.startswith(b"3 events of 1 authors")


async def test_an_import_cannot_break_the_fold(tmp_path: Path) -> None:
    """A 9000 of a group that is not there would stop every later start."""
    data = tmp_path / "data"
    settings = RelaySettings(data, RELAY, roles=ROLES)
    async with holding(settings, NOW):
        pass
    (tmp_path / "key").write_text(RELAY.raw.hex())
    save(tmp_path / "roles.toml", ROLES)
    bad = [
        put_user(OTHER, MEMBER, "member"),
        event(OWNER, 9009, ("h", OTHER), ("code", "x" * 9)),
        event(RELAY, 39_000, ("d", OTHER)),
    ]
    status, _, said = await relay_command(
        "import", "--data", str(data), "--key", str(tmp_path / "key"),
        "--roles", str(tmp_path / "roles.toml"), stdin=b"".join(map(line, bad)),
    )  # fmt: skip
    assert status == 0
    assert "0 stored, 0 here already, 1 not for storing, 2 refused" in said
    async with holding(settings, NOW) as held:
        assert not held.world.groups.by_id


async def test_while_a_relay_runs_it_is_said_plainly(tmp_path: Path) -> None:
    data = tmp_path / "data"
    async with relay_process(data, "--open") as relay:
        async with wire(relay.url) as client:
            await client.keep(signed(STRANGER, 1))
        status, _, said = await relay_command("import", "--data", str(data), "--open")
        assert status == 2
        assert "another relay runs on" in said
        status, out, _ = await relay_command("export", "--data", str(data))
        assert (status, len(out.splitlines())) == (0, 1)  # reading disturbs nobody
        assert (await relay_command("stats", "--data", str(data)))[0] == 0


@pytest.mark.parametrize("command", ["export", "stats"])
async def test_a_folder_without_a_relay(tmp_path: Path, command: str) -> None:
    status, _, said = await relay_command(command, "--data", str(tmp_path / "none"))
    assert status == 2
    assert "events.sqlite is not there" in said
    status, _, said = await relay_command("import", "--data", str(tmp_path), "no such file")
    assert status == 2
    assert "no such file: No such file" in said
