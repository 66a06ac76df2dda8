"""Two groups with different people: a hostile program in one, at work in a real container with
its session's own key, tries to reach the other, main and the host. It knows what it should not."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from pathlib import Path
from secrets import token_bytes, token_hex
from shutil import copytree
from typing import Any
from uuid import uuid4

import docker
import pytest

from bot.bridges import puppets
from bot.bridges.nostr.puppets import counterpart
from bot.engine.host import Engine
from config.roles import read_key
from nips.event import Event, Tag, Template
from nips.filter import Filter
from nips.key import SecretKey
from nips.kinds import Kind
from nips.own import binding as bindings
from nips.own.binding import Binding
from nips.own.once import once_key
from relay_local.client import Delivery, Link, connect
from tests.figures import figure, seed
from tests.image.stage import LIMITS as STAGE_LIMITS
from tests.image.stage import Stage, a_stage

HOSTILE = Path(__file__).with_name("hostile")
COMMAND = (
    "import runpy, sys; sys.path.insert(0, '/workspace/group');"
    "runpy.run_module('tests.image.hostile', run_name='__main__')"
)
TRIGGER = "please"
SECRET_WORD = "quincetart"
OWN_WORD = "picnicbasket"
LEAST_ATTEMPTS = 60
LIMITS = replace(STAGE_LIMITS, wall_clock_s=120)

Known = dict[str, Any]
Report = dict[str, dict[str, dict[str, str]]]  # controls or attempts, by name, what was seen


@dataclass(frozen=True, slots=True)
class Conversation:
    """A group with a person of its own on the network, whose puppet speaks here."""

    group: str
    folder: str
    puppet: SecretKey
    link: Link

    async def say(self, text: str, *tags: Tag) -> Event:
        return await put(self.link, self.puppet, Kind.CHAT, (("h", self.group), *tags), text)


async def put(
    link: Link, key: SecretKey, kind: int, tags: tuple[Tag, ...], content: str = ""
) -> Event:
    event = Template(key.public, int(time.time()), kind, tags, content).sign(key, token_bytes(32))
    ok = await link.publish(event, deadline_s=10)
    assert ok.accepted, ok.message
    return event


@pytest.fixture(scope="module")
async def stage(
    engine: Engine, docker_client: docker.DockerClient, agent_image: str
) -> AsyncIterator[Stage]:
    async with a_stage(engine, docker_client, agent_image) as made:
        yield made


async def a_conversation(stage: Stage, link: Link, folder: str) -> Conversation:
    """Register a group as router and owner do, and let its person's puppet in as a bridge does."""
    group, person = str(uuid4()), SecretKey.generate(token_bytes).public
    router, bridge = (read_key(stage.place.key(name)) for name in ("router", "bridge-nostr"))
    puppet = puppets.puppet_key(bridge, counterpart(person))
    await put(stage.client, stage.owner, Kind.CREATE_GROUP, (("h", group),))
    shut: tuple[Tag, ...] = (("private",), ("restricted",), ("closed",), ("hidden",))
    await put(stage.client, stage.owner, Kind.EDIT_METADATA, (("h", group), *shut))
    await put(stage.client, stage.owner, Kind.PUT_USER, (("h", group), ("p", stage.roles.bot)))
    bound = Binding(group, folder, (counterpart(person),), TRIGGER)
    async with connect(stage.place.relay_address, [router]) as house:
        template = bindings.template(bound, router.public, int(time.time()))
        ok = await house.publish(template.sign(router, token_bytes(32)), deadline_s=10)
        assert ok.accepted, ok.message
    await link.authenticate(puppet)
    made = puppets.membership_template(
        bridge.public, group, puppet.public, token_hex(32), counterpart(person), int(time.time())
    )
    ok = await link.publish(made.sign(bridge, token_bytes(32)), deadline_s=10)
    assert ok.accepted, ok.message
    return Conversation(group, folder, puppet, link)


def furnish(stage: Stage, conversation: Conversation, known: Known) -> Path:
    """Put the program and what it knows into the group's folder; returns the folder."""
    folder = stage.place.data / "groups" / conversation.folder
    folder.mkdir(parents=True, exist_ok=True)
    for above in (folder.parent, stage.place.data):
        above.chmod(0o700)
    folder.chmod(0o777)
    copytree(HOSTILE, folder / "tests" / "image" / "hostile", dirs_exist_ok=True)
    (folder / "known.json").write_text(json.dumps(known))
    (folder / "MEMORY.md").write_text(SECRET_WORD if conversation.folder == "victim" else "mine")
    return folder


async def appears(path: Path, timeout_s: float = 60) -> Any:
    """The JSON that a container writes, once it is there."""
    async with asyncio.timeout(timeout_s):
        while not await asyncio.to_thread(path.exists):
            await asyncio.sleep(0.02)  # another process's file: there is no event to wait for
    return json.loads(await asyncio.to_thread(path.read_text))


async def speak_meanwhile(stage: Stage, victim: Conversation, hostile: Conversation) -> None:
    """Once the hostile program says that it listens, say something in both groups."""
    wanted = Filter(kinds=frozenset({43_003}), tags={"h": frozenset({hostile.group})})
    async with stage.client.subscribe([wanted]) as stream:
        async for item in stream:
            if isinstance(item, Delivery) and item.event.content == "listening":
                break
    await victim.say(f"{SECRET_WORD}, live")
    await hostile.say("go on")


@dataclass(frozen=True, slots=True)
class Ran:
    """What came of it all. report: the hostile program's; next_said: what the other group's
    program was answered when it spoke after that."""

    reports: list[Report]
    next_said: str
    known: Known
    stage: Stage
    victim: Conversation
    hostile: Conversation
    before: dict[str, Event]


@pytest.fixture(scope="module")
async def ran(stage: Stage) -> AsyncIterator[Ran]:
    bridge = read_key(stage.place.key("bridge-nostr"))
    router = read_key(stage.place.key("router"))
    async with connect(stage.place.relay_address, [bridge]) as link:
        victim = await a_conversation(stage, link, "victim")
        hostile = await a_conversation(stage, link, "mallory")
        once = once_key("a message from outside")
        message = await victim.say(
            f"the {SECRET_WORD} is hidden", ("o", once), ("proxy", "ab" * 32, "nostr")
        )
        own_message = await hostile.say(f"remember the {OWN_WORD}")
        await victim.say("and so it is", ("q", message.id))
        await put(link, victim.puppet, Kind.REACTION, (("h", victim.group), ("e", message.id)), "+")
        await put(link, victim.puppet, Kind.PROFILE, (), f'{{"name":"{SECRET_WORD}"}}')
        await put(link, bridge, Kind.GIFT_WRAP, (("p", stage.roles.bot),), SECRET_WORD)
        task = f"{victim.group}/{uuid4()}"
        async with connect(stage.place.relay_address, [router]) as house:
            await put(
                house, router, 31_923,
                (("d", task), ("h", victim.group), ("title", SECRET_WORD), ("start", "1"), ("-",)),
                SECRET_WORD,
            )  # fmt: skip
        sessions = stage.place.data / "sessions" / "victim"
        (sessions / ".claude").mkdir(parents=True)
        (sessions / ".claude" / "session").write_text(SECRET_WORD)
        unsent = Template(
            stage.owner.public, int(time.time()), Kind.CHAT, (("h", victim.group),), "unsent"
        ).sign(stage.owner, token_bytes(32))
        owners = await put(
            stage.client, stage.owner, Kind.CHAT, (("h", hostile.group),), "by the owner"
        )
        shared: Known = {
            "signer": stage.roles.signer,
            "router": stage.roles.router,
            "bot": stage.roles.bot,
            "owner": stage.owner.public,
            "main": stage.roles.main,
            "secret_word": SECRET_WORD,
            "own_word": OWN_WORD,
            "said_once": once_key("the victim's first words"),
            "next_once": once_key("the victim's next words"),
            "over": "it is over",
            "other_abstract": f"victim-{token_hex(4)}",
            "other_port": 47_123,
            "other_mark": f"mark-{token_hex(8)}",
            "shm_key": 0x6E63,
        }
        folder = furnish(
            stage, victim, shared | {"part": "victim", "own": victim.group, "other": hostile.group}
        )
        with (
            socket.create_server(("127.0.0.1", 0)) as port,
            socket.socket(socket.AF_UNIX) as abstract,
        ):
            name = f"host-{token_hex(4)}"
            abstract.bind(f"\0{name}")
            abstract.listen()
            async with stage.router(COMMAND, LIMITS):
                work = await victim.say(f"{TRIGGER} work")
                ready = await appears(folder / "ready.json")
                session = SecretKey(bytes.fromhex(ready["key"])).public
                known = shared | {
                    "part": "hostile",
                    "own": hostile.group,
                    "own_capitals": hostile.group.upper(),
                    "other": victim.group,
                    "fresh": str(uuid4()),
                    "message": message.id,
                    "message_prefix": message.id[:8],
                    "message_at": message.created_at,
                    "own_message": own_message.id,
                    "person": victim.puppet.public,
                    "once": once,
                    "other_job": ready["job"],
                    "other_session": session,
                    "other_short": session[:16],
                    "stolen": ready["key"],
                    "task": task,
                    "own_task": f"{hostile.group}/{task.partition('/')[2]}",
                    "task_address": f"31923:{stage.roles.router}:{task}",
                    "group_d": f"group/{victim.group}",
                    "main_d": f"group/{stage.roles.main}",
                    "grant_d": f"grant/{session}",
                    "order_d": f"order/{message.id}",
                    "persona_d": f"persona/{victim.group}",
                    "owners_event": owners.to_json(),
                    "unsent_event": unsent.to_json(),
                    "go_on": "go on",
                    "seed": seed,
                    "data": str(stage.place.data),
                    "run": str(stage.place.run),
                    "engine": stage.engine.url.removeprefix("unix://"),
                    "host_port": port.getsockname()[1],
                    "host_abstract": name,
                    "host_pid": os.getpid(),
                }
                mine = furnish(stage, hostile, known)
                before = await everything(stage)
                reports = []
                for _ in range(figure("isolation")):
                    speaking = asyncio.create_task(speak_meanwhile(stage, victim, hostile))
                    begun = await hostile.say(f"{TRIGGER} begin")
                    await stage.end(begun, LIMITS.wall_clock_s)
                    assert not (mine / "crash.json").exists(), (mine / "crash.json").read_text()
                    await asyncio.wait_for(speaking, 10)
                    reports.append(json.loads((mine / "report.json").read_text()))
                    (mine / "report.json").unlink()
                await victim.say(shared["over"])
                last = await appears(folder / "report.json")
                await stage.end(work)
                yield Ran(reports, last["next"], known, stage, victim, hostile, before)


async def everything(stage: Stage) -> dict[str, Event]:
    """All that the relay holds, by id, as the router sees it."""
    router = read_key(stage.place.key("router"))
    found: dict[str, Event] = {}
    async with (
        connect(stage.place.relay_address, [router]) as house,
        house.subscribe([Filter()], after_seq=0) as stream,
    ):
        async for item in stream:
            if not isinstance(item, Delivery):
                return found
            found[item.event.id] = item.event
    raise AssertionError("a subscription ends by an exception only")


def test_what_the_group_may_do_gets_through(ran: Ran) -> None:
    """Else the attempts would show nothing."""
    for report in ran.reports:
        assert {name: seen for name, seen in report["controls"].items() if "got" not in seen} == {}


def test_no_attempt_gets_through(ran: Ran) -> None:
    assert len(ran.reports) == figure("isolation")
    for report in ran.reports:
        attempts = report["attempts"]
        assert len(attempts) >= LEAST_ATTEMPTS
        assert {name: seen for name, seen in attempts.items() if "got" in seen} == {}
        assert all(seen["guard"] for seen in attempts.values())


def test_nothing_of_the_other_group_was_seen(ran: Ran) -> None:
    text = json.dumps(ran.reports)
    assert SECRET_WORD not in text
    assert OWN_WORD in text


async def test_the_relay_holds_nothing_of_the_hostile_groups_elsewhere(ran: Ran) -> None:
    """Every event since then that is not of the house or of its people is the bot's word in the
    hostile group itself, its session's progress, or what the other group's program said."""
    after = await everything(ran.stage)
    fresh = [event for known_id, event in after.items() if known_id not in ran.before]
    known, roles = ran.known, ran.stage.roles
    house = {roles.router, roles.signer, roles.relay, ran.victim.puppet.public}
    people = {ran.hostile.puppet.public, ran.stage.owner.public}
    for event in fresh:
        where = event.values("h")
        if event.pubkey == roles.bot and where == [ran.victim.group]:
            assert event.content == "and this was said"
        elif event.pubkey not in house | people:
            assert where == [ran.hostile.group], event
            assert event.kind in (Kind.CHAT, Kind.JOB_PROGRESS), event
            assert known["message"] not in json.dumps(event.to_json())
    assert ran.before.keys() <= after.keys() | replaced(ran.before, after)


def replaced(before: dict[str, Event], after: dict[str, Event]) -> set[str]:
    """Ids of records that have a newer version: grants renewed, places moved on."""
    places = {(event.pubkey, event.kind, event.tag("d")) for event in after.values()}
    return {
        event.id
        for event in before.values()
        if event.kind >= 30_000 and (event.pubkey, event.kind, event.tag("d")) in places
    }


async def test_the_other_group_still_speaks(ran: Ran) -> None:
    """Its once-key was used in the hostile group before: it is another one there, for the signer
    and for the relay."""
    assert json.loads(ran.next_said)["content"] == "and this was said"
    said = [event.content for event in await ran.stage.find(Kind.CHAT, h=ran.victim.group)]
    assert "and this was said" in said


async def test_main_is_as_it_was(ran: Ran) -> None:
    members = await ran.stage.find(39_002, d=ran.stage.roles.main)
    people = {tag[1] for tag in members[-1].tags if tag[0] == "p"}
    assert people == {ran.stage.owner.public, ran.stage.roles.bot}
    (metadata,) = await ran.stage.find(39_000, d=ran.stage.roles.main)
    assert {"private", "restricted", "closed", "hidden"} <= {tag[0] for tag in metadata.tags}


def test_the_hosts_own_look_at_the_folder_follows_nothing(ran: Ran) -> None:
    """The link that the program left is there, and what the host reads does not pass it."""
    folder = ran.stage.place.data / "groups" / ran.hostile.folder
    assert (folder / "link-to-victim").is_symlink()
    secret = ran.stage.place.data / "groups" / "victim" / "MEMORY.md"
    assert secret.read_text() == SECRET_WORD
    assert secret.stat().st_nlink == 1
