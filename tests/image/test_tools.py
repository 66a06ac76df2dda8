"""The agent's tools in real containers, by the plain commands: a real relay, signer and router."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import replace
from secrets import token_bytes

import docker
import pytest

from agent_image.agent.backends.builtin import HEARD
from agent_image.agent.quoting import MARK
from bot.engine.host import Engine
from bot.operate.proposals import proposed, shown
from config import settings
from nips.event import Event, Template
from nips.filter import Filter
from nips.key import SecretKey
from nips.kinds import Kind
from nips.nip19 import encode_npub
from nips.own import approval
from relay_local.client import Delivery, connect
from tests.image.stage import LIMITS as STAGE_LIMITS
from tests.image.stage import Stage, a_program, a_stage
from tests.image.test_requests import a_group, answered, command, notice, say

LIMITS = replace(STAGE_LIMITS, wall_clock_s=60)


@pytest.fixture
async def stage(
    engine: Engine, docker_client: docker.DockerClient, agent_image: str
) -> AsyncIterator[Stage]:
    async with a_stage(engine, docker_client, agent_image) as made:
        yield made


async def first(stage: Stage, wanted: Filter) -> Event:
    """The first event that fits, stored or yet to come."""
    async with asyncio.timeout(30), stage.client.subscribe([wanted]) as stream:
        async for item in stream:
            if isinstance(item, Delivery):
                return item.event
    raise AssertionError("the subscription ended")


async def test_a_group_is_searched_and_no_other(stage: Stage) -> None:
    async with stage.router(limits=LIMITS):
        family = await a_group(stage, "Family")
        await answered(stage, stage.roles.main, "/say the bittern booms in main")
        await answered(stage, family.group, "/say the bittern booms here")
        found = await answered(stage, family.group, "/search bittern here")
        assert f"{MARK}the bittern booms here" in found
        assert "main" not in await answered(stage, family.group, "/search bittern")


async def test_an_article_is_published_after_the_owners_yes(stage: Stage) -> None:
    async with stage.router(limits=LIMITS):
        said = await answered(stage, stage.roles.main, "/article Herons\n# Herons\nThey wait.")
        assert said.startswith("I asked the owner: ")
        assert "nostr:naddr1" in said
        asked = await first(stage, Filter(kinds=frozenset({int(Kind.APPROVAL_ASKED)})))
        gate = approval.parse_gate(asked)
        yes = approval.answer(stage.owner.public, gate.run, int(time.time()), yes=True)
        ok = await stage.client.publish(yes.sign(stage.owner, token_bytes(32)), deadline_s=10)
        assert ok.accepted, ok.message
        article = await first(stage, Filter(kinds=frozenset({int(Kind.ARTICLE)})))
        article.verify()
        assert (article.pubkey, article.tag("d")) == (stage.roles.bot, "herons")
        assert article.content == "# Herons\nThey wait."
        said = await answered(stage, stage.roles.main, "/draft Herons\nThey fly.")
        assert "kept for the owner alone, the draft herons" in said
        draft = await first(stage, Filter(kinds=frozenset({int(Kind.DRAFT)})))
        assert draft.values("published_at") == article.values("published_at")
        said = await answered(stage, stage.roles.main, "/publish herons")
        assert "a new version of the article" in said


async def test_the_owner_is_asked_and_the_answer_wakes_the_agent(stage: Stage) -> None:
    async with stage.router(limits=LIMITS):
        family = await a_group(stage, "Family")
        said = await answered(stage, family.group, "/askowner May I?\n/approve ghkmnp")
        assert said.startswith("asked; your owner has an hour")
        shown = await notice(stage, "❓ The agent of “Family” asks you")
        assert "│ May I?\n│ /approve ghkmnp\n" in shown
        code = re.search(r"^/approve ([g-z]{6}) is a yes", shown, re.MULTILINE)
        assert code
        # The agent itself answers nothing, whatever it says.
        await answered(stage, family.group, f"/say /approve {code[1]}")
        assert (await command(stage, f"/deny {code[1]}"))["text"].startswith("Your no was told")
        answer = next(
            event
            for event in await stage.find(Kind.CHAT, h=family.group)
            if event.tag("owner-answer") == "no"
        )
        await stage.dealt_with(answer)
        (reply,) = await stage.replies(answer)
        assert reply.content == HEARD
        heard = await say(stage, family.group, "/search owner's answer is no")
        await stage.dealt_with(heard)
        (reply,) = await stage.replies(heard)
        assert "the program that runs you" in reply.content


async def test_public_relays_are_asked_by_the_bridge_for_main_alone(stage: Stage) -> None:
    data, somebody = stage.place.data, SecretKey.generate(token_bytes)
    async with AsyncExitStack() as stack:
        public = []
        for number, text in enumerate(("a heron waits", "two herons fly")):
            arguments = ["-m", "relay_local", "--open", "--listen", "127.0.0.1:0"]
            arguments += ["--data", str(data / f"public-{number}")]
            log = data / f"public-{number}.log"
            line = await stack.enter_async_context(a_program(log, "relay: ready", arguments))
            public.append(line.split()[2])
            link = await stack.enter_async_context(connect(public[-1], [somebody]))
            note = Template(somebody.public, int(time.time()), Kind.NOTE, (), text)
            ok = await link.publish(note.sign(somebody, token_bytes(32)), deadline_s=10)
            assert ok.accepted, ok.message
        settings.write(data, {"listen": "127.0.0.1:0", "relays": tuple(public)})
        bridge = ["-m", "tests.unit.bot.bridges.nostr.bridge_process"]
        bridge += [str(data), str(stage.place.run)]
        async with (
            stage.router(limits=LIMITS),
            a_program(data / "bridge.log", "bridge: ready", bridge),
        ):
            family = await a_group(stage, "Family")
            while "2 relays were asked" not in (
                said := await answered(stage, stage.roles.main, "/query heron")
            ):
                assert "no public relay is connected" in said or "1 relays" in said
            assert f"{MARK}a heron waits" in said
            assert "two herons" not in said
            assert f"by {encode_npub(somebody.public)}, id " in said
            note_id = re.search("id ([0-9a-f]{64}):", said)
            assert note_id
            said = await answered(stage, stage.roles.main, f"/reply {note_id[1]} It does")
            assert said.startswith("Signed and published, kind 1, id ")
            authors, kinds = frozenset({stage.roles.bot}), frozenset({int(Kind.NOTE)})
            reply = await first(stage, Filter(authors=authors, kinds=kinds))
            assert reply.tags[:2] == (
                ("e", note_id[1], "", "root", somebody.public), ("p", somebody.public),
            )  # fmt: skip
            for text in ("/query heron", f"/like {note_id[1]}", f"/reply {note_id[1]} Mine"):
                said = await answered(stage, family.group, text)
                assert "the owner's own conversation" in said


async def test_a_change_is_proposed_and_waits_on_the_machine(stage: Stage) -> None:
    patch = "--- /dev/null\n+++ b/docs/hello.md\n@@ -0,0 +1 @@\n+Hello.\n"
    async with stage.router(limits=LIMITS):
        family = await a_group(stage, "Family")
        said = await answered(stage, family.group, f"/propose Mine\n{patch}")
        assert "the owner's own conversation only" in said
        said = await answered(stage, stage.roles.main, f"/propose Say hello\n{patch}")
        assert said.startswith("proposed. Nothing is changed by it")
    (one,) = await proposed(stage.place)
    assert (one.title, one.text) == ("Say hello", patch)
    assert "│ +Hello." in shown(one)
