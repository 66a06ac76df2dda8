"""Approvals through the real signer's process and a real relay: asked, answered, published."""

from __future__ import annotations

import asyncio
import json
import secrets
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, replace

import orjson
import pytest

from nips import nip59
from nips.event import Event, Template
from nips.filter import Filter
from nips.key import SecretKey
from nips.nip17 import message_template
from nips.own import approval as forms
from nips.own.grant import Rule
from nips.refusal import Prefix, Refused
from relay_local.client import Caller, Delivery, Link
from tests.figures import dice
from tests.unit.signer.asking import code_in
from tests.unit.signer.house import House, templates_json, text
from tests.unit.signer.processes import Installation, installation, short_folder
from tests.unit.signer.test_service import group, session

KILLS = 5


@dataclass
class Stage:
    """A running relay and signer, main with its owner, an agent that asks, a bridge."""

    place: Installation
    agent: Caller
    bridge: Caller
    owner: Link
    router: Link

    async def ask(self, name: str, ahead_s: int = 0) -> Template:
        """The agent asks for a profile, and is told at once that the owner was asked."""
        template = self.place.template(0, content=json.dumps({"name": name}))
        template = replace(template, created_at=template.created_at + ahead_s)
        with pytest.raises(Refused) as refused:
            await self.agent.call("sign_event", templates_json(template), deadline_s=10)
        assert refused.value.refusal.prefix is Prefix.PENDING
        assert refused.value.refusal.sentence.startswith(template.id)
        await self.event(46_010, template.id)  # the relay takes no answer before its gate
        return template

    async def event(self, kind: int, *words: str) -> Event:
        """The first event of a kind, now or later, with these words in its content."""
        wanted = Filter(kinds=frozenset({kind}))
        async with asyncio.timeout(15), self.owner.subscribe([wanted]) as stream:
            async for item in stream:
                if isinstance(item, Delivery) and all(w in item.event.content for w in words):
                    return item.event
        raise AssertionError("the subscription ended")

    async def profiles(self) -> list[Event]:
        return await self.owner.fetch([Filter(kinds=frozenset({0}))])

    def answer(self, run: str, *, yes: bool) -> Event:
        owner = self.place.house.owner
        template = forms.answer(owner.public, run, int(time.time()), yes=yes)
        return template.sign(owner, secrets.token_bytes(32))

    async def wrap(self, content: str, named: str = "", by: SecretKey | None = None) -> str:
        """What the owner's client wraps, as the bridge hands it to the signer."""
        author, bot = by or self.place.house.owner, self.place.bot
        kind = 7 if content in ("✅", "❌") else 14
        tags = (("p", bot), *((("e", named),) if named else ()))
        now = int(time.time())
        rumor = Template(author.public, now, kind, tags, content)
        seal = nip59.seal(rumor, author, bot, now, secrets.token_bytes(32), bytes(32))
        once = SecretKey.generate(secrets.token_bytes)
        made = nip59.wrap(seal, once, bot, now, secrets.token_bytes(32), bytes(32))
        opened = await self.bridge.call("unwrap", text(made), deadline_s=20)
        return "approval" if orjson.loads(opened).get("approval") else "mail"

    async def shown(self, words: Event) -> str:
        """The bridge has the question sealed for the owner; the id of what they see."""
        owner = self.place.house.owner.public
        rumor = message_template(self.place.bot, [owner], words.content, words.created_at)
        await self.bridge.call("seal", owner, text(rumor), deadline_s=10)
        return rumor.id


@pytest.fixture
async def stage(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Stage]:
    folder = short_folder(tmp_path_factory.mktemp("a"))
    async with installation(folder, House()) as place:
        await place.start_relay()
        await place.start_signer()
        router = await group(place)
        agent = await session(place, router, None, Rule(0, mode="ask", forbidden=("h",)))
        await place.grant(router, place.house.bridge_grant(now=int(time.time())))
        bridge = await place.caller(place.house.bridge)
        yield Stage(place, agent, bridge, await place.link(place.house.owner), router)


async def test_a_group_clients_button_is_a_yes(stage: Stage) -> None:
    template = await stage.ask("Ada")
    gate = forms.parse_gate(await stage.event(46_010, "Ada"))
    assert (gate.run, gate.approver) == (template.id, stage.place.house.owner.public)
    assert await stage.profiles() == []
    ok = await stage.owner.publish(stage.answer(gate.run, yes=True), deadline_s=10)
    assert ok.accepted, ok.message
    event = await stage.event(0, "Ada")
    event.verify()
    assert event.template == template
    await stage.event(46_005, template.id)
    await stage.event(9, "✅ Published, as you approved")
    # Who asks again gets the event, which is on the relay already.
    again = await stage.agent.call("sign_event", templates_json(template), deadline_s=10)
    assert Event.from_json(orjson.loads(again)) == event


async def test_a_reaction_inside_a_wrap_is_a_yes(stage: Stage) -> None:
    template = await stage.ask("Bob")
    rumor_id = await stage.shown(await stage.event(9, "❓", "Bob"))
    assert await stage.wrap("✅", rumor_id) == "approval"
    assert (await stage.event(0, "Bob")).template == template


async def test_words_inside_a_wrap_are_a_yes(stage: Stage) -> None:
    template = await stage.ask("Cleo")
    code = code_in((await stage.event(9, "❓", "Cleo")).content)
    assert await stage.wrap(f"approve {code}") == "approval"
    assert (await stage.event(0, "Cleo")).template == template


@pytest.mark.parametrize("way", ["event", "reaction", "words"])
async def test_a_no_is_one_in_every_way(stage: Stage, way: str) -> None:
    template = await stage.ask("Dora")
    match way:
        case "event":
            ok = await stage.owner.publish(stage.answer(template.id, yes=False), deadline_s=10)
            assert ok.accepted, ok.message
        case "reaction":
            await stage.wrap("❌", await stage.shown(await stage.event(9, "❓", "Dora")))
        case _:
            code = code_in((await stage.event(9, "❓", "Dora")).content)
            await stage.wrap(f"deny {code}")
    await stage.event(46_006, template.id, "you said no")
    await stage.event(9, "❌ Not published, as you said no")
    # Too late, and in another way.
    await stage.owner.publish(stage.answer(template.id, yes=True), deadline_s=10)
    await stage.wrap("✅", template.id)
    with pytest.raises(Refused, match="the owner was asked and said no"):
        await stage.agent.call("sign_event", templates_json(template), deadline_s=10)
    assert await stage.profiles() == []


async def test_the_relay_takes_answers_from_the_owner_alone(stage: Stage) -> None:
    template = await stage.ask("Eve")
    house = stage.place.house
    for author in (house.router, house.bridge, house.stranger):
        link = await stage.place.link(author)
        event = forms.answer(author.public, template.id, int(time.time()), yes=True)
        ok = await link.publish(event.sign(author, bytes(32)), deadline_s=10)
        assert not ok.accepted
        assert await stage.wrap("✅", template.id, by=author) == "mail"
    assert await stage.profiles() == []


async def test_kill_9_neither_loses_a_question_nor_signs_twice(
    stage: Stage, record_property: Callable[[str, object], None]
) -> None:
    """The signer is killed anywhere between the owner's yes and the end of its effects."""
    chance, place = dice("approval-kills"), stage.place
    assert place.signer is not None
    for number in range(KILLS):
        name = f"Kill {number}"
        template = await stage.ask(name, ahead_s=number)  # each profile is newer than the last
        if chance.random() < 0.5:
            await place.signer.kill()
            await place.start_signer()
        words = await stage.event(9, "❓", name)
        if number % 2:
            rumor_id = await stage.shown(words)
            answering = asyncio.create_task(stage.wrap("✅", rumor_id))
        else:
            publishing = stage.owner.publish(stage.answer(template.id, yes=True), deadline_s=20)
            answering = asyncio.create_task(accepted(publishing))
        await asyncio.sleep(chance.uniform(0, 0.03))  # anywhere in its work
        await place.signer.kill()
        await place.start_signer()
        assert await answering in ("approval", "accepted")
        event = await stage.event(0, name)
        assert event.template == template
        await stage.event(46_005, template.id)
    outcomes = await stage.owner.fetch([Filter(kinds=frozenset({46_005}))])
    assert len({event.content for event in outcomes}) == len(outcomes) == KILLS
    audit = await place.command("audit", "verify")
    assert "rows" in audit
    record_property("approvals through a kill", KILLS)


async def accepted(publishing: object) -> str:
    ok = await publishing  # type: ignore[misc]
    return "accepted" if ok.accepted else ok.message


async def test_an_owner_who_pairs_later_is_asked_and_heard(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    """Who the owner is the signer did not know when it began to read."""
    folder = short_folder(tmp_path_factory.mktemp("a"))
    house = House(named=False)
    async with installation(folder, house) as place:
        await place.start_relay()
        await place.start_signer()
        code = await place.command("pair")
        router = await group(place)
        await place.grant(router, house.bridge_grant(now=int(time.time())))
        agent = await session(place, router, None, Rule(0, mode="ask", forbidden=("h",)))
        bridge = await place.caller(house.bridge)
        stage = Stage(place, agent, bridge, router, router)
        with pytest.raises(Refused, match="no owner is named"):
            await agent.call(
                "sign_event", templates_json(place.template(0, content="early")), deadline_s=10
            )
        assert await stage.wrap(f"It is {code}") == "mail"
        stage = replace(stage, owner=await place.link(house.owner))
        template = await stage.ask("Fay")
        ok = await stage.owner.publish(stage.answer(template.id, yes=True), deadline_s=10)
        assert ok.accepted, ok.message
        assert (await stage.event(0, "Fay")).template == template
