"""Shell: an ordinary person with a key and a NIP-17 client, made of nostr-sdk alone.

The demonstration, the end-to-end tests and the measurements act through it: it shares no code
with the bot, so what it can read another client can read too.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta

import nostr_sdk as sdk

WAIT = timedelta(seconds=10)
LOOK_S = 0.2
TWO_DAYS_AND_MORE = timedelta(days=3)


@dataclass(frozen=True, slots=True)
class Message:
    """A direct message as the person reads it; `rumor_id` is the message's identity."""

    rumor_id: str
    sender: str
    text: str


class Person:
    """A key, its relays, and the messages that reach it."""

    def __init__(self, client: sdk.Client, keys: sdk.Keys, relays: Sequence[str]) -> None:
        self.keys, self._client, self._relays = keys, client, tuple(relays)
        self._heard: asyncio.Queue[Message] = asyncio.Queue()
        self._wraps: set[str] = set()
        self._said_at: dict[tuple[str, str], int] = {}

    @property
    def public_key(self) -> str:
        """Hex."""
        return str(self.keys.public_key().to_hex())

    async def announce_inbox(self) -> None:
        """Publish the relays where this person reads messages (kind 10050, NIP-17)."""
        tags = [sdk.Tag.parse(["relay", url]) for url in self._relays]
        await self.publish(10050, "", tags)

    async def publish(self, kind: int, content: str, tags: Sequence[sdk.Tag] = ()) -> sdk.Event:
        """Sign an event and send it to all of the person's relays."""
        builder = sdk.EventBuilder(sdk.Kind(kind), content).tags(list(tags))
        event = await builder.finalize_async(self.keys)
        await self.send(event)
        return event

    async def send(self, event: sdk.Event) -> None:
        """Send an event as it is to all of the person's relays."""
        await self._client.send_event(event)

    async def wrap(self, to: str, text: str) -> sdk.Event:
        """A gift wrap of a direct message, not yet sent.

        The same text to the same person in one second would be one message by its id (NIP-17):
        said again, it is dated a second later.
        """
        at_s = max(int(time.time()), self._said_at.get((to, text), 0) + 1)
        self._said_at[to, text] = at_s
        return await self.wrap_rumor(to, 14, text, at_s)

    async def wrap_rumor(self, to: str, kind: int, text: str, at_s: int | None = None) -> sdk.Event:
        """A gift wrap of a rumor of any kind, not yet sent. at_s: its date, now without it."""
        receiver = sdk.PublicKey.parse(to)
        rumor = (
            sdk.EventBuilder(sdk.Kind(kind), text)
            .tags([sdk.Tag.parse(["p", to])])
            .custom_created_at(sdk.Timestamp.from_secs(at_s or int(time.time())))
            .finalize_unsigned(self.keys.public_key())
        )
        return await sdk.nip59_make_gift_wrap_async(self.keys, receiver, rumor)

    async def react(self, to: str, rumor_id: str, sign: str) -> None:
        """React to a direct message as NIP-17 has it: a kind 7 inside a wrap."""
        receiver = sdk.PublicKey.parse(to)
        tags = [["p", to], ["e", rumor_id], ["k", "14"]]
        rumor = (
            sdk.EventBuilder(sdk.Kind(7), sign)
            .tags([sdk.Tag.parse(tag) for tag in tags])
            .finalize_unsigned(self.keys.public_key())
        )
        await self.send(await sdk.nip59_make_gift_wrap_async(self.keys, receiver, rumor))

    async def say(self, to: str, text: str) -> None:
        """Send a direct message through the public relays."""
        await self.send(await self.wrap(to, text))

    async def hear(self, timeout_s: float = 60.0) -> Message:
        """The next direct message. Raises TimeoutError."""
        async with asyncio.timeout(timeout_s):
            return await self._heard.get()

    def unheard(self) -> int:
        """How many messages have arrived and were not asked for."""
        return self._heard.qsize()

    async def fetch(self, **fields: object) -> list[dict[str, object]]:
        """Events of the public relays that match a NIP-01 filter, as JSON objects."""
        wanted = sdk.Filter.from_json(json.dumps(fields))
        found = await self._client.fetch_events(sdk.ReqTarget.auto([wanted]), WAIT)
        return [json.loads(event.as_json()) for event in found]

    async def find(self, timeout_s: float = 30.0, **fields: object) -> dict[str, object]:
        """The first event that matches, once a public relay has one. Raises TimeoutError."""
        async with asyncio.timeout(timeout_s):
            while True:
                for event in await self.fetch(**fields):
                    return event
                await asyncio.sleep(LOOK_S)  # several relays: which of them has it first is open

    async def stored_wraps(self) -> int:
        """How many gift wraps the relays hold for this person."""
        return len(await self.fetch(kinds=[1059], **{"#p": [self.public_key]}))

    async def listen(self) -> None:
        """Put what arrives into the queue, until cancelled."""
        stream = self._client.notifications()
        since = int(time.time() - TWO_DAYS_AND_MORE.total_seconds())
        wanted = (
            sdk.Filter()
            .kind(sdk.Kind(1059))
            .pubkey(self.keys.public_key())
            .since(sdk.Timestamp.from_secs(since))
        )
        await self._client.subscribe(sdk.ReqTarget.auto([wanted]))
        while (notification := await stream.next()) is not None:
            if notification.is_NEW_EVENT():
                await self._open(notification.event)

    async def _open(self, event: sdk.Event) -> None:
        if (wrap_id := event.id().to_hex()) in self._wraps:
            return
        self._wraps.add(wrap_id)
        try:
            gift = await sdk.UnwrappedGift.from_gift_wrap_async(self.keys, event)
        except sdk.NostrSdkError:
            return
        rumor = gift.rumor().ensure_id()
        rumor_id = rumor.id()
        assert rumor_id is not None
        self._heard.put_nowait(Message(rumor_id.to_hex(), gift.sender().to_hex(), rumor.content()))


@asynccontextmanager
async def person(
    relays: Sequence[str], keys: sdk.Keys | None = None, *, inbox: bool = True
) -> AsyncIterator[Person]:
    """A person who is connected to `relays`, reads there, and (with `inbox`) has said so."""
    sdk.uniffi_set_event_loop(asyncio.get_running_loop())
    keys = keys or sdk.Keys.generate()
    client = (
        sdk.ClientBuilder()
        .authenticator(sdk.SignerAuthenticator(keys))
        .notification_channel_size(65_536)
        .build()
    )
    for url in relays:
        await client.add_relay(sdk.RelayUrl.parse(url))
    await client.connect(WAIT)
    made = Person(client, keys, relays)
    if inbox:
        await made.announce_inbox()
    listening = asyncio.create_task(made.listen())
    try:
        yield made
    finally:
        await client.shutdown()
        listening.cancel()
        await asyncio.gather(listening, return_exceptions=True)
