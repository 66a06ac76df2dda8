"""Shell: from the answer in which Signal's service hands a message over to the job that it is, and
to the reply at the service.

The peer in the same run, in the same installation, is the bridge to Nostr: from a gift wrap at a
public relay to its job. What the service is polled for takes its interval besides, and is not ours.
"""

from __future__ import annotations

import asyncio
import os
import re
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field

import nostr_sdk as sdk
from rich.table import Table

from bench.figures import Figures, summarise
from bench.tables import a_row_each
from bot.engine.host import engine as found_engine
from bot.operate.assembly import SOURCE_TREE
from bot.operate.house import House, house
from bot.operate.image import ensure_image
from bot.operate.person import Person, person
from bot.operate.stand_ins import signal_service
from bot.operate.stand_ins.signal_envelopes import Person as OnSignal
from bot.operate.stand_ins.signal_envelopes import said
from bot.operate.stand_ins.signal_service import SignalService
from nips.filter import Filter
from nips.key import SecretKey
from nips.kinds import Kind
from relay_local.client import Delivery, Link, connect

ENGINE_ROOT = SOURCE_TREE / ".engine"
NUMBER = "+4915100000001"
ANN = OnSignal("0a1b2c3d-4e5f-4a6b-8c7d-8e9fa0b1c2d3", "Ann")
POLL_S = 0.2
WARM_UP = 20
DEADLINE_S = 60.0
CODE = re.compile(r"/allow (\S+)")


@dataclass(slots=True)
class Times:
    """In milliseconds, one for each message."""

    to_job: list[float] = field(default_factory=list)
    to_reply: list[float] = field(default_factory=list)
    peer_to_job: list[float] = field(default_factory=list)


class Jobs:
    """The unix second at which each job became known to the owner's own client, in order."""

    def __init__(self, link: Link) -> None:
        self._link = link
        self._came: asyncio.Queue[float] = asyncio.Queue()
        self._ended: asyncio.Queue[str] = asyncio.Queue()

    async def follow(self) -> None:
        """Until cancelled."""
        kinds = frozenset({int(Kind.JOB_REQUEST), int(Kind.JOB_RESULT), int(Kind.JOB_ERROR)})
        since = int(time.time()) - 1
        async with self._link.subscribe([Filter(kinds=kinds, since=since)]) as stream:
            async for item in stream:
                if not isinstance(item, Delivery):
                    continue
                if item.event.kind == Kind.JOB_REQUEST:
                    self._came.put_nowait(time.time())
                else:
                    self._ended.put_nowait(item.event.id)

    async def next(self) -> float:
        """When the next one came, once it has ended as well."""
        async with asyncio.timeout(DEADLINE_S):
            came = await self._came.get()
            await self._ended.get()
        return came


def run(messages: int, announce: Callable[[str], None]) -> list[Figures]:
    """Find or start an engine and measure. Raises EngineUnavailable."""
    with found_engine(ENGINE_ROOT, install=True, announce=announce) as engine:
        image = ensure_image(engine, announce)
        os.environ["DOCKER_HOST"] = engine.url
        return asyncio.run(measure(image, messages, announce))


def table(figures: list[Figures]) -> Table:
    """A row a figure."""
    return a_row_each("signal", figures)


async def measure(image: str, messages: int, announce: Callable[[str], None]) -> list[Figures]:
    """Run a whole installation and return its figures."""
    async with _place(image) as (there, owner, phone, jobs):
        announce(f"{messages} messages after {WARM_UP}, each when the last is answered")
        times = Times()
        for number in range(WARM_UP + messages):
            await _turn(there, owner, phone, jobs, number, times)
    return [
        summarise("the service's answer to the job", "ms", times.to_job[WARM_UP:]),
        summarise("the service's answer to the reply there", "ms", times.to_reply[WARM_UP:]),
        summarise("peer: a wrap at a public relay to the job", "ms", times.peer_to_job[WARM_UP:]),
    ]


async def _turn(
    there: House, owner: Person, phone: SignalService, jobs: Jobs, number: int, times: Times
) -> None:
    """One message of each kind."""
    await phone.push(said(ANN, f"/say {number}", time.time_ns() // 1_000_000))
    came = await jobs.next()
    (*_, answer) = await phone.wait_sent(number + 1, timeout_s=DEADLINE_S)
    if answer["message"] != str(number):
        raise RuntimeError(f"expected {number}, the answer was {answer['message']!r}")
    polls = await phone.calls(f"/v1/receive/{NUMBER}")
    handed = max(one["answered"] for one in polls if one.get("n_bytes", 0) > len("[]"))
    sent = (await phone.calls("/v2/send"))[-1]["answered"]
    times.to_job.append((came - handed) * 1000)
    times.to_reply.append((sent - handed) * 1000)
    wrap = await owner.wrap(there.roles.bot, f"/say {number}")
    began = time.time()
    await owner.send(wrap)
    times.peer_to_job.append((await jobs.next() - began) * 1000)
    await owner.hear()


@asynccontextmanager
async def _place(image: str) -> AsyncIterator[tuple[House, Person, SignalService, Jobs]]:
    keys = sdk.Keys.generate()
    secret = SecretKey(bytes.fromhex(keys.secret_key().to_hex()))
    async with AsyncExitStack() as stack:
        phone = await stack.enter_async_context(signal_service.running(number=NUMBER))
        there = await stack.enter_async_context(
            house(
                image=image,
                engine_root=ENGINE_ROOT,
                owner=secret.public,
                signal={"url": phone.url, "number": NUMBER, "poll_s": POLL_S},
            )
        )
        owner = await stack.enter_async_context(person(there.public_relays, keys))
        await owner.hear()  # the welcome
        await phone.push(said(ANN, "Hello?", time.time_ns() // 1_000_000))
        code = CODE.search((await owner.hear()).text)
        if code is None:
            raise RuntimeError("the owner was not told how to let somebody in")
        await owner.say(there.roles.bot, f"/allow {code[1]}")
        await owner.hear()
        link = await stack.enter_async_context(connect(f"ws://{there.listen}", [secret]))
        jobs = Jobs(link)
        following = asyncio.create_task(jobs.follow())
        stack.callback(following.cancel)
        yield there, owner, phone, jobs
