"""/task …, carried out by a real router on a real relay: in main, and by a group's admin there."""

from __future__ import annotations

import json
import re
from datetime import datetime
from secrets import token_bytes, token_hex
from time import time
from typing import Any

import pytest

from bot.commands.authority import NO_ORDER, TOO_OLD
from bot.zones import zone_of
from nips import nip29
from nips.event import Event, Template
from nips.key import SecretKey
from nips.kinds import Kind
from nips.nip19 import encode_npub
from nips.own import job as jobs
from nips.own import task as tasks
from nips.own import task_run
from nips.own.order import MAX_AGE_S
from nips.own.task import Task
from nips.own.task_run import TaskRun
from relay_local.client import Link, connect
from tests.unit.bot.commands.stage import Stage


async def planned(stage: Stage, words: str = "", title: str = "") -> tuple[str, str]:
    """A task of its own for a test: its id's beginning, and its title."""
    title = title or f"T{token_hex(4)}"
    text = f"/task new title “{title}” tz Europe/Berlin {words} 0 16 * * 1-5 Water the plants"
    answer = await stage.ask(text)
    found = re.match(r"✅ Planned: ([0-9a-f]{8}) “(.+?)”: 0 16 \* \* 1-5, next ", answer)
    assert found, answer
    return found[1], found[2]


async def stored(stage: Stage, beginning: str) -> list[Task]:
    """The tasks whose id begins so, as the owner's client reads them."""
    router = stage.roles.router
    read = [
        tasks.parse(event, router)
        for event in await stage.find(Kind.CALENDAR_EVENT)
        if event.pubkey == router
    ]
    return [task for task in read if task.id.startswith(beginning)]


async def told(stage: Stage, command: str) -> Any:
    """What programs are told."""
    return json.loads(await stage.console(command))["data"]


async def test_from_the_first_to_the_last(stage: Stage) -> None:
    task, title = await planned(stage, "late 2h times 5")
    (made,) = await stored(stage, task)
    assert (made.group, made.zone, made.prompt) == (
        stage.roles.main, "Europe/Berlin", "Water the plants",
    )  # fmt: skip
    assert f"{task} “{title}”: 0 16 * * 1-5, next" in await stage.ask("/tasks")
    shown = await stage.ask(f"/task {title}")
    assert "A run that was missed: up to 2h late\nRuns left: 5 of 5\n" in shown
    assert "│ Water the plants" in shown

    edited = await stage.ask(f"/task edit {task} when every 90m prompt Water half of them")
    assert edited.startswith(f"✅ It is now: {task} “{title}”: every 1h30m, next ")
    (after,) = await stored(stage, task)
    assert (after.prompt, after.count) == ("Water half of them", made.count)

    assert (await stage.ask(f"/task pause {task}")).endswith("every 1h30m, paused.")
    assert (await stored(stage, task))[0].status == "paused"
    assert "Goes on: " in await stage.ask(f"/task {task} resume")
    assert (await stored(stage, task))[0].status == "active"
    assert await stage.ask(f"/task runs {task}") == f"✅ “{title}” has not run yet."

    assert await stage.ask(f"/task cancel {title}") == f"✅ Cancelled: {task} “{title}”."
    assert await stored(stage, task) == []
    assert await stage.ask(f"/task {task}") == f"❌ There is no task '{task}'."


async def test_a_run_besides_its_times_is_seen_among_the_runs(stage: Stage) -> None:
    task, title = await planned(stage)
    assert "It runs now, besides its times: " in await stage.ask(f"/task run {task}")
    (job,) = [
        event for event in await stage.find(Kind.JOB_REQUEST) if task in (event.tag("a") or "")
    ]
    runs = await stage.ask(f"/task runs {task}")
    assert f"⏳ {job.id[:8]} besides its times, " in runs or f"👀 {job.id[:8]} besides" in runs
    assert f"{job.id[:8]} main, task {task}: besides its times" in await stage.ask("/runs")
    assert f"What: the scheduled task {task} “{title}”" in await stage.ask(f"/run {job.id[:12]}")
    (run,) = await told(stage, f"/task runs {task}")
    assert (run["task"][:8], run["slot"][:3], run["delay_s"]) == (task, "now", None)
    assert (await stored(stage, task))[0].last is None
    assert "Stopped" in await stage.ask(f"/stop {job.id[:12]}")


async def test_a_run_is_shown_with_its_slot_its_delay_and_how_it_ended(stage: Stage) -> None:
    task, title = await planned(stage)
    (there,) = await stored(stage, task)
    router, group = stage.role("router"), stage.roles.main
    slot = int(time()) - 3_600
    run = TaskRun(there.address(router.public), str(slot))
    async with connect(stage.place.relay_address, [router]) as link:

        async def put(template: Template) -> Event:
            event = template.sign(router, token_bytes(32))
            await _put(link, event)
            return event

        job = await put(task_run.request(router.public, group, run, stage.roles.bot, slot + 1))
        session = SecretKey.generate(token_bytes).public
        await put(jobs.attempt(router.public, group, job.id, 1, session, slot + 4))
        await put(jobs.result(router.public, group, job.id, slot + 90))
    shown = datetime.fromtimestamp(slot, zone_of("Europe/Berlin")).strftime("%Y-%m-%d %H:%M")
    (line,) = (await stage.ask(f"/task runs {title}")).splitlines()[1:-1]
    assert re.fullmatch(rf"✅ {job.id[:8]} \w+ {shown} CES?T, 4 s late, took 1 min", line), line
    (facts,) = await told(stage, f"/task runs {task}")
    assert (facts["slot"], facts["delay_s"], facts["lasted_s"], facts["state"]) == (
        str(slot), 4, 86, "done",
    )  # fmt: skip


async def test_two_editors_cannot_overwrite_each_other(stage: Stage) -> None:
    task, title = await planned(stage)
    seen = (await told(stage, f"/task {task}"))["version"]
    assert (await stage.ask(f"/task edit {task} version {seen} prompt Mine"))[0] == "✅"
    late = await stage.ask(f"/task edit {task} version {seen} prompt Theirs")
    assert "somebody else has changed it since" in late
    assert (await stored(stage, task))[0].prompt == "Mine"
    assert title in late or "look at it again" in late


async def test_what_follows_a_calendar_event_is_shown_and_changed_like_any_other(
    stage: Stage,
) -> None:
    title = f"T{token_hex(4)}"
    tags = (
        ("d", token_hex(16)), ("title", title), ("h", stage.roles.main),
        ("start", str(int(time()) + 7_260)), ("schedule", "interval", "5400000"),
    )  # fmt: skip
    event = Template(stage.owner.public, int(time()), 31_923, tags, "Say it nicely.").sign(
        stage.owner, token_bytes(32)
    )
    await _put(stage.client, event)
    assert (await stage.first(Kind.REACTION, e=event.id)).content == "✅"
    shown = await stage.ask(f"/task {title}")
    assert "When: every 1h30m" in shown
    assert "It follows somebody's own calendar event" in shown
    assert "│ Say it nicely." in shown
    assert (await stage.ask(f"/task cancel {title}"))[0] == "✅"


async def test_in_another_conversation(stage: Stage) -> None:
    name = f"g{token_hex(4)}"
    await stage.ask(f"/group new {name} trigger none")
    task, title = await planned(stage, f"for {name}")
    assert title in await stage.ask(f"/tasks {name}")
    assert title not in await stage.ask("/tasks main")
    assert (await told(stage, f"/task {task}"))["group"] == name
    await stage.ask(f"/group {name} archive")
    answer = await stage.ask(f"/task new for {name} @daily Hi")
    assert answer == "❌ That conversation is archived: nothing is done in it."


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("/task new 0 0 31 2 * Never", "never comes"),
        ("/task new every Monday Swim", "write 0 9 * * mon for 9:00 on that weekday"),
        ("/task new tz Berlin @daily Hi", "did you mean Europe/Berlin?"),
        ("/task new every 5s Hi", "every 1m is the least"),
        ("/task new 2020-01-01T10:00 Hi", "has passed"),
        ("/task new 24.12.2026 18:00 Hi", "is no date and time: write 2026-12-24T18:00"),
        ("/task new @daily " + "x" * 10_000, "at most 8,000 bytes, and this has 10,000"),
        ("/task new for nobody-has-this @daily Hi", "There is no one group called"),
        ("/task pause nothing-like-it", "There is no task 'nothing-like-it'."),
        ("/task nonsense", "There is no task 'nonsense'."),
        ("/task new tomorrow: swim", "First say when: 0 16 * * 1-5"),
    ],
)
async def test_what_cannot_be_is_told_with_how_to_write_it(
    stage: Stage, text: str, words: str
) -> None:
    answer = await stage.ask(text)
    assert answer.startswith("❌ ")
    assert words in answer


async def test_by_direct_message_it_needs_the_owners_order(stage: Stage) -> None:
    puppet, rumor, title = await stage.puppet(), token_hex(32), f"T{token_hex(4)}"
    text = f"/task new title {title} @daily Hi"
    # Attack: the bridge says in the owner's name that a model is to work for it every day.
    message = await stage.repeat(puppet, text, token_hex(32))
    assert await stage.answer(message) == f"❌ {NO_ORDER}"
    assert title not in await stage.ask("/tasks")
    await stage.order(text, rumor)
    assert (await stage.answer(await stage.repeat(puppet, text, rumor))).startswith("✅ Planned: ")
    assert title in await stage.ask("/tasks")


# A group's admin


class Family:
    """A group with an admin and a member, who write with clients of their own."""

    def __init__(self, stage: Stage, name: str, group: str) -> None:
        self.stage, self.name, self.group = stage, name, group
        self.admin, self.member = (SecretKey.generate(token_bytes) for _ in range(2))

    @classmethod
    async def made(cls, stage: Stage) -> Family:
        name = f"g{token_hex(4)}"
        somebody = encode_npub(SecretKey.generate(token_bytes).public)
        new = f"/group new {name} trigger none with {somebody}"
        data = json.loads(await stage.console(new))["data"]
        made = cls(stage, name, data["group"])
        for key, roles in ((made.admin, ("admin",)), (made.member, ("member",))):
            put = nip29.put_user(
                stage.owner.public, made.group, key.public, roles, int(time())
            ).sign(stage.owner, token_bytes(32))
            assert (await stage.client.publish(put, deadline_s=10)).accepted
        return made

    async def say(self, by: SecretKey, text: str, *, at: int | None = None) -> Event:
        tags = (("h", self.group), ("nonce", token_hex(4)))
        event = Template(by.public, at or int(time()), Kind.CHAT, tags, text).sign(
            by, token_bytes(32)
        )
        async with connect(self.stage.url, [by]) as link:
            await _put(link, event)
        return event

    async def ask(self, text: str) -> str:
        """Said by the admin; the router's answer."""
        return await self.stage.answer(await self.say(self.admin, text))


async def _put(link: Link, event: Event) -> None:
    ok = await link.publish(event, deadline_s=10)
    assert ok.accepted, ok.message


async def test_an_admin_plans_in_their_group(stage: Stage) -> None:
    family = await Family.made(stage)
    assert await family.ask("/tasks") == "✅ Nothing is planned."
    answer = await family.ask("/task new title Plants @daily Water them")
    assert answer.startswith("✅ Planned: ")
    task = answer.split()[2]
    assert (await stored(stage, task))[0].group == family.group
    assert f"{task} “Plants”: @daily, next" in await family.ask("/tasks")
    assert "paused" in await family.ask("/task pause plants")
    assert "has not run yet" in await family.ask("/task runs plants")
    assert (await family.ask("/task new never: swim")).startswith("❌ ")
    assert "Cancelled" in await family.ask("/task cancel plants")
    # The owner may there too, with their own key.
    mine = await stage.say("/task new @daily Hi", group=family.group)
    assert (await stage.answer(mine)).startswith("✅ Planned: ")


async def test_an_admin_reaches_no_other_conversation(stage: Stage) -> None:
    """Attack: an admin of one conversation looks at another's plans, or plans there."""
    family, (secret, title) = await Family.made(stage), await planned(stage)
    for text in (
        f"/task {secret}",
        f"/task pause {secret}",
        f"/task cancel {title}",
        f"/task run {secret}",
        f"/task runs {secret}",
        f"/task edit {secret} times 5",
    ):
        answer = await family.ask(text)
        assert answer.startswith("❌ There is no task "), text
    for text in ("/tasks main", "/tasks nobody-has-this", "/task new for main @daily Hi"):
        answer = await family.ask(text)
        assert answer.endswith("Leave the name out."), text
    assert (await stored(stage, secret))[0].status == "active"


async def answered(stage: Stage, message: Event) -> bool:
    """Whether the router has answered a message, up to now."""
    found = await stage.find(Kind.CHAT, q=message.id)
    return any(event.pubkey == stage.roles.router for event in found)


async def test_in_a_group_nothing_else_is_a_command(stage: Stage) -> None:
    family = await Family.made(stage)
    texts = ("/status", "/groups", "/group main", "/runs", "/budget", "/stauts", "/schedule x y")
    said = [await family.say(family.admin, text) for text in texts]
    await stage.job(said[0])  # it is work, like any other message there
    await family.ask("/tasks")
    assert [await answered(stage, message) for message in said] == [False] * len(texts)


async def test_a_members_and_a_puppets_words_are_no_commands_there(stage: Stage) -> None:
    """Attack: a member, or the bridge in somebody's name, has the agent work for ever."""
    family = await Family.made(stage)
    text = "/task new @daily Hi"
    puppet = await stage.puppet(family.group)
    said = [
        await family.say(family.member, text),
        await stage.repeat(puppet, text, token_hex(32), group=family.group),
    ]
    old = await family.say(family.admin, text, at=int(time()) - MAX_AGE_S - 60)
    assert await stage.answer(old) == f"❌ {TOO_OLD}"
    assert await family.ask("/tasks") == "✅ Nothing is planned."
    assert [await answered(stage, message) for message in said] == [False, False]
