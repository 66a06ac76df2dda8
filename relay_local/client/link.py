"""Shell: a connection to a relay that comes back by itself, authenticated with every key.

Publishing waits for the OK over any number of connections: the event's id makes the repetition
one event. Frames are handled in the order in which they arrive.
"""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from itertools import count
from typing import Any, Protocol

from websockets.asyncio.client import ClientConnection, unix_connect
from websockets.asyncio.client import connect as tcp_connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidMessage

from nips import frame_parser, frames, nip42
from nips.event import Event, Template
from nips.filter import Filter
from nips.key import SecretKey
from nips.refusal import Malformed, Prefix, Refused, refused
from relay_local.client.stream import Caught, Delivery, Stream

SOCKET_URL = "ws://relay.local"  # what NIP-42's relay tag says on any Unix socket
MAX_FRAME_BYTES = 8 * 2**20
CHALLENGE_WAIT_S = 10.0
FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.05, 2.0


class Login(Protocol):
    """A key that is somewhere else: `public` in hex, and what signs its logins."""

    @property
    def public(self) -> str: ...

    async def sign(self, template: Template) -> Event:
        """Sign a 22242. May wait; the connection is given up meanwhile and made again."""


class Unanswered(Exception):
    """No answer came before the deadline; whether the peer acted is not known."""


class Link:
    """See `connect`. Every method may be called from any number of tasks."""

    def __init__(
        self, address: str, keys: Iterable[SecretKey | Login], relay_url: str | None
    ) -> None:
        self._address = address
        self._keys: dict[str, SecretKey | Login] = {key.public: key for key in keys}
        self._relay_url = relay_url or (SOCKET_URL if address.startswith("unix:") else address)
        self._connection: ClientConnection | None = None
        self._challenge: asyncio.Future[str] | None = None
        self._oks: dict[str, set[asyncio.Future[frames.Ok]]] = {}
        self._unsettled: dict[str, frames.Publish] = {}
        self._streams: dict[str, Stream] = {}
        self._names = count(1)
        self._tasks: set[asyncio.Task[None]] = set()
        self._ready = asyncio.Event()
        self._fatal: Refused | None = None
        self.connections = 0  # how often it has come up

    # What callers use

    async def publish(self, event: Event, *, deadline_s: float | None = None) -> frames.Ok:
        """Put an event on the relay and return its OK, accepted or not.

        Sent again after each reconnection until an OK arrives. Raises Unanswered after
        `deadline_s`, Refused when the relay does not accept our keys.
        """
        async with self.publishing(event) as answered:
            if deadline_s is None:
                return await answered
            try:
                async with asyncio.timeout(deadline_s):
                    return await answered
            except TimeoutError:
                raise Unanswered(f"no OK within {deadline_s:g} s") from None

    @asynccontextmanager
    async def publishing(self, event: Event) -> AsyncIterator[asyncio.Future[frames.Ok]]:
        """`publish`, for who has something to do meanwhile: the future gets the OK, and until
        the block ends the event is sent again after each reconnection."""
        with self._awaiting_ok(event.id) as answered:
            self._unsettled[event.id] = frames.Publish(event)
            if self._ready.is_set():
                await self._send(frames.Publish(event))
            yield answered

    async def offer(self, event: Event, answered: Callable[[frames.Ok], None]) -> None:
        """Send an event once, on the connection there is, and go on.

        answered: called with its OK, accepted or not, at most once; never where the connection
        breaks before. Raises Refused when the relay does not accept our keys.
        """

        def tell(ok: asyncio.Future[frames.Ok]) -> None:
            self._forget(event.id, ok)
            if not ok.cancelled() and ok.exception() is None:
                answered(ok.result())

        self._await_ok(event.id).add_done_callback(tell)
        await self._send(frames.Publish(event))

    @asynccontextmanager
    async def subscribe(
        self,
        filters: Sequence[Filter],
        *,
        after_seq: int | None = None,
        epoch: str | None = None,
    ) -> AsyncIterator[Stream]:
        """Open a subscription that survives reconnections.

        after_seq, epoch: for role keys, the place to go on from; the relay then delivers by
        order of arrival. Another epoch at the relay reads everything from the beginning.
        """
        stream = Stream(f"s{next(self._names)}", filters, after_seq, epoch)
        self._streams[stream.name] = stream
        if self._fatal:
            stream.fail(self._fatal)
        try:
            if self._ready.is_set():
                await self._send(stream.request())
            yield stream
        finally:
            self._streams.pop(stream.name, None)
            if self._ready.is_set():
                await self._send(frames.Close(stream.name))

    async def fetch(self, filters: Sequence[Filter]) -> list[Event]:
        """Return what is stored, in the relay's order. Raises Refused."""
        found: dict[str, Event] = {}
        async with self.subscribe(filters) as stream:
            async for item in stream:
                match item:
                    case Delivery(event, _):
                        found.setdefault(event.id, event)
                    case Caught():
                        break
        return list(found.values())

    async def authenticate(self, key: SecretKey) -> None:
        """Add a key, a puppet's say, to this and every later connection. Raises Refused."""
        self._keys[key.public] = key
        while True:
            await self.connected()
            if self._challenge is None or not self._challenge.done():
                return None  # a relay that never challenged asks for no keys
            try:
                return await self._authenticate(key, self._challenge.result())
            except Refused as error:
                if error.refusal.prefix is not Prefix.ERROR:
                    raise
                # The connection broke; the next one takes this key along, and we see it do so.

    @property
    def is_up(self) -> bool:
        """Say whether the connection is up and authenticated now."""
        return self._ready.is_set() and self._fatal is None

    async def connected(self) -> None:
        """Wait until the connection is up and authenticated. Raises Refused when it cannot be."""
        await self._ready.wait()
        if self._fatal:
            raise self._fatal

    def spawn(self, work: Coroutine[object, object, None]) -> asyncio.Task[None]:
        """Run background work that ends with the link."""
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    # The connection

    async def run(self) -> None:
        """Keep the connection up until cancelled or refused."""
        pause_s = FIRST_PAUSE_S
        while self._fatal is None:
            try:
                async with self._open() as connection:
                    pause_s = FIRST_PAUSE_S
                    await self._serve(connection)
            except (OSError, ConnectionClosed, InvalidHandshake, InvalidMessage, TimeoutError):
                pass  # the relay is away or restarting; everything pending is sent again
            finally:
                self._lose()
            # Jitter: several processes wait for the same relay.
            await asyncio.sleep(pause_s * (0.5 + secrets.randbelow(1000) / 1000))
            pause_s = min(2 * pause_s, LONGEST_PAUSE_S)

    @asynccontextmanager
    async def _open(self) -> AsyncIterator[ClientConnection]:
        options: dict[str, Any] = {
            "max_size": MAX_FRAME_BYTES,
            "compression": None,
            "open_timeout": 10,
        }
        opening = (
            unix_connect(self._address.removeprefix("unix:"), self._relay_url, **options)
            if self._address.startswith("unix:")
            else tcp_connect(self._address, proxy=None, **options)
        )
        async with opening as connection:
            yield connection

    async def _serve(self, connection: ClientConnection) -> None:
        self._connection = connection
        self._challenge = asyncio.get_running_loop().create_future()
        opening = asyncio.create_task(self._begin(connection, self._challenge))
        try:
            async for data in connection:
                try:
                    frame = frame_parser.parse_relay(data)
                except Malformed:
                    continue  # a frame we do not know; the relay may be newer than we are
                await self._receive(frame)
        finally:
            opening.cancel()
            await asyncio.gather(opening, return_exceptions=True)

    async def _begin(self, connection: ClientConnection, challenge: asyncio.Future[str]) -> None:
        try:
            if self._keys:
                async with asyncio.timeout(CHALLENGE_WAIT_S):
                    text = await challenge
                    await asyncio.gather(
                        *(self._authenticate(key, text) for key in list(self._keys.values()))
                    )
        except Refused as error:
            if error.refusal.prefix is not Prefix.ERROR:
                self._fail(error)
            await connection.close()
            return
        except TimeoutError:
            await connection.close()
            return
        self.connections += 1
        self._ready.set()
        for stream in list(self._streams.values()):
            await self._send(stream.request())
        for frame in list(self._unsettled.values()):
            await self._send(frame)

    async def _authenticate(self, key: SecretKey | Login, challenge: str) -> None:
        template = nip42.auth_template(key.public, challenge, self._relay_url, int(time.time()))
        if isinstance(key, SecretKey):
            event = template.sign(key, secrets.token_bytes(32))
        else:
            event = await key.sign(template)
        with self._awaiting_ok(event.id) as future:
            await self._send(frames.Authenticate(event))
            if refusal := (await future).refusal:
                raise Refused(refusal)

    async def _receive(self, frame: frames.RelayFrame) -> None:
        match frame:
            case frames.Challenge(text):
                if self._challenge is not None and not self._challenge.done():
                    self._challenge.set_result(text)
            case frames.Ok(event_id):
                for future in self._oks.get(event_id, ()):
                    if not future.done():
                        future.set_result(frame)
            case frames.Delivered(name) | frames.Eose(name) | frames.Closed(name):
                if (stream := self._streams.get(name)) and stream.receive(frame):
                    await self._send(stream.request())
            case frames.Notice():
                pass  # words for people; what failed is answered in its own frame

    async def _send(self, frame: frames.ClientFrame) -> None:
        if self._connection is not None:
            with suppress(ConnectionClosed):  # the loop in `run` sees it too, and sends again
                await self._connection.send(frames.encode(frame))

    @contextmanager
    def _awaiting_ok(self, event_id: str) -> Iterator[asyncio.Future[frames.Ok]]:
        future = self._await_ok(event_id)
        try:
            yield future
        finally:
            self._forget(event_id, future)

    def _await_ok(self, event_id: str) -> asyncio.Future[frames.Ok]:
        if self._fatal:
            raise self._fatal
        future: asyncio.Future[frames.Ok] = asyncio.get_running_loop().create_future()
        self._oks.setdefault(event_id, set()).add(future)
        return future

    def _forget(self, event_id: str, future: asyncio.Future[frames.Ok]) -> None:
        self._oks[event_id].discard(future)
        if not self._oks[event_id]:  # two tasks may publish the same event
            del self._oks[event_id]
            self._unsettled.pop(event_id, None)

    def _lose(self) -> None:
        self._connection = None
        if self._ready.is_set() and not self._fatal:
            self._ready.clear()
            for stream in self._streams.values():
                stream.lose()
        # An AUTH belongs to its connection; what is to be published waits for the next one.
        broken = refused(Prefix.ERROR, "the connection to the relay broke")
        self._end_waiting(broken, [i for i in self._oks if i not in self._unsettled])

    def _fail(self, error: Refused) -> None:
        self._fatal = error
        self._ready.set()  # whoever waits is told
        self._end_waiting(error, list(self._oks))
        for stream in self._streams.values():
            stream.fail(error)

    def _end_waiting(self, error: Refused, event_ids: Iterable[str]) -> None:
        for event_id in event_ids:
            for future in self._oks[event_id]:
                if not future.done():
                    future.set_exception(error)


@asynccontextmanager
async def connect(
    address: str, keys: Iterable[SecretKey | Login] = (), relay_url: str | None = None
) -> AsyncIterator[Link]:
    """Connect to a relay for the length of a `with` block.

    address: `ws://host:port` or `unix:/path`. keys: each is authenticated (NIP-42) on every
    connection. relay_url: what the relay calls itself, where that is not the address.
    Returns at once; the connection is made, and made again, in the background.
    """
    link = Link(address, keys, relay_url)
    link.spawn(link.run())
    try:
        yield link
    finally:
        tasks = list(link._tasks)  # noqa: SLF001 - the two are one thing
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
