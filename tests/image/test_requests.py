"""What agents ask the router, from real containers: each method by the plain commands, and by a
hostile program with the session's own key, which knows what it should not."""

from __future__ import annotations

import asyncio
import json
import re
import time
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from secrets import token_bytes, token_hex
from typing import Any

import docker
import pytest

from bot.engine.host import Engine
from config.roles import read_key
from nips.event import Event, Template
from nips.filter import Filter
from nips.kinds import Kind
from nips.own import binding as bindings
from nips.own import persona as personas
from nips.own.binding import Binding
from nips.own.persona import Persona
from relay_local.client import Caller, Delivery, connect
from tests.image.stage import LIMITS as STAGE_LIMITS
from tests.image.stage import Stage, a_stage

LIMITS = replace(STAGE_LIMITS, wall_clock_s=60)
NOTHING_S = 2.0  # for an answer that must not come

# Asks for everything, and leaves a report in its group's folder.
PROGRAM = """
import asyncio, json, os, secrets, sys, time
from nips import nip44, nip46
from nips.event import Event, Template
from nips.key import SecretKey
from nips.refusal import Refused
from relay_local.client import Caller, Unanswered, connect

key = SecretKey(bytes.fromhex(sys.stdin.readline().strip()))
known = json.loads(KNOWN)
report = {}
OUT, GROUP = "/workspace/ipc/out/", "/workspace/group/"

async def asks(caller, name, method, *params, **options):
    for _ in range(5):
        try:
            report[name] = "granted: " + await caller.call(
                method, *params, **({"deadline_s": 20} | options))
        except Refused as error:
            report[name] = str(error.refusal)
        except Unanswered:
            report[name] = "silence"
        if not report[name].startswith("rate-limited"):
            return
        await asyncio.sleep(2)

def sealed(author, request, to):
    payload = nip44.encrypt(request.to_json(), nip44.conversation_key(author, to),
                            secrets.token_bytes(32), extended=True)
    return nip46.envelope(author.public, to, payload, int(time.time()))

async def sends(link, name, event):
    ok = await link.publish(event, deadline_s=10)
    report[name] = "accepted" if ok.accepted else ok.message

def sign(template, author=key):
    return template.sign(author, secrets.token_bytes(32))

def make_files():
    open(OUT + "mine.txt", "w").write("mine")
    for name, to in (("link", "/etc/passwd"), ("key", "../../../../keys/router"),
                     ("other", "/workspace/group/MEMORY.md"), ("loop", "loop")):
        os.symlink(to, OUT + name)
    os.mkfifo(OUT + "fifo")
    os.mkdir(OUT + "folder")
    open(OUT + "empty", "w").close()
    for size, name in ((26 << 20, "large"), (10 << 30, "huge")):
        with open(OUT + name, "wb") as file:
            try:
                file.truncate(size)
            except OSError:
                file.truncate(26 << 20)

async def main():
    router, group = known["router"], known["group"]
    make_files()
    async with connect("unix:/run/nanoclaw/relay.sock", [key]) as link:
        caller = Caller(link, key, router)
        await asks(caller, "list", "list_groups")
        await asks(caller, "register", "register_group", "Mine too")
        await asks(caller, "register with people", "register_group", "Eve", known["eve"])
        await asks(caller, "speak in main", "send_to_group", "main", "I am the owner")
        await asks(caller, "speak in main by id", "send_to_group", known["main"], "x")
        await asks(caller, "speak in two", "send_to_group", group, "x", "h", known["main"])
        await asks(caller, "set main", "set_group", "main", '{"agents":true}')
        await asks(caller, "set main by id", "set_group", known["main"], '{"paused":true}')
        await asks(caller, "take main's people", "set_group", known["main"],
                   json.dumps({"add": [known["eve"]]}))
        await asks(caller, "persona of all", "set_persona", "everywhere", '{"name":"Eve"}')
        await asks(caller, "persona of main", "set_persona", known["main"], '{"name":"Eve"}')
        await asks(caller, "a folder", "set_group", "", '{"folder":"main"}')
        await asks(caller, "two fields of one name", "set_group", "", '{"h":["a","b"]}')
        await asks(caller, "bridge's", "stranger", "nostr", known["eve"], "Eve")
        await asks(caller, "console's", "command", "/group main agents on")
        await asks(caller, "proxy's", "spent", "{}")
        await asks(caller, "no method", "wipe_everything")
        for name in ("../mine.txt", "/etc/passwd", "..", "", "link", "key", "other", "loop",
                     "fifo", "folder", "empty", "large", "huge", "none",
                     "../../" + known["run"] + "/out/mine.txt", "folder/../mine.txt"):
            await asks(caller, "file " + name, "send_file", name)
        await asks(caller, "replay 1", "send_file", "mine.txt", request_id="once")
        await asks(caller, "replay 2", "send_file", "mine.txt", request_id="once")
        await asks(caller, "another body", "send_file", "none", request_id="once")
        await asyncio.sleep(4)  # so that these are not refused for coming too fast
        again = sign(sealed(key, nip46.Request("bytes", "send_file", ("mine.txt",)), router))
        await sends(link, "the bytes", again)
        await sends(link, "the same bytes", again)
        await asks(caller, "wait", "set_group", "", '{"paused":false}')
        fake = SecretKey.generate(secrets.token_bytes)
        listed = nip46.Request("x", "list_groups")
        for name, tags in (("two receivers", (("p", router), ("p", known["signer"]))),
                           ("a group's tag", (("p", router), ("h", known["main"]))),
                           ("two groups' tags", (("p", router), ("h", group), ("h", group)))):
            template = sealed(key, listed, router)
            await sends(link, name, sign(Template(
                template.pubkey, template.created_at, template.kind, tags, template.content)))
        own = sign(sealed(key, listed, router))
        await sends(link, "in the bridge's name", Event(
            own.id, known["bridge"], own.created_at, own.kind, own.tags, own.content, own.sig))
        await asks(Caller(link, fake, router), "a key of its own", "list_groups", deadline_s=2)
        if os.path.exists(GROUP + "key"):
            dead = SecretKey(bytes.fromhex(open(GROUP + "key").read()))
            await asks(Caller(link, dead, router), "a dead session's key", "set_group", "",
                       '{"paused":true}', deadline_s=2)
    open(GROUP + "key", "w").write(key.raw.hex())
    open(GROUP + "report.json", "w").write(json.dumps(report))

asyncio.run(main())
"""
GRANTED = {"replay 1", "replay 2", "wait"}
ACCEPTED = {"the bytes", "the same bytes"}
SILENT = {"a key of its own", "a dead session's key"}
REFUSED = ("restricted: ", "invalid: ", "blocked: ", "rate-limited: ")


@pytest.fixture
async def stage(
    engine: Engine, docker_client: docker.DockerClient, agent_image: str
) -> AsyncIterator[Stage]:
    async with a_stage(engine, docker_client, agent_image) as made:
        yield made


async def command(stage: Stage, text: str) -> dict[str, Any]:
    """A command of the machine's command line."""
    key = read_key(stage.place.key("console"))
    async with connect(stage.place.relay_address, [key]) as link:
        caller = Caller(link, key, stage.roles.router)
        answer: dict[str, Any] = json.loads(await caller.call("command", text, deadline_s=20))
        assert answer["ok"], answer
        return answer


async def a_group(stage: Stage, name: str) -> Binding:
    """A conversation that every message of the owner's wakes."""
    await command(stage, f"/group new {name} trigger none")
    return next(one for one in await bound(stage) if one.folder == name.lower())


async def bound(stage: Stage) -> list[Binding]:
    records = await stage.as_router([Kind.APP_DATA])
    return [
        bindings.parse(event, stage.roles.router)
        for event in records
        if (event.tag("d") or "").startswith("group/")
    ]


async def say(stage: Stage, group: str, text: str) -> Event:
    """A message of the owner's in a group."""
    tags = (("h", group), ("nonce", token_hex(4)))
    event = Template(stage.owner.public, int(time.time()), Kind.CHAT, tags, text).sign(
        stage.owner, token_bytes(32)
    )
    ok = await stage.client.publish(event, deadline_s=10)
    assert ok.accepted, ok.message
    return event


async def answered(stage: Stage, group: str, text: str) -> str:
    """What the bot answers to a message."""
    message = await say(stage, group, text)
    await stage.dealt_with(message)
    (reply,) = await stage.replies(message)
    return reply.content


async def said_by_router(stage: Stage, group: str) -> list[Event]:
    said = await stage.find(Kind.CHAT, h=group)
    return [event for event in said if event.pubkey == stage.roles.router]


async def notice(stage: Stage, beginning: str) -> str:
    """Wait for a notice in main."""
    wanted = Filter(kinds=frozenset({9}), tags={"h": frozenset({stage.roles.main})})
    async with asyncio.timeout(30), stage.client.subscribe([wanted]) as stream:
        async for item in stream:
            if isinstance(item, Delivery) and item.event.content.startswith(beginning):
                return item.event.content
    raise AssertionError("the subscription ended")


async def test_main_asks_for_what_is_mains(stage: Stage) -> None:
    main = stage.roles.main
    async with stage.router(limits=LIMITS):
        await answered(stage, main, "/run printf words > report.txt")
        said = await answered(stage, main, "/sendfile report.txt")
        assert said == "report.txt (5 B) was handed over and announced here."
        (announced,) = [
            event for event in await said_by_router(stage, main) if event.content.startswith("📎")
        ]
        path = Path(announced.content.rpartition(": ")[2])
        assert path.read_text() == "words"
        assert path.parent == stage.place.data / "files" / "main"
        said = await answered(stage, main, "/newconversation Family")
        assert said == "Family is a conversation now; its folder is family."
        listed = await answered(stage, main, "/conversations")
        family = next(one for one in await bound(stage) if one.folder == "family")
        assert f"“Family” ({family.group[:8]}): folder family" in listed
        said = await answered(stage, main, "/tell family dinner at 8")
        assert said == "Said in “Family”."
        (there,) = await said_by_router(stage, family.group)
        assert there.content == "dinner at 8"
        assert await stage.find(Kind.JOB_REQUEST, h=family.group) == []
        assert await answered(stage, main, '/rules family {"trigger":null}') != ""
        assert (await notice(stage, "❓ The agent of main asks")).count("every message wakes it")
        records = await stage.as_router([Kind.APP_DATA])
        assert not any(personas.is_persona(event) for event in records)
        said = await answered(stage, main, "/myname Ada")
        assert said == "I am Ada here."
        records = await stage.as_router([Kind.APP_DATA])
        (own,) = [event for event in records if personas.is_persona(event)]
        assert personas.parse(own, stage.roles.router) == (main, Persona("Ada"))


async def test_a_group_narrows_itself_and_the_owner_widens_it(stage: Stage) -> None:
    async with stage.router(limits=LIMITS):
        family = await a_group(stage, "Family")
        said = await answered(stage, family.group, "/conversations")
        assert said.startswith("That did not work: this can be asked for in the owner's own")
        said = await answered(stage, family.group, "/tell main hello")
        assert said.startswith("That did not work: ")
        said = await answered(stage, family.group, "/help")
        assert said.startswith("I am nostrclaw. I answer plain commands:")
        said = await answered(stage, family.group, '/rules {"agents":true,"budget":{"runs":90}}')
        assert said.startswith("Done: at most 90 runs a day. For the rest the owner was asked")
        asked = await notice(stage, "❓ The agent of “Family” asks for this:")
        assert "• in “Family”: other agents may wake it\n" in asked
        code = re.search(r"/approve ([g-z]{6}) ", asked)
        assert code
        # An agent that has seen the code approves nothing with it.
        await answered(stage, family.group, f"/say /approve {code[1]}")
        assert not next(one for one in await bound(stage) if one.folder == "family").agents
        assert "other agents may wake it" in (await command(stage, f"/approve {code[1]}"))["text"]
        found = next(one for one in await bound(stage) if one.folder == "family")
        assert (found.agents, found.budget.runs) == (True, 90)


async def test_a_new_name_wakes_it_at_once(stage: Stage) -> None:
    async with stage.router(limits=LIMITS):
        await command(stage, "/group new Club")
        club = next(one for one in await bound(stage) if one.folder == "club")
        assert await answered(stage, club.group, "@nostrclaw /myname Ada") == "I am Ada here."
        told = await notice(stage, "ℹ️ In “Club” its agent changed its name")
        assert told.endswith("from “nostrclaw” to “Ada”.")
        old = await say(stage, club.group, "@nostrclaw /say hello")
        assert await answered(stage, club.group, "@ada, /say hello") == "hello"
        assert await stage.find(Kind.JOB_REQUEST, e=old.id) == []


async def test_a_hostile_program_gets_nothing_of_others(stage: Stage) -> None:
    eve = "npub1sn0wdenkukak0d9dfczzeacvhkrgz92ak56egt7vdgzn8pv2wfqqhrjdv9"
    known = {
        "router": stage.roles.router,
        "signer": stage.roles.signer,
        "bridge": stage.roles.bridges["nostr"],
        "main": stage.roles.main,
        "eve": eve,
        "run": "ab" * 8,
    }
    async with stage.router(limits=LIMITS):
        family = await a_group(stage, "Family")
        before = {one.group: one for one in await bound(stage)}
        said_before = len(await said_by_router(stage, stage.roles.main))
    program = f"KNOWN = {json.dumps(json.dumps(known | {'group': family.group}))}\n{PROGRAM}"
    path = stage.place.data / "groups" / "family" / "report.json"
    for run in (1, 2):  # the second has the key of the first
        async with stage.router(program, LIMITS):
            await stage.end(await say(stage, family.group, "be good"))
        report: dict[str, str] = json.loads(path.read_text())
        assert len(report) > 40
        for name, outcome in report.items():
            if name in GRANTED:
                assert outcome.startswith("granted: "), (name, outcome)
            elif name in ACCEPTED:
                assert outcome == "accepted" or outcome.startswith("duplicate"), (name, outcome)
            elif name in SILENT:
                assert outcome == "silence", (name, outcome)
            else:
                assert outcome.startswith(REFUSED), (name, outcome)
        assert ("a dead session's key" in report) == (run == 2)
    # Once for the two requests of one id, once for the bytes that came twice, in each run; a run
    # that has handed something over is not made again.
    said = await said_by_router(stage, family.group)
    files = [event for event in said if event.content.startswith("📎")]
    assert [event.content.splitlines()[0] for event in files] == ["📎 mine.txt (4 B)"] * 4
    kept = [path.read_bytes() for path in (stage.place.data / "files" / "family").iterdir()]
    assert kept == [b"mine"]
    assert {one.group: one for one in await bound(stage)} == before
    about_jobs = [
        event.content
        for event in (await said_by_router(stage, stage.roles.main))[said_before:]
        if not event.content.startswith("In family: I could not finish that")
    ]
    assert about_jobs == []
