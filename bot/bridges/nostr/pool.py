"""Shell: the public relays, through nostr-sdk; only this and `callbacks` import it.

A thin door: what is said to a relay and what it says. What the SDK does not do by itself is done
by its callers: it connects once and does not come back (`tending` does), and its send fails at
once while a relay is away (so `courier` repeats).

**Nothing is lost between the SDK and us.** It drops notifications when their channel is full, and
what fails its own check is never told of. So events do not come by that channel: the SDK asks
before it takes one that it believes (`AdmitPolicy`), waits for the answer, and is always told no;
by then the event is with us. What has an id that it has checked before, it believes unseen: whoever
acts on an event checks it. So a slow reader slows the relay down. The channel brings only the ends,
which count with everything asked about before them.

The SDK may crash the interpreter's exit after a callback in Python was registered. Once the pool
is closed the composition root flushes its streams and ends the process with `os._exit`.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections import Counter
from collections.abc import AsyncIterator, Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from datetime import timedelta
from types import TracebackType
from typing import Any, Self

import nostr_sdk as sdk
import structlog

from bot.bridges.nostr.callbacks import Admission, Authenticator, Statuses, spelled
from bot.bridges.nostr.destination import NotPublic, Unresolved, resolve
from bot.bridges.nostr.login import Logins, SignAuth
from bot.bridges.nostr.notes import Dropped, Ended, Heard, Note, NotLoggedIn, plain
from nips.event import Event
from nips.refusal import Malformed

CHANNEL_ITEMS = 65_536  # of ends and answers alone
MAX_WAITING = 2_000  # events that nobody has read yet; then the relays wait
MAX_EVENT_BYTES = 400_000  # what the signer can still be asked about, and the relay given
CONNECT_TIMEOUT_S = 10
OK_TIMEOUT_S = 15
COMPARE_TIMEOUT_S = 3  # for the first answer to a NEG-OPEN
# For comparing to the end. Attack: a relay that names one more page of ids for each answer.
COMPARE_DEADLINE_S = 15.0
# What one relay says besides events, within so many seconds: a few ends and answers a minute.
MAX_SAID, SAID_PERIOD_S = 2_000, 5.0
SETTLE_S = 0.3

log = structlog.get_logger()


class Pool:
    """Relays that are listened to, and others for the length of one send.

    relays: `wss://`, or `ws://` on loopback, each named everywhere as it is given here. allowed:
    hosts that may be visited though they are not public, as in `destination`.
    """

    def __init__(
        self, relays: Sequence[str], sign_auth: SignAuth, allowed: Collection[str] = ()
    ) -> None:
        self._allowed = allowed
        self._relays = {url: sdk.RelayUrl.parse(url) for url in relays}
        self._named = {spelled(address): url for url, address in self._relays.items()}
        self._notes: asyncio.Queue[Note] = asyncio.Queue()
        self._room = asyncio.Semaphore(MAX_WAITING)
        self._logins = Logins(sign_auth, lambda url, why: self._tell(NotLoggedIn(url, why)))
        self._client = (
            sdk.ClientBuilder()
            .authenticator(Authenticator(self._logins, self._named))
            .admit_policy(Admission(self._take))
            .monitor(monitor := sdk.Monitor())
            .notification_channel_size(CHANNEL_ITEMS)
            .build()
        )
        self._monitor = monitor
        self._visits: dict[str, int] = {}
        self._answers: dict[str, tuple[int, int]] = {}
        self._group = asyncio.TaskGroup()
        self._tasks: list[asyncio.Task[None]] = []

    async def __aenter__(self) -> Self:
        await self._group.__aenter__()
        sdk.uniffi_set_event_loop(asyncio.get_running_loop())  # else every callback hangs
        for url in self._relays:
            await self._add(url)
        self._notifications = self._client.notifications()
        self._tasks = [
            self._group.create_task(self._read_ends()),
            self._group.create_task(self._monitor.handle_notifications(Statuses(self._fell))),
        ]
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._client.shutdown()
        for task in self._tasks:
            task.cancel()
        try:
            await self._group.__aexit__(kind, error, trace)
        finally:
            # The SDK's threads may still be returning from callbacks; nothing announces their end.
            await asyncio.sleep(SETTLE_S)

    @property
    def relays(self) -> tuple[str, ...]:
        """The relays that are listened to."""
        return tuple(self._relays)

    async def notes(self) -> AsyncIterator[Note]:
        """Yield what those relays say, in the order in which each said it. For one reader."""
        while True:
            note = await self._notes.get()
            if isinstance(note, Heard):
                self._room.release()
            yield note

    async def add(self, url: str) -> None:
        """Listen to one more. Raises Malformed when it is no relay's address, or another spelling
        of one that is listened to."""
        try:
            address = sdk.RelayUrl.parse(url)
        except sdk.NostrSdkError as error:
            raise Malformed(f"{url} is not the address of a relay") from error
        if (known := self._named.get(spelled(address))) is not None:
            raise Malformed(f"{url} is listened to as {known}")
        self._relays[url], self._named[spelled(address)] = address, url
        await self._add(url)

    async def remove(self, url: str) -> None:
        """Listen to one no more."""
        address = self._relays.pop(url)
        self._named.pop(spelled(address), None)
        with suppress(sdk.NostrSdkError):
            await self._client.remove_relay(address, force=True)

    async def connect(self, url: str) -> str | None:
        """Make the connection; why not, in words."""
        try:
            relay = await self._relay_named(url)
            await relay.try_connect(timeout=timedelta(seconds=CONNECT_TIMEOUT_S))
        except sdk.NostrSdkError as error:
            return _words(error)
        return None

    async def disconnect(self, url: str) -> None:
        """End the connection; nothing is subscribed any more."""
        with suppress(sdk.NostrSdkError):
            relay = await self._relay_named(url)
            await relay.unsubscribe_all()
            relay.disconnect()

    async def is_up(self, url: str) -> bool:
        """Say whether the connection is there."""
        try:
            relay = await self._relay_named(url)
        except sdk.NostrSdkError:
            return False
        return bool(relay.status() == sdk.RelayStatus.CONNECTED)

    def is_logging_in(self, url: str) -> bool:
        """Say whether a login is being signed."""
        return self._logins.is_under_way(url)

    def answers(self, url: str) -> tuple[int, int]:
        """How many events that we sent the relay accepted, and how many it refused."""
        return self._answers.get(url, (0, 0))

    async def subscribe(self, url: str, name: str, wanted: Mapping[str, Any]) -> None:
        """Send a REQ under a new name, and again after each AUTH; nothing where it is down."""
        try:
            relay = await self._relay_named(url)
            await relay.subscribe(sdk.Filter.from_json(json.dumps(wanted)), id=name)
        except sdk.NostrSdkError as error:
            log.info("not subscribed", relay=url, reason=_words(error))

    async def unsubscribe(self, url: str, name: str) -> None:
        """Forget a REQ, and CLOSE it where the connection is up."""
        with suppress(sdk.NostrSdkError):
            await (await self._relay_named(url)).unsubscribe(name)

    async def missing(
        self, url: str, wanted: Mapping[str, Any], held: Iterable[tuple[str, int]]
    ) -> list[str] | None:
        """The ids of what the relay has and we do not, by negentropy (NIP-77); None where it does
        not speak it. held: id and created_at of all that we have."""
        items = await asyncio.to_thread(_items, held)  # of 100,000 it takes seconds
        options = sdk.SyncOptions().dry_run().initial_timeout(timedelta(seconds=COMPARE_TIMEOUT_S))
        try:
            relay = await self._relay_named(url)
            asked = sdk.Filter.from_json(json.dumps(wanted))
            async with asyncio.timeout(COMPARE_DEADLINE_S):
                return [i.to_hex() for i in (await relay.sync(asked, items, options)).remote]
        except sdk.NostrSdkError as error:
            log.info("no negentropy", relay=url, reason=_words(error))
        except TimeoutError:
            log.warning("no negentropy", relay=url, reason="it has no end")
        return None

    async def send(self, event: Event, relays: Iterable[str]) -> dict[str, tuple[bool, str]]:
        """Send to each relay at the same time: (accepted, reason) for each, in its words.

        Relays that are not listened to are visited for this one send, and only at public
        addresses. Never raises for a relay's sake.
        """
        urls = list(dict.fromkeys(relays))
        outgoing = sdk.Event.from_json(json.dumps(event.to_json()))
        sending = (self._send_or_visit(outgoing, url) for url in urls)
        return dict(zip(urls, await asyncio.gather(*sending), strict=True))

    async def offer(self, event: Event, url: str) -> tuple[bool, str]:
        """Send what is none of the bot's, to a relay that is listened to; it is not counted."""
        return await self._send(sdk.Event.from_json(json.dumps(event.to_json())), url)

    async def _add(self, url: str) -> None:
        options = sdk.RelayOptions().reconnect(False)
        await self._client.add_relay(self._relays[url], opts=options)

    async def _relay_named(self, url: str) -> sdk.Relay:
        if url not in self._relays:
            raise sdk.NostrSdkError.Generic("not listened to")
        return await self._relay(self._relays[url])

    async def _relay(self, address: sdk.RelayUrl) -> sdk.Relay:
        relay = await self._client.relay(address)
        if relay is None:  # removed meanwhile
            raise sdk.NostrSdkError.Generic("not a relay of ours any more")
        return relay

    async def _send_and_count(self, event: sdk.Event, url: str) -> tuple[bool, str]:
        accepted, reason = await self._send(event, url)
        taken, not_taken = self.answers(url)
        self._answers[url] = (taken + accepted, not_taken + (not accepted))
        return accepted, reason

    async def _send(self, event: sdk.Event, url: str) -> tuple[bool, str]:
        try:
            relay = await self._relay_named(url)
        except sdk.NostrSdkError as error:
            return False, _words(error)
        return await self._send_to(event, relay)

    async def _send_to(self, event: sdk.Event, relay: sdk.Relay) -> tuple[bool, str]:
        timeout = timedelta(seconds=OK_TIMEOUT_S)
        try:
            await relay.send_event(event, ok_timeout=timeout, authentication_timeout=timeout)
        except sdk.NostrSdkError as error:
            return False, _words(error)
        return True, ""

    async def _send_or_visit(self, event: sdk.Event, url: str) -> tuple[bool, str]:
        try:
            address = sdk.RelayUrl.parse(url)
        except sdk.NostrSdkError:
            return False, "invalid: not the address of a relay"
        # Attack: a list names a relay that is listened to in a spelling that only the SDK knows for
        # the same one, such as `wss://relay.example/.`: the end of the visit would remove it.
        if (known := self._named.get(spelled(address))) is not None:
            return await self._send_and_count(event, known)
        return await self._visit(event, address)

    async def _visit(self, event: sdk.Event, address: sdk.RelayUrl) -> tuple[bool, str]:
        # What is checked is the address as the SDK, which connects, has read it.
        url = spelled(address)
        try:
            await resolve(url, "wss", self._allowed)
        except NotPublic as error:
            return False, f"blocked: {error}"
        except Unresolved as error:
            return False, f"error: {error}"  # the SDK, asking again, may find another answer
        self._visits[url] = self._visits.get(url, 0) + 1
        try:
            await self._client.add_relay(address, capabilities=sdk.RelayCapabilities.write())
            relay = await self._relay(address)
            await relay.try_connect(timeout=timedelta(seconds=CONNECT_TIMEOUT_S))
            return await self._send_to(event, relay)
        except sdk.NostrSdkError as error:
            return False, _words(error)
        finally:
            self._visits[url] -= 1
            if not self._visits[url]:
                del self._visits[url]
                if url not in self._named:
                    with suppress(sdk.NostrSdkError):
                        await self._client.remove_relay(address, force=True)

    async def _take(self, address: str, subscription: str, text: str) -> None:
        url = self._named.get(address)
        if url is None:
            return  # a visited relay is asked for nothing
        if (event := _read(url, text)) is not None:
            await self._room.acquire()
            self._tell(Heard(url, subscription, event))

    def _fell(self, address: str) -> None:
        if (url := self._named.get(address)) is not None:
            self._tell(Dropped(url))

    def _tell(self, note: Note) -> None:
        self._notes.put_nowait(note)

    async def _read_ends(self) -> None:
        said: Counter[str] = Counter()
        began_s = time.monotonic()
        while (note := await self._notifications.next()) is not None:
            if note.is_shutdown():
                return
            if not note.is_message():
                continue
            if time.monotonic() - began_s > SAID_PERIOD_S:
                said, began_s = Counter(), time.monotonic()
            said[address := spelled(note.relay_url)] += 1
            # Attack: one relay, also one that is only visited, says NOTICE without end: the channel
            # holds 65,536 of whatever length, and for the others' ends there is no room in it.
            if said[address] % MAX_SAID == 0:
                await self._cut_off(note.relay_url)
            url = self._named.get(address)
            if url is None:
                continue
            message = note.message.as_enum()
            if message.is_end_of_stored_events():
                self._tell(Ended(url, message.subscription_id, None))
            elif message.is_closed():
                self._tell(Ended(url, message.subscription_id, plain(message.message)))
            elif message.is_ok() and not message.status:
                self._logins.refused(message.event_id.to_hex(), plain(message.message))

    async def _cut_off(self, address: sdk.RelayUrl) -> None:
        if (url := self._named.get(spelled(address))) is not None:
            self._tell(Dropped(url, "it says too much"))
        with suppress(sdk.NostrSdkError):
            (await self._relay(address)).disconnect()


def _items(held: Iterable[tuple[str, int]]) -> list[Any]:
    return [
        sdk.NegentropyItem(id=sdk.EventId.parse(id_), timestamp=sdk.Timestamp.from_secs(at))
        for id_, at in held
    ]


def _read(url: str, text: str) -> Event | None:
    # Attack: 300,000 emojis are four times as many bytes. They fit no frame of the local relay's,
    # whose OK would be waited for without end, with all mail behind it.
    if len(text) > MAX_EVENT_BYTES or len(text.encode()) > MAX_EVENT_BYTES:
        log.warning("event dropped: too large", relay=url, chars=len(text))
        return None
    try:
        return Event.from_json(json.loads(text))
    except (Malformed, ValueError) as error:
        log.warning("event dropped: malformed", relay=url, reason=str(error))
        return None


def _words(error: sdk.NostrSdkError) -> str:
    """The relay's or the SDK's reason; the SDK wraps it in quotes."""
    text = str(error)
    return plain(text[1:-1] if len(text) > 1 and text[0] == text[-1] in "'\"" else text)
