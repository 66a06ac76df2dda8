"""Shell: the demonstration: a direct message becomes a container becomes a reply.

Every part is a real process; the people are nostr-sdk clients on public relays. It ends with
`demo: ok` only if each step held.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from contextlib import AsyncExitStack

from bot.engine.host import EngineUnavailable, engine
from bot.operate.assembly import SOURCE_TREE, AssemblyError
from bot.operate.house import House, HouseError, house
from bot.operate.image import ImageError, ensure_image
from bot.operate.person import Person, person
from bot.operate.steps import Steps

ENGINE_ROOT = SOURCE_TREE / ".engine"


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
    except (DemoFailed, HouseError, ImageError, EngineUnavailable, AssemblyError) as error:
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
        with steps.step("two public relays, then relay, signer and bot"):
            there = await stack.enter_async_context(house(image=image, engine_root=ENGINE_ROOT))
        with steps.step("two people with keys of their own, on the public relays"):
            owner = await stack.enter_async_context(person(there.public_relays))
            stranger = await stack.enter_async_context(person(there.public_relays))
        try:
            await _conversation(steps, there, owner, stranger)
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
        answer = await owner.hear()
        _expect(answer.sender == bot, "the reply is not by the bot")
        steps.fact("the bot", answer.text)
    with steps.step("a container cannot have a profile (kind 0) signed"):
        await owner.say(bot, '/sign 0 {"name":"Mallory"}')
        refusal = await owner.hear()
        _expect("kind 0" in refusal.text, f"no refusal came, but: {refusal.text}")
        profiles = await owner.fetch(kinds=[0], authors=[bot])
        _expect(
            all("Mallory" not in str(event["content"]) for event in profiles),
            "a profile was signed for the container",
        )
        steps.fact("the bot", refusal.text)
    with steps.step("the stranger, whose message came first of all, was never answered"):
        _expect(await stranger.stored_wraps() == 0, "a stranger was answered")
        _expect(stranger.unheard() == 0, "a stranger heard something")


def _expect(held: bool, otherwise: str) -> None:
    if not held:
        raise DemoFailed(otherwise)


def exit_at_once(status: int) -> None:
    """End the process without running destructors, where nostr-sdk's threads may crash."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)
