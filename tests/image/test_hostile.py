"""A hostile program in the agent's place: the real image, the real hardening, the session's own
key and socket, against a real relay and a real signer. It knows ids that it should not know."""

from __future__ import annotations

import json
import time
from collections.abc import AsyncIterator
from secrets import token_bytes
from uuid import uuid4

import docker
import pytest

from bot.engine.host import Engine
from nips.event import Event, Tag, Template
from nips.kinds import Kind
from tests.image.stage import Stage, a_stage

# Reads the key as the agent does, tries everything, and leaves a report in its group's folder.
PROGRAM = """
import asyncio, json, secrets, sys, time
from nips.event import Template
from nips.filter import Filter
from nips.key import SecretKey
from nips.refusal import Refused
from relay_local.client import Caller, connect

key = SecretKey(bytes.fromhex(sys.stdin.readline().strip()))
known = json.loads(KNOWN)
report = {}

async def reads(link, name, **fields):
    try:
        found = await asyncio.wait_for(link.fetch([Filter.from_json(fields)]), 10)
        report[name] = [event.content for event in found]
    except Refused as error:
        report[name] = str(error.refusal)

async def writes(link, name, kind, tags, content="x", author=None):
    event = Template("", int(time.time()), kind, tuple(map(tuple, tags)), content).sign(
        author or key, secrets.token_bytes(32))
    ok = await link.publish(event, deadline_s=10)
    report[name] = "accepted" if ok.accepted else ok.message

async def signs(caller, name, kind, tags, content="x", **changes):
    template = {"pubkey": known["bot"], "created_at": int(time.time()), "kind": kind,
                "tags": tags, "content": content} | changes
    await asks(caller, name, "sign_event", json.dumps(template))

async def asks(caller, name, method, *params):
    try:
        await caller.call(method, *params, deadline_s=20)
        report[name] = "granted"
    except Refused as error:
        report[name] = str(error.refusal)

async def main():
    other, own, secret = known["other"], known["own"], known["secret"]
    async with connect("unix:/run/nanoclaw/relay.sock", [key]) as link:
        caller = Caller(link, key, known["signer"])
        await reads(link, "read by group", kinds=[9], **{"#h": [other]})
        await reads(link, "read by both groups", kinds=[9], **{"#h": [own, other]})
        await reads(link, "read by id", ids=[secret])
        await reads(link, "read by author", authors=[known["owner"]])
        await reads(link, "read by reference", **{"#e": [secret]})
        await reads(link, "read the group's state", kinds=[39000, 39001, 39002], **{"#d": [other]})
        await reads(link, "read grants and records", kinds=[30078])
        await reads(link, "read wraps", kinds=[1059])
        await reads(link, "read with an arrival number", kinds=[9], after_seq=0)
        await writes(link, "write into the other group", 9, [["h", other]])
        await writes(link, "write into the own group as itself", 9, [["h", own]])
        await writes(link, "progress for another job", 43003, [["h", own], ["e", secret]])
        await writes(link, "progress in the other group", 43003, [["h", other], ["e", secret]])
        await writes(link, "end a job", 43004, [["h", own], ["e", secret]])
        await writes(link, "ask for a job", 43001, [["h", own], ["e", secret]])
        await writes(link, "make itself a member", 9000, [["h", other], ["p", key.public]])
        await writes(link, "grant itself more", 30078, [["d", "grant/" + key.public]], "{}")
        await writes(link, "name an owner", 30078, [["d", "owner"], ["p", key.public]])
        await writes(link, "delete a message", 5, [["e", secret]])
        await writes(link, "a wrap outward", 1059, [["p", known["owner"]]])
        stranger = SecretKey.generate(secrets.token_bytes)
        await writes(link, "write as somebody else", 9, [["h", own]], author=stranger)
        job = ["job", known["job"]]
        await signs(caller, "sign for the other group", 9, [["h", other], job])
        await signs(caller, "sign for two groups", 9, [["h", own], ["h", other], job])
        await signs(caller, "sign for no group", 9, [job])
        await signs(caller, "sign for another job", 9, [["h", own], ["job", secret]])
        await signs(caller, "sign in another's name", 9, [["h", own], job], pubkey=known["owner"])
        await signs(caller, "sign for later", 9, [["h", own], job],
                    created_at=int(time.time()) + 3600)
        await signs(caller, "sign something huge", 9, [["h", own], job], content="x" * 200_000)
        for kind in (0, 3, 4, 5, 13, 62, 1059, 9000, 9007, 10002, 10050, 22242, 24133, 30023,
                     30078, 31923, 39000, 43001, 46030):
            await signs(caller, f"sign kind {kind}", kind, [["h", own], job])
        await asks(caller, "unwrap", "unwrap", "{}")
        await asks(caller, "seal", "seal", known["owner"], "{}")
        await asks(caller, "decrypt", "nip44_decrypt", known["owner"], "x")
        await asks(caller, "encrypt", "nip44_encrypt", known["owner"], "x")
    try:
        async with connect("unix:/run/nanoclaw/relay.sock", [stranger]) as link:
            await asyncio.wait_for(link.connected(), 10)
            report["another key on this socket"] = "accepted"
    except (Refused, TimeoutError) as error:
        report["another key on this socket"] = str(error)
    open("/workspace/group/report.json", "w").write(json.dumps(report))

asyncio.run(main())
"""

REFUSED = ("restricted", "blocked", "invalid", "unsupported", "auth-required")

# Which also name what a session may read: its own group's messages, its own grant.
ITS_OWN = ("read by both groups", "read by author", "read grants and records")


@pytest.fixture(scope="module")
async def stage(
    engine: Engine, docker_client: docker.DockerClient, agent_image: str
) -> AsyncIterator[Stage]:
    async with a_stage(engine, docker_client, agent_image) as made:
        yield made


async def publish(stage: Stage, kind: int, tags: tuple[Tag, ...], content: str = "") -> Event:
    event = Template(stage.owner.public, int(time.time()), kind, tags, content).sign(
        stage.owner, token_bytes(32)
    )
    ok = await stage.client.publish(event, deadline_s=10)
    assert ok.accepted, ok.message
    return event


async def test_a_hostile_program_gets_nothing(stage: Stage) -> None:
    other = str(uuid4())
    await publish(stage, Kind.CREATE_GROUP, (("h", other),))
    secret = await publish(stage, Kind.CHAT, (("h", other),), "the other group's secret")
    known = {
        "bot": stage.roles.bot,
        "signer": stage.roles.signer,
        "owner": stage.owner.public,
        "own": stage.roles.main,
        "other": other,
        "secret": secret.id,
        "job": "ab" * 32,
    }
    async with stage.router(f"KNOWN = {json.dumps(json.dumps(known))}\n{PROGRAM}"):
        message = await stage.say("be good")
        end = await stage.end(message)
    # It said nothing and did not report itself done: the owner is told.
    assert end.kind == Kind.JOB_ERROR
    assert await stage.replies(message) == []

    path = stage.place.data / "groups" / "main" / "report.json"
    report = json.loads(path.read_text())
    assert len(report) > 40
    assert "the other group's secret" not in path.read_text()
    for name, outcome in report.items():
        if name.startswith("read") and name not in ITS_OWN:
            assert outcome == [] or str(outcome).startswith(REFUSED), (name, outcome)
        elif not name.startswith(("read", "another")):
            assert outcome.startswith(REFUSED), (name, outcome)
    for grant in report["read grants and records"]:
        assert json.loads(grant)["role"] == "session", "it read more than its own grant"
    assert "accepted" not in report["another key on this socket"]
    # Nothing of it is on the relay.
    assert [e.content for e in await stage.find(Kind.CHAT, h=other)] == [secret.content]
    assert await stage.find(0, 3, 5, 10002, 10050, 30023, 31923) == []
