"""What the terminal is shown."""

from __future__ import annotations

import json

from bot.operate.chat import Chat
from nips import nip44, nip59
from nips.event import Event, Template
from nips.filter import Filter
from nips.frames import Delivered, Eose
from nips.key import SecretKey
from nips.nip17 import message_template
from relay_local.client import Link, Stream

ME, BOT, MALLORY = (SecretKey(bytes([number]) * 32) for number in (1, 2, 3))
NOW = 1_700_000_000


def gift(rumor: Template, author: SecretKey) -> Event:
    seal = nip59.seal(rumor, author, ME.public, NOW, bytes(32), bytes(32))
    return wrapped(seal)


def wrapped(seal: Event) -> Event:
    return nip59.wrap(seal, MALLORY, ME.public, NOW, bytes(32), bytes(32))


async def shown(*wraps: Event) -> list[str]:
    """What is shown of these, with one that ends it after them."""
    chat = Chat(Link("unix:/nowhere", [], None), ME, BOT.public)
    stream = Stream("a", [Filter()])
    stream.receive(Eose("a"))
    last = message_template(BOT.public, [ME.public], "last", NOW)
    for wrap in (*wraps, gift(last, BOT)):
        stream.receive(Delivered("a", wrap))
    texts: list[str] = []
    async for text in chat.answers(stream):
        if text == "last":
            break
        texts.append(text)
    return texts


async def test_an_answer_commands_no_terminal() -> None:
    """Attack: an agent's answer that writes to the clipboard, or over what stands above it."""
    answer = "done\x1b]52;c;cm0gLXJmIH4=\x07 \x1b[2J\x9b31m\tok\nbye\r\u202e"
    rumor = message_template(BOT.public, [ME.public], answer, NOW)
    assert await shown(gift(rumor, BOT)) == ["done 31m\tok\nbye"]


async def test_only_the_bot_is_shown() -> None:
    theirs = message_template(MALLORY.public, [ME.public], "I am the bot", NOW)
    forged = message_template(BOT.public, [ME.public], "so am I", NOW)
    payload = nip44.encrypt(
        json.dumps(forged.to_json()), nip44.conversation_key(MALLORY, ME.public), bytes(32)
    )
    seal = Template(MALLORY.public, NOW, 13, (), payload).sign(MALLORY, bytes(32))
    assert await shown(gift(theirs, MALLORY), wrapped(seal)) == []
