"""The relay as another implementation of the protocol sees it: nostr-sdk."""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path
from typing import Any

from nips.event import Event
from nips.key import SecretKey
from relay_local.relay import RelaySettings, RunningRelay, running
from tests.relay_process import ROOT
from tests.unit.relay_local.cast import OWNER, RELAY, STRANGER
from tests.unit.relay_local.wire import signed, wire


async def client(
    url: str, key: SecretKey, filter_: object, *publish: tuple[object, ...], **more: object
) -> Any:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.unit.relay_local.sdk_client",
        cwd=ROOT, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    task = {"url": url, "secret": key.raw.hex(), "filter": filter_, "publish": publish}
    task |= more
    out, _ = await asyncio.wait_for(process.communicate(json.dumps(task).encode() + b"\n"), 60)
    assert process.returncode == 0
    return json.loads(out)


async def test_it_authenticates_publishes_and_reads(relay: RunningRelay) -> None:
    async with wire(relay.url, OWNER) as owner:
        before = signed(OWNER, 1, content="from before")
        await owner.keep(before)
        said = await client(
            relay.url, OWNER, {"kinds": [1]}, (1, "hello \u2028 \u0001 \U0001f600"), (43_001, "")
        )
        assert said["ok"]["1"] is None
        assert "restricted" in said["ok"]["43001"]
        contents = {event["content"] for event in said["fetched"]}
        assert contents == {"from before", "hello \u2028 \u0001 \U0001f600"}
        for given in said["fetched"]:
            Event.from_json(given).verify()
        stored = await owner.req("a", {"kinds": [1]})
        assert {event["id"] for event in stored} == set(said["live"])


async def test_a_public_relay_serves_wraps_to_their_recipient(public: RunningRelay) -> None:
    async with wire(public.url) as sender:
        wrap = signed(STRANGER, 1059, ("p", OWNER.public))
        await sender.keep(wrap, signed(STRANGER, 1059, ("p", STRANGER.public)))
    said = await client(public.url, OWNER, {"kinds": [1059]})
    assert [event["id"] for event in said["fetched"]] == [wrap.id]


async def test_it_searches(relay: RunningRelay) -> None:
    async with wire(relay.url, OWNER) as owner:
        found = signed(OWNER, 1, content="an orange")
        await owner.keep(found, signed(OWNER, 1, content="an apple"))
    said = await client(relay.url, OWNER, {"kinds": [1], "search": "Orange include:spam"})
    assert [event["id"] for event in said["fetched"]] == [found.id]


async def test_it_syncs(relay: RunningRelay) -> None:
    """NIP-77 both ways: what only the relay has is received, what only the client has is sent."""
    async with wire(relay.url, OWNER) as owner:
        there = [signed(OWNER, 1, content=f"there {number}") for number in range(400)]
        here = [signed(OWNER, 1, content=f"here {number}") for number in range(30)]
        await owner.keep(*there)
        mine = [event.to_json() for event in [*there[:350], *here]]
        said = await client(relay.url, OWNER, {"kinds": [0]}, sync=mine)
        assert set(said["synced"]["sent"]) == {event.id for event in here}
        assert set(said["synced"]["received"]) == {event.id for event in there[350:]}
        stored = await owner.req("a", {"kinds": [1]})
        assert {event["id"] for event in stored} == {event.id for event in [*there, *here]}


async def test_a_newcomer_makes_a_group_and_invites(tmp_path: Path) -> None:
    """`nostrclaw relay --owner …` and any client, nothing else; the name is the client's."""
    settings = RelaySettings(tmp_path / "relay", RELAY, owner=OWNER.public)
    h, code = ["h", "pizza-lovers_7"], ["code", "come in, please"]
    async with running(settings) as relay:
        said = await client(
            relay.url, OWNER, {"kinds": [9007, 9002, 9009, 9, 39_000, 39_001]},
            (9007, "", h), (9002, "", h, ["name", "Pizza Lovers"]), (9009, "", h, code),
            (9, "Who likes pineapple?", h),
        )  # fmt: skip
        assert set(said["ok"].values()) == {None}
        tags = [tag for event in said["fetched"] for tag in event["tags"]]
        assert ["name", "Pizza Lovers"] in tags
        assert ["p", OWNER.public, "owner"] in tags
        said = await client(relay.url, STRANGER, {"kinds": [9]}, (9, "Not me", h))
        assert said["ok"]["9"] is not None
        joined = ((9021, "", h, code), (9, "I do", h))
        said = await client(relay.url, STRANGER, {"kinds": [9], "#h": h[1:]}, *joined, live=False)
        assert set(said["ok"].values()) == {None}
        contents = {event["content"] for event in said["fetched"]}
        assert contents == {"Who likes pineapple?", "I do"}
