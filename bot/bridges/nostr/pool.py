"""Shell: the public relays, through nostr-sdk; no other file imports it.

A thin door: what is said to a relay and what it says. What the SDK does not do by itself is done
by its callers. It drops notifications when its channel is full (so the channel is large, and
`tending` pages what is stored), its fetches truncate without an error (so a page counts only with
its EOSE), and its send fails at once while a relay is away (so `outbox` repeats).

The SDK may crash the interpreter's exit after an authenticator in Python was registered. Once the
pool is closed the composition root flushes its streams and ends the process with `os._exit`.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from types import TracebackType
from typing import Any, Self

import nostr_sdk as sdk
import structlog

from bot.bridges.nostr.destination import why_not_public
from nips.event import Event
from nips.refusal import Malformed

CHANNEL_ITEMS = 65_536
MAX_EVENT_BYTES = 400_000  # what the signer can still be asked about in one frame
RETRY_INTERVAL_S = 5
CONNECT_TIMEOUT_S = 10
OK_TIMEOUT_S = 15
MAX_REASON_CHARS = 300
LOGINS, LOGIN_PERIOD_S = 6, 60.0  # of one relay; a connection that is made again needs one
SETTLE_S = 0.3

# Gives the signed kind 22242 for (relay, challenge) as JSON, or None to stay unauthenticated.
# Called whenever a relay challenges, from several at once; must not raise.
SignAuth = Callable[[str, str], Awaitable[str | None]]

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Heard:
    """An event that a relay sent under one of our subscriptions; well formed, not verified."""

    url: str
    subscription: str
    event: Event


@dataclass(frozen=True, slots=True)
class Ended:
    """A relay's EOSE (`reason` None) or CLOSED (`reason` in its words)."""

    url: str
    subscription: str
    reason: str | None


class Pool:
    """The configured relays, and others for the length of one send.

    relays: `wss://`, or `ws://` on loopback, each named everywhere as it is given here.
    """

    def __init__(self, relays: Sequence[str], sign_auth: SignAuth) -> None:
        self._relays = {url: sdk.RelayUrl.parse(url) for url in relays}
        self._named = {str(address): url for url, address in self._relays.items()}
        self._client = (
            sdk.ClientBuilder()
            .authenticator(_Authenticator(sign_auth, self._named))
            .notification_channel_size(CHANNEL_ITEMS)
            .build()
        )
        self._visits: dict[str, int] = {}
        self._shut = asyncio.Event()

    async def __aenter__(self) -> Self:
        sdk.uniffi_set_event_loop(asyncio.get_running_loop())  # else every callback hangs
        options = sdk.RelayOptions().retry_interval(timedelta(seconds=RETRY_INTERVAL_S))
        for address in self._relays.values():
            await self._client.add_relay(address, opts=options)
        self._notifications = self._client.notifications()
        await self._client.connect()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._client.shutdown()
        # The SDK's threads may still be returning from callbacks; nothing announces their end.
        await asyncio.sleep(SETTLE_S)

    @property
    def relays(self) -> tuple[str, ...]:
        """The configured relays."""
        return tuple(self._relays)

    async def notes(self) -> AsyncIterator[Heard | Ended]:
        """Yield what the configured relays say, until the pool is closed. For one reader."""
        while (note := await self._notifications.next()) is not None:
            if note.is_shutdown():
                return
            url = self._named.get(str(note.relay_url)) if note.is_message() else None
            if url is None:  # NEW_EVENT repeats what MESSAGE said
                continue
            message = note.message.as_enum()
            if message.is_event_msg():
                if (event := _read(url, message.event.as_json())) is not None:
                    yield Heard(url, message.subscription_id, event)
            elif message.is_end_of_stored_events():
                yield Ended(url, message.subscription_id, None)
            elif message.is_closed():
                yield Ended(url, message.subscription_id, plain(message.message))

    async def subscribe(self, url: str, name: str, wanted: Mapping[str, Any]) -> None:
        """Register a REQ under a new name; it is sent when the connection is up, and again after
        each AUTH and each reconnection."""
        try:
            relay = await self._relay(self._relays[url])
            await relay.subscribe(sdk.Filter.from_json(json.dumps(wanted)), id=name)
        except sdk.NostrSdkError as error:
            log.info("not subscribed", relay=url, reason=_words(error))

    async def unsubscribe(self, url: str, name: str) -> None:
        """Forget a REQ, and CLOSE it where the connection is up."""
        with suppress(sdk.NostrSdkError):
            await (await self._relay(self._relays[url])).unsubscribe(name)

    async def connections(self, url: str) -> int:
        """How often the connection has come up; 0 while it is down."""
        relay = await self._relay(self._relays[url])
        up = relay.status() == sdk.RelayStatus.CONNECTED
        return int(relay.stats().success()) if up else 0

    async def reconnect(self, url: str) -> None:
        """Break a connection that is of no use any more, and make it again."""
        relay = await self._relay(self._relays[url])
        relay.disconnect()
        relay.connect()

    async def send(self, event: Event, relays: Iterable[str]) -> dict[str, tuple[bool, str]]:
        """Send to each relay at the same time: (accepted, reason) for each, in its words.

        Relays that are not configured are visited for this one send, and only at public
        addresses. Never raises for a relay's sake.
        """
        urls = list(dict.fromkeys(relays))
        outgoing = sdk.Event.from_json(json.dumps(event.to_json()))
        sending = (
            self._send(outgoing, self._relays[url]) if url in self._relays
            else self._visit(outgoing, url)
            for url in urls
        )  # fmt: skip
        return dict(zip(urls, await asyncio.gather(*sending), strict=True))

    async def _relay(self, address: sdk.RelayUrl) -> sdk.Relay:
        relay = await self._client.relay(address)
        assert relay is not None  # added in __aenter__ or by the visit
        return relay

    async def _send(self, event: sdk.Event, address: sdk.RelayUrl) -> tuple[bool, str]:
        timeout = timedelta(seconds=OK_TIMEOUT_S)
        try:
            relay = await self._relay(address)
            await relay.send_event(event, ok_timeout=timeout, authentication_timeout=timeout)
        except sdk.NostrSdkError as error:
            return False, _words(error)
        return True, ""

    async def _visit(self, event: sdk.Event, url: str) -> tuple[bool, str]:
        if reason := await why_not_public(url):
            return False, f"blocked: {reason}"
        try:
            address = sdk.RelayUrl.parse(url)
        except sdk.NostrSdkError:
            return False, "invalid: not the address of a relay"
        self._visits[url] = self._visits.get(url, 0) + 1
        try:
            await self._client.add_relay(address, capabilities=sdk.RelayCapabilities.write())
            relay = await self._relay(address)
            await relay.try_connect(timeout=timedelta(seconds=CONNECT_TIMEOUT_S))
            return await self._send(event, address)
        except sdk.NostrSdkError as error:
            return False, _words(error)
        finally:
            self._visits[url] -= 1
            if not self._visits[url]:
                del self._visits[url]
                with suppress(sdk.NostrSdkError):
                    await self._client.remove_relay(address, force=True)


class _Authenticator(sdk.Authenticator):  # type: ignore[misc]  # the SDK has no types
    """NIP-42 only. The SDK is given no signer: it can ask for no other signature."""

    def __init__(self, sign_auth: SignAuth, named: Mapping[str, str]) -> None:
        super().__init__()
        self._sign_auth, self._named = sign_auth, named
        self._logins: dict[str, deque[float]] = {}

    async def make_auth_event(self, relay_url: sdk.RelayUrl, challenge: str) -> sdk.Event | None:
        """Called by the SDK on a challenge."""
        url = self._named.get(str(relay_url))
        if url is None:
            return None  # a visited relay learns who its visitor is from nobody
        if not self._may_login(url):
            return None
        signed = await self._sign_auth(url, challenge)
        return None if signed is None else sdk.Event.from_json(signed)

    def _may_login(self, url: str) -> bool:
        """Attack: a relay challenges without end. Each login is a signature, and those of a
        minute are limited for all that the bot signs: it could not speak any more."""
        logins = self._logins.setdefault(url, deque(maxlen=LOGINS))
        if len(logins) == LOGINS and time.monotonic() - logins[0] < LOGIN_PERIOD_S:
            return False
        logins.append(time.monotonic())
        return True


def _read(url: str, text: str) -> Event | None:
    if len(text) > MAX_EVENT_BYTES:
        log.warning("event dropped: too large", relay=url, chars=len(text))
        return None
    try:
        return Event.from_json(json.loads(text))
    except Malformed as error:
        log.warning("event dropped: malformed", relay=url, reason=str(error))
        return None


def _words(error: sdk.NostrSdkError) -> str:
    """The relay's or the SDK's reason; the SDK wraps it in quotes."""
    text = str(error)
    return plain(text[1:-1] if len(text) > 1 and text[0] == text[-1] in "'\"" else text)


def plain(words: str) -> str:
    """A relay's words, fit for a log line and for the state of a delivery.

    Attack: a reason of a megabyte, with which a delivery fits no frame and is never written
    again; line ends and escape sequences for whoever reads the log in a terminal.
    """
    return "".join(char if char.isprintable() else " " for char in words[:MAX_REASON_CHARS])
