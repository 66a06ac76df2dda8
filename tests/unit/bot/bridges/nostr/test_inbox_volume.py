"""Many messages through the bridge: copies, old dates and falling relays change nothing."""

import asyncio
import itertools
import signal
import time
from collections.abc import Callable, Collection
from secrets import token_bytes

from nips import nip59
from nips.event import Event
from nips.filter import Filter
from nips.key import SecretKey
from nips.nip17 import message_template
from relay_local.client import Delivery
from tests.figures import dice, figure
from tests.unit.bot.bridges.nostr.stage import Person, Stage

Count = Callable[[str, object], None]
TWO_DAYS_S = 2 * 86_400
WAVE = 50


def seal_of(text: str, owner: Person, to: str) -> Event:
    now_s = int(time.time())
    rumor = message_template(owner.public, [to], text, now_s)
    return nip59.seal(rumor, owner.secret, to, now_s, token_bytes(32), token_bytes(32))


def wrap_of(seal: Event, to: str, age_s: int = 0) -> Event:
    key, at_s = SecretKey.generate(token_bytes), int(time.time()) - age_s
    return nip59.wrap(seal, key, to, at_s, token_bytes(32), token_bytes(32))


async def heard(stage: Stage, texts: Collection[str], timeout_s: float) -> None:
    """Wait until all of these have been said in main."""
    missing = set(texts)
    wanted = Filter(kinds=frozenset({9}), tags={"h": frozenset({stage.roles.main})})
    try:
        async with (
            asyncio.timeout(timeout_s),
            stage.link.subscribe([wanted], after_seq=0) as stream,
        ):
            async for item in stream:
                if isinstance(item, Delivery):
                    missing.discard(item.event.content)
                if not missing:
                    return
    except TimeoutError:
        raise AssertionError(f"{len(missing)} never came, such as {min(missing)!r}") from None


async def each_was_said_once(
    stage: Stage, owner: Person, texts: Collection[str], beginning: str
) -> None:
    """All of `texts` come, and nothing else that begins like them, however long one waits."""
    await heard(stage, texts, 60 + len(texts) / 10)
    # One relay's wraps are dealt with in order: behind this one, through each, nothing is left.
    for number in (0, 1):
        fence = f"{beginning}: fence {number}"
        wrap = wrap_of(seal_of(fence, owner, stage.roles.bot), stage.roles.bot)
        await owner.send(wrap, number)
        await heard(stage, [fence], 60)
    said = [event.content for event in await stage.messages()]
    assert sorted(text for text in said if text.startswith(f"{beginning} ")) == sorted(texts)


async def test_five_times_the_same_wrap_is_one_message(
    stage: Stage, owner: Person, record_property: Count
) -> None:
    """Shuffled over both relays; every tenth seal comes in another wrap as well."""
    count, chance = figure("one-effect"), dice("one-effect")
    texts = [f"five-times {number}" for number in range(count)]
    sent = 0
    for start in range(0, count, WAVE):
        copies: list[Event] = []
        for number, text in enumerate(texts[start : start + WAVE]):
            seal = seal_of(text, owner, stage.roles.bot)
            copies += 5 * [wrap_of(seal, stage.roles.bot)]
            if number % 10 == 0:
                copies.append(wrap_of(seal, stage.roles.bot))
        chance.shuffle(copies)
        await asyncio.gather(*(owner.send(copy, chance.randrange(2)) for copy in copies))
        sent += len(copies)
    await each_was_said_once(stage, owner, texts, "five-times")
    record_property("copies sent", sent)
    record_property("messages, each once", count)


async def test_backdated_wraps_survive_reconnects(
    stage: Stage, owner: Person, record_property: Count
) -> None:
    """Dated anywhere in the last two days, while one relay falls, or the other, or the bridge."""
    count, chance = figure("backdated"), dice("backdated")
    falls = max(2, count // 500)
    texts = [f"backdated {number}" for number in range(count)]
    waiting = iter(texts)

    async def send(amount: int, *relays: int) -> None:
        """Each through one relay alone, so that no other makes up for what is missed."""
        batch = list(itertools.islice(waiting, amount))
        for start in range(0, len(batch), WAVE):
            wraps = [
                wrap_of(
                    seal_of(text, owner, stage.roles.bot),
                    stage.roles.bot,
                    chance.randrange(TWO_DAYS_S),
                )
                for text in batch[start : start + WAVE]
            ]
            await asyncio.gather(*(owner.send(wrap, chance.choice(relays)) for wrap in wraps))

    each = count // (3 * falls)
    for _ in range(falls):
        falling = chance.choice(["public-0", "public-1", "bridge"])
        await send(each, 0, 1)
        await stage.stop(falling, chance.choice([signal.SIGKILL, signal.SIGTERM]))
        await send(each, *[number for number in (0, 1) if falling != f"public-{number}"])
        await stage.start(falling)
        await send(each, 0, 1)
    await send(count, 0, 1)
    await each_was_said_once(stage, owner, texts, "backdated")
    record_property("falls", falls)
    record_property("messages, each once", count)
