"""Shell: turns of a whole installation that each run in a spare, which its log tells of."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

from bot.operate.house import House
from bot.operate.person import Person

LINE = 'event="spare waits"'
SILENCE_S = 120.0  # without a spare: something is wrong
LOOK_S = 0.02
SETTLE_S = 0.2  # after the spare waits: what its start has left to do is not measured
TOLD_EVERY = 100


async def turns_ms(
    there: House,
    owner: Person,
    turns: int,
    warm_up: int,
    words: Callable[[int], tuple[str, str]],
    announce: Callable[[str], None],
) -> list[float]:
    """Milliseconds from each finished wrap's sending to the answer's arrival, each in a spare that
    waits for it, in main; `warm_up` more come first. words: what is said in a turn of this number,
    and the answer. Raises RuntimeError.
    """
    took = []
    for number in range(1 + warm_up + turns):
        before = _spares(there)
        said, expected = words(number)
        took.append(await turn_ms(there, owner, said, expected))
        await _another(there, before)
        if number and number % TOLD_EVERY == 0:
            announce(f"{number} turns")
    return took[1 + warm_up :]


async def turn_ms(there: House, owner: Person, said: str, expected: str) -> float:
    """The same of one turn, in whatever container there is. Raises RuntimeError."""
    wrap = await owner.wrap(there.roles.bot, said)
    began = time.perf_counter()
    await owner.send(wrap)
    answer = await owner.hear()
    took_ms = (time.perf_counter() - began) * 1000
    if answer.text != expected:
        raise RuntimeError(f"expected {expected!r}, heard {answer.text!r}")
    return took_ms


def _spares(there: House) -> int:
    return there.log("bot").count(LINE)


async def _another(there: House, before: int) -> None:
    deadline_s = time.monotonic() + SILENCE_S
    while await asyncio.to_thread(_spares, there) <= before:
        if time.monotonic() > deadline_s:
            raise RuntimeError("no spare was made")
        await asyncio.sleep(LOOK_S)  # another process's log: there is no event to wait for
    await asyncio.sleep(SETTLE_S)
