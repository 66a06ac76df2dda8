"""Shell: `nostrclaw chat`: a small NIP-17 client for the terminal, on the private relay itself.

It has a key of its own that may talk in the main group and approve nothing: whoever sits at this
machine is not thereby the owner.
"""

from __future__ import annotations

import asyncio
import json
import secrets
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path

from rich.console import Console

from bot.engine.output import harmless
from bot.operate.assembly import AssemblyError, installation
from config import settings
from config.roles import load, read_key
from nips import nip17, nip59
from nips.event import Event
from nips.filter import Filter
from nips.key import SecretKey
from nips.kinds import Kind
from nips.refusal import Malformed, Refused
from relay_local.client import Caught, Delivery, Link, Stream, Unanswered, connect

TWO_DAYS_S = 2 * 86_400


class Chat:
    """One terminal's conversation with the bot `bot` (hex)."""

    def __init__(self, link: Link, key: SecretKey, bot: str) -> None:
        self._link, self._key, self._bot = link, key, bot

    async def announce_inbox(self, relay_url: str) -> None:
        """Say that this key reads its messages on the private relay. Raises Refused."""
        template = nip17.inbox_list_template(self._key.public, (relay_url,), int(time.time()))
        await self._publish(template.sign(self._key, secrets.token_bytes(32)))

    async def say(self, text: str) -> None:
        """Send a message. Raises Refused."""
        now_s = int(time.time())
        rumor = nip17.message_template(self._key.public, (self._bot,), text, now_s)
        seal = nip59.seal(
            rumor, self._key, self._bot, _earlier(now_s),
            secrets.token_bytes(32), secrets.token_bytes(32),
        )  # fmt: skip
        wrap = nip59.wrap(
            seal, SecretKey.generate(secrets.token_bytes), self._bot, _earlier(now_s),
            secrets.token_bytes(32), secrets.token_bytes(32),
        )  # fmt: skip
        await self._publish(wrap)

    async def answers(self, stream: Stream) -> AsyncIterator[str]:
        """The bot's messages that come after what is stored already, each once."""
        seen: set[str] = set()
        caught = False
        async for item in stream:
            match item:
                case Caught():
                    caught = True
                case Delivery(event, _) if event.id not in seen:
                    seen.add(event.id)
                    if caught and (text := self._open(event)) is not None:
                        yield text

    def inbox(self) -> Filter:
        """What this key reads."""
        return Filter(
            kinds=frozenset({int(Kind.GIFT_WRAP)}), tags={"p": frozenset({self._key.public})}
        )

    def _open(self, wrap: Event) -> str | None:
        try:
            rumor = nip59.open_seal(nip59.open_wrap(wrap, self._key), self._key)
        except Malformed:
            return None  # anyone may wrap anything for us
        if rumor.pubkey != self._bot or rumor.kind != Kind.DIRECT_MESSAGE:
            return None
        # Attack: an answer that the terminal obeys. It is an agent's, whoever talked it into it.
        return harmless(rumor.content)

    async def _publish(self, event: Event) -> None:
        ok = await self._link.publish(event, deadline_s=20)
        if ok.refusal is not None:
            raise Refused(ok.refusal)


async def chat(data: Path, text: str | None, *, wait_s: float, as_json: bool) -> int:
    """Talk: one message and its answer when `text` is given, else line by line until the end.

    Returns the exit status: 0, or 1 when no answer came within `wait_s` seconds.
    Raises AssemblyError when nothing runs in the data folder.
    """
    place = installation(data)
    nothing = f"Nothing runs with {place.data}. Start it first: nostrclaw up --data {place.data}"
    if not place.status_file.exists():
        raise AssemblyError(nothing)
    key, roles = read_key(place.key("chat")), load(place.roles_file)
    listen = settings.load(place.data).listen
    async with connect(place.relay_address, [key]) as link:
        talk = Chat(link, key, roles.bot)
        try:
            await talk.announce_inbox(f"ws://{listen}")
        except Unanswered as error:  # the supervisor was killed, and left its status behind
            raise AssemblyError(nothing) from error
        async with link.subscribe([talk.inbox()]) as stream:
            answers = talk.answers(stream)
            if text is not None:
                return await _once(talk, answers, text, wait_s, as_json=as_json)
            return await _lines(talk, answers)


async def _once(
    talk: Chat, answers: AsyncIterator[str], text: str, wait_s: float, *, as_json: bool
) -> int:
    began = time.monotonic()
    first = asyncio.ensure_future(anext(answers))  # listens before it speaks
    await talk.say(text)
    try:
        async with asyncio.timeout(wait_s):
            answer = await first
    except TimeoutError:
        sys.stderr.write(
            f"No answer within {wait_s:g} s. `nostrclaw up` shows whether everything runs; until "
            "an owner has paired, nothing is answered.\n"
        )
        return 1
    if as_json:
        took_s = round(time.monotonic() - began, 3)
        answer = json.dumps({"answer": answer, "seconds": took_s}, ensure_ascii=False)
    sys.stdout.write(answer + "\n")
    return 0


async def _lines(talk: Chat, answers: AsyncIterator[str]) -> int:
    console = Console(highlight=False)
    console.print("[dim]Write a line and press Enter; Ctrl-D ends.[/]")

    async def show() -> None:
        async for answer in answers:
            console.print("[cyan]bot[/]", end=" ")
            console.print(answer, markup=False)

    showing = asyncio.create_task(show())
    reader = asyncio.StreamReader(limit=2**20)
    await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader), sys.stdin
    )
    try:
        while line := await reader.readline():
            if text := line.decode(errors="replace").strip():
                await talk.say(text)
    finally:
        showing.cancel()
        await asyncio.gather(showing, return_exceptions=True)
    return 0


def _earlier(now_s: int) -> int:
    # NIP-59: created_at "SHOULD be tweaked to thwart time-analysis attacks … in the past"
    return now_s - secrets.randbelow(TWO_DAYS_S)
