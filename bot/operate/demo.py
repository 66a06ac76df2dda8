"""Shell: the demonstration: a direct message becomes a container becomes a reply.

Every part is a real process, the `claude` program among them; the people are nostr-sdk clients on
public relays, one of them on Signal. What stands in for Signal's service and for the model's
provider is on loopback. It ends with `demo: ok` only if each step held.
"""

from __future__ import annotations

import asyncio
import os
import re
import signal
import sys
import tempfile
import time
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import nostr_sdk as sdk

from bot.engine.host import EngineUnavailable, engine
from bot.operate.assembly import SOURCE_TREE, AssemblyError
from bot.operate.house import House, HouseError, house
from bot.operate.image import ImageError, ensure_image
from bot.operate.person import Message, Person, person
from bot.operate.stand_ins import signal_service
from bot.operate.stand_ins.model import StandIn, StandInError, stand_in
from bot.operate.stand_ins.signal_envelopes import Person as OnSignal
from bot.operate.stand_ins.signal_envelopes import said
from bot.operate.stand_ins.signal_service import SignalService
from bot.operate.steps import Steps

ENGINE_ROOT = SOURCE_TREE / ".engine"
FAILURES = (
    HouseError, ImageError, EngineUnavailable, AssemblyError, StandInError,
    signal_service.StandInError,
)  # fmt: skip
NUMBER = "+4915100000001"
ANN = OnSignal("0a1b2c3d-4e5f-4a6b-8c7d-8e9fa0b1c2d3", "Ann", "+4915100000002")
EVERY_S, TIMES = 2, 5  # of the task; people have none more often than every minute elsewhere
LEAD_S = 4
RUNS_WAIT_S = 60.0
LOOK_S = 0.1
ARTICLE = (
    "Write about relays. [[tool publish_article title=On relays; text=Each is a "
    "room with a door.]] [[say It waits for your yes.]]"
)
LOOK = (
    "Look around where you are. [[tool run_command line=cat /proc/*/environ /proc/*/cmdline > "
    "seen.txt]] [[say I looked around.]]"
)


class DemoFailed(Exception):
    """A step did not hold; the message says what was seen instead."""


def run(*, as_json: bool) -> int:
    """Run the demonstration; returns the exit status."""
    steps = Steps(as_json=as_json)
    try:
        with engine(ENGINE_ROOT, install=True, announce=steps.announce) as found:
            with steps.step("a docker engine and the agent's image"):
                image = ensure_image(found, steps.announce)
            os.environ["DOCKER_HOST"] = found.url  # the bot uses the very same engine
            asyncio.run(_show(steps, image))
    except (DemoFailed, *FAILURES) as error:
        sys.stderr.write(f"demo: failed: {error}\n")
        return 1
    except (KeyboardInterrupt, asyncio.CancelledError):
        sys.stderr.write("demo: stopped; everything it started is gone\n")
        return 130
    steps.end("demo: ok")
    return 0


async def _show(steps: Steps, image: str) -> None:
    task = asyncio.current_task()
    assert task is not None
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, task.cancel)
    async with AsyncExitStack() as stack:
        with steps.step("two public relays, stand-ins of a model and of Signal, then all parts"):
            folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="stand-in-"))
            model = await stack.enter_async_context(stand_in(Path(folder)))
            phone = await stack.enter_async_context(
                signal_service.running(number=NUMBER)
            )  # fmt: skip
            there = await stack.enter_async_context(
                house(
                    image=image,
                    engine_root=ENGINE_ROOT,
                    prepared=lambda place: model.configure(place.signer),
                    agent={"backends": ["builtin"]},
                    signal={"url": phone.url, "number": NUMBER},
                    tasks={"min_interval_s": EVERY_S},
                )
            )
        with steps.step("two people with keys of their own, on the public relays"):
            owner = await stack.enter_async_context(person(there.public_relays))
            stranger = await stack.enter_async_context(person(there.public_relays))
        try:
            await _conversation(steps, there, owner, stranger)
            await _on_signal(steps, there, owner, phone)
            await _by_the_clock(steps, there, owner)
            await _with_claude(steps, there, owner, model)
            with steps.step("the stranger, whose message came first of all, was never answered"):
                _expect(await stranger.stored_wraps() == 0, "a stranger was answered")
                _expect(stranger.unheard() == 0, "a stranger heard something")
        except (DemoFailed, TimeoutError) as error:
            words = str(error) or "a message did not arrive in time"
            last = {name: there.log(name).splitlines()[-5:] for name in ("relay", "signer", "bot")}
            lines = [f"{name}: {line}" for name, said in last.items() for line in said]
            raise DemoFailed("\n  ".join([words, *lines])) from error


async def _conversation(steps: Steps, there: House, owner: Person, stranger: Person) -> None:
    bot = there.roles.bot
    assert there.code is not None
    with steps.step("a stranger writes first and gets nothing (shown below)"):
        await stranger.say(bot, "Hello? Who is there?")
    with steps.step("a person pairs with the one-time code, by an encrypted message"):
        await owner.say(bot, there.code)
        greeting = await owner.hear()
        steps.fact("the bot", greeting.text)
    with steps.step("a message by a public relay is answered from a container"):
        await owner.say(bot, "Good morning! What can you do?")
        answer = await _heard(owner, "Your message arrived.")
        _expect(answer.sender == bot, "the reply is not by the bot")
        steps.fact("the bot", answer.text)
    with steps.step("a container has no profile (kind 0) signed: the owner is asked, and says no"):
        await owner.say(bot, '/sign 0 {"name":"Mallory"}')
        question = await _heard(owner, "❓")
        await owner.react(bot, question.rumor_id, "❌")
        outcome = await _heard(owner, "❌ Not published, as you said no")
        profiles = await owner.fetch(kinds=[0], authors=[bot])
        _expect(
            all("Mallory" not in str(event["content"]) for event in profiles),
            "a profile was signed for the container",
        )
        steps.fact("the bot", outcome.text)


async def _on_signal(steps: Steps, there: House, owner: Person, phone: SignalService) -> None:
    """Somebody who has Signal and nothing else: shown, let in, answered there."""
    bot = there.roles.bot
    with steps.step("somebody writes on Signal: the owner is shown who, and never what"):
        await phone.push(said(ANN, "Is this the assistant?", _now_ms()))
        shown = await _heard(owner, "👋 Ann (Signal")
        _expect("Is this" not in shown.text, "the owner was shown what a stranger wrote")
        code = re.search(r"/allow (\S+)", shown.text)
        _expect(code is not None, "the owner was not told how to let them in")
        steps.fact("the bot", shown.text)
    with steps.step("let in, they are answered on Signal, from a container"):
        assert code is not None
        await owner.say(bot, f"/allow {code[1]}")
        await _heard(owner, "✅")
        await phone.push(said(ANN, "Good evening! Are you there?", _now_ms()))
        (answer,) = await phone.wait_sent(1, timeout_s=60)
        _expect(answer["recipients"] == [ANN.aci], "the answer went to somebody else")
        _expect("Your message arrived." in answer["message"], "that was another answer")
        steps.fact("the bot", answer["message"])
    with steps.step("while it worked, they saw that it was typing"):
        _expect(bool(await phone.sent("typing")), "nothing was to be seen")


async def _by_the_clock(steps: Steps, there: House, owner: Person) -> None:
    """A task every two seconds, five times, and the bot killed in between: what it does in public
    is done once a slot. The owner's calendar client is at the private relay."""
    bot, router = there.roles.bot, there.roles.router
    async with person([f"ws://{there.listen}"], owner.keys, inbox=False) as calendar:
        with steps.step("the owner's calendar has a note written every two seconds, five times"):
            begin_s = int(time.time()) + LEAD_S
            wish = await calendar.publish(
                31923,
                "/note The clock has struck.",
                [
                    sdk.Tag.parse(["d", "clock"]),
                    sdk.Tag.parse(["title", "The clock strikes"]),
                    sdk.Tag.parse(["start", str(begin_s)]),
                    sdk.Tag.parse(["schedule", "interval", str(EVERY_S * 1000)]),
                    sdk.Tag.parse(["count", str(TIMES)]),
                ],
            )
            about: dict[str, Any] = {"#e": [wish.id().to_hex()]}
            sign = await calendar.find(kinds=[7], authors=[router], **about)
            _expect(sign["content"] == "✅", "the calendar event was refused")
        with steps.step("the bot is killed when the second run begins, and comes back by itself"):
            await _runs(calendar, router, 2)
            killed = there.pid("bot")
            _expect(killed is not None, "the bot was not there to be killed")
            os.kill(killed or 0, signal.SIGKILL)
        with steps.step("each run has one job and one note on the public relays, none has two"):
            runs = await _runs(calendar, router, TIMES)
            notes = await _notes(owner, bot, set(runs))
            _expect(len(set(runs.values())) == len(runs) == TIMES, "a run had two jobs")
            _expect(sorted(notes) == sorted(runs), "a run had no note, or more than one")
            late = ", ".join(f"{slot - begin_s} s" for slot in sorted(runs.values()))
            steps.fact("slots", f"{late} after the first; {len(notes)} notes")


async def _runs(calendar: Person, router: str, least: int) -> dict[str, int]:
    """The jobs that were made of tasks, once there are so many: by id the slot."""
    async with asyncio.timeout(RUNS_WAIT_S):
        while True:
            jobs = await calendar.fetch(kinds=[43001], authors=[router])
            slots = {str(job["id"]): _tag(job, "slot") for job in jobs}
            runs = {job: int(slot) for job, slot in slots.items() if slot}
            if len(runs) >= least:
                return runs
            await asyncio.sleep(LOOK_S)


async def _notes(owner: Person, bot: str, jobs: set[str]) -> list[str]:
    """The job of each public note, once each of these jobs has one."""
    async with asyncio.timeout(RUNS_WAIT_S):
        while True:
            notes = await owner.fetch(kinds=[1], authors=[bot])
            said = [_tag(note, "job") for note in notes]
            if jobs <= set(said):
                return said
            await asyncio.sleep(LOOK_S)


def _tag(event: dict[str, object], name: str) -> str:
    """The value of an event's first tag of that name, "" where it has none."""
    tags = event["tags"]
    assert isinstance(tags, list)
    return next((str(tag[1]) for tag in tags if tag[0] == name), "")


async def _with_claude(steps: Steps, there: House, owner: Person, model: StandIn) -> None:
    """The same conversation with the real `claude` program, asking a stand-in of its provider."""
    bot = there.roles.bot
    with steps.step("the owner has the claude program answer from now on"):
        await owner.say(bot, "/group main backend claude")
        steps.fact("the bot", (await _heard(owner, "✅ main: works with claude")).text)
    with steps.step("it works in the container, where its provider's key is nowhere"):
        await owner.say(bot, LOOK)
        answer = await _heard(owner, "I looked around.")
        seen = (there.place.data / "groups/main/seen.txt").read_bytes()
        _expect(b"ANTHROPIC_BASE_URL" in seen, "the program was not to be seen in there")
        _expect(model.key.encode() not in seen, "the provider's key was in the container")
        steps.fact("claude", answer.text)
    with steps.step("it writes an article by a tool: the owner is asked, and says yes"):
        await owner.say(bot, ARTICLE)
        question = await _heard(owner, "❓")
        await owner.react(bot, question.rumor_id, "✅")
        outcome = await _heard(owner, "✅ Published, as you approved: kind 30023")
        steps.fact("the bot", outcome.text)
    with steps.step("the article is on the public relays, for everybody"):
        article = await owner.find(kinds=[30023], authors=[bot])
        steps.fact("the bot", str(article["content"]))


async def _heard(owner: Person, beginning: str) -> Message:
    """The owner's next message that begins so; others come between, about the stranger say."""
    passed: list[str] = []
    try:
        while not (message := await owner.hear()).text.startswith(beginning):
            passed.append(message.text)
    except TimeoutError:
        said = " / ".join(passed) or "nothing"
        raise DemoFailed(f"no message began with {beginning!r}; what came was: {said}") from None
    return message


def _now_ms() -> int:
    return time.time_ns() // 1_000_000


def _expect(held: bool, otherwise: str) -> None:
    if not held:
        raise DemoFailed(otherwise)


def exit_at_once(status: int) -> None:
    """End the process without running destructors, where nostr-sdk's threads may crash."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)
