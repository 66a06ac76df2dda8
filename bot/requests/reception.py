"""Shell: requests to the router: NIP-46's form over kind 24133, addressed to the router's key.

    24133 ─► who calls? ─► opened ─► the same id before? ─► may it? ─► carried out ─► answered
              unknown:                the same answer                   kept
              silence

Who calls is the envelope's verified key and nothing else (`callers.py`). An answer is kept for as
long as its request could come again; what a request has done is on the relay under once-keys, so
that a later process that gets it again does nothing twice. Source: PROTOCOL.md "Requests to the
router".
"""

from __future__ import annotations

import asyncio
import secrets
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from hashlib import sha256

import structlog

from bot.requests.allowance import Allowance, Verdict
from bot.requests.callers import Caller
from bot.requests.methods import Asked, Method, allowed
from nips import nip44, nip46
from nips.event import Event
from nips.filter import Filter
from nips.key import SecretKey
from nips.kinds import Kind
from nips.own.serving import announcement
from nips.refusal import Malformed, Prefix, Refusal, Refused
from relay_local.client import Caught, Delivery, Link, Unanswered

# 256 KiB of JSON: a text of 60,000 bytes fits, however it is escaped.
MAX_PAYLOAD_CHARS = 350_000
FRESH_S = 300  # who asks again makes a new envelope
KEPT_S = 2 * FRESH_S
REPLY_DEADLINE_S = 60.0
MAX_CALLERS = 1_024

_PASSING = frozenset({Prefix.ERROR, Prefix.RATE_LIMITED})
_BUSY = Refusal(Prefix.RATE_LIMITED, "that is too much at once; ask again in a while")
_USED = Refusal(Prefix.INVALID, "this id was used for another request already")
_BROKEN = Refusal(Prefix.ERROR, "something went wrong here; the log of the bot says what")

log = structlog.get_logger()


@dataclass(slots=True)
class Kept:
    """A request that came: `response` is None while it is carried out."""

    body_hash: bytes
    at_s: float
    response: nip46.Response | None = None


class Reception:
    """Answers requests.

    link: authenticated with `key`, the router's. who: the caller behind a key, None for whoever
    may ask for nothing. methods: what can be asked. waiting: keys that may wait for our return,
    and are told of it.
    """

    def __init__(
        self,
        link: Link,
        key: SecretKey,
        who: Callable[[str], Caller | None],
        methods: Mapping[str, Method],
        waiting: tuple[str, ...] = (),
    ) -> None:
        self._link, self._key, self._who, self._methods = link, key, who, methods
        self._waiting = waiting
        self._since_s = int(time.time())
        self._kept: OrderedDict[tuple[str, str], Kept] = OrderedDict()
        self._allowances: OrderedDict[str, Allowance] = OrderedDict()
        self._conversation_keys: OrderedDict[str, bytes] = OrderedDict()
        self.ready = asyncio.Event()

    async def serve(self) -> None:
        """Answer until cancelled. `ready` is set when requests are heard.

        Raises Refused when the relay does not let the router's key listen.
        """
        wanted = Filter(
            kinds=frozenset({int(Kind.REQUEST)}), tags={"p": frozenset({self._key.public})}
        )
        async with asyncio.TaskGroup() as tasks, self._link.subscribe([wanted]) as stream:
            async for item in stream:
                match item:
                    case Delivery(event, _):
                        if (work := self._receive(event)) is not None:
                            tasks.create_task(self._answer(*work))
                    case Caught():
                        self.ready.set()
                        for client in self._waiting:
                            tasks.create_task(self._say_serving(client))

    def _receive(self, event: Event) -> tuple[Caller, nip46.Request, Kept] | None:
        """Look at an envelope; what is to be carried out, if anything."""
        now_s = time.time()
        caller = self._who(event.pubkey)
        if caller is None:
            return None  # attack: whoever is nobody here learns not even that somebody listens
        # Attack: an envelope of before, brought again by whoever wrote it down: after a restart no
        # answer is known here, and what it asks for would be done once more.
        if not max(self._since_s, now_s - FRESH_S) <= event.created_at <= now_s + FRESH_S:
            log.debug("request out of its time", client=event.pubkey[:12])
            return None
        if (request := self._open(event)) is None:
            return None
        self._forget_old(now_s)
        name, body = (caller.key, request.id), sha256(request.to_json().encode()).digest()
        if (kept := self._kept.get(name)) is not None:
            if kept.body_hash != body:
                self._reply(caller, nip46.Response(request.id, error=_USED))
            elif kept.response is not None:
                self._reply(caller, kept.response)
            return None  # else it is being carried out, and answered then
        allowance = self._allowances.get(caller.key) or Allowance.of(caller, now_s)
        self._allowances[caller.key], verdict = allowance.ask(now_s)
        self._allowances.move_to_end(caller.key)
        match verdict:
            case Verdict.ANSWER:
                kept = self._kept[name] = Kept(body, now_s)
                return caller, request, kept
            case Verdict.REFUSE:
                self._reply(caller, nip46.Response(request.id, error=_BUSY))
        return None

    async def _answer(self, caller: Caller, request: nip46.Request, kept: Kept) -> None:
        try:
            method = allowed(self._methods, request.method, caller)
            result = await method.handle(Asked(caller, request.id, request.params))
            kept.response = nip46.Response(request.id, result)
        except Refused as error:
            log.info("request refused", method=request.method[:40], reason=str(error))
            kept.response = nip46.Response(request.id, error=error.refusal)
        except Exception:
            # A request must not end the router: somebody's bad luck would be everybody's.
            log.exception("request failed", method=request.method[:40])
            kept.response = nip46.Response(request.id, error=_BROKEN)
        finally:
            if (allowance := self._allowances.get(caller.key)) is not None:
                self._allowances[caller.key] = allowance.settle()
            error_of = kept.response.error if kept.response is not None else _BROKEN
            if error_of is not None and error_of.prefix in _PASSING:
                self._kept.pop((caller.key, request.id), None)  # it may be asked again
        self._reply(caller, kept.response)

    def _open(self, event: Event) -> nip46.Request | None:
        if len(event.content) > MAX_PAYLOAD_CHARS:
            log.warning("request too long", client=event.pubkey[:12], chars=len(event.content))
            return None
        try:
            nip46.check_envelope(event, self._key.public)
            key = self._conversation_key(event.pubkey)
            return nip46.parse_request(nip44.decrypt(event.content, key, extended=True))
        except Malformed as error:
            log.debug("unreadable request", client=event.pubkey[:12], reason=str(error))
            return None

    def _reply(self, caller: Caller, response: nip46.Response) -> None:
        self._link.spawn(self._send(caller.key, response.to_json()))

    async def _say_serving(self, client: str) -> None:
        await self._send(client, announcement(secrets.token_hex(16)).to_json())

    async def _send(self, client: str, text: str) -> None:
        payload = nip44.encrypt(
            text, self._conversation_key(client), secrets.token_bytes(32), extended=True
        )
        template = nip46.envelope(self._key.public, client, payload, int(time.time()))
        event = template.sign(self._key, secrets.token_bytes(32))
        try:
            ok = await self._link.publish(event, deadline_s=REPLY_DEADLINE_S)
        except Unanswered:
            return  # whoever still waits asks again, and gets the same answer
        if ok.refusal:
            log.warning("an answer was refused", p=client[:12], reason=str(ok.refusal))

    def _conversation_key(self, client: str) -> bytes:
        if (found := self._conversation_keys.get(client)) is None:
            found = nip44.conversation_key(self._key, client)
            self._conversation_keys[client] = found
            if len(self._conversation_keys) > MAX_CALLERS:
                self._conversation_keys.popitem(last=False)
        self._conversation_keys.move_to_end(client)
        return found

    def _forget_old(self, now_s: float) -> None:
        for name, kept in list(self._kept.items())[:4]:  # a few each time: none stays long
            if kept.response is not None and kept.at_s < now_s - KEPT_S:
                del self._kept[name]
        while len(self._allowances) > MAX_CALLERS:
            self._allowances.popitem(last=False)
