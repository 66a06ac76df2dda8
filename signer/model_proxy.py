"""Shell: one request of a session, from its head to the last byte of the answer and its bill.

Theory of operation: the socket says which session asks. Its grant must be live and open models;
the request must be authorised by its key (NIP-98), once; what it may cost is set aside on the disk
before anything is sent; the answer passes byte by byte, without the key, while its usage is read;
then the bill is corrected. Whoever hangs up ends the provider's work too.
"""

from __future__ import annotations

import asyncio
import sqlite3
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import TypeVar

import orjson
import structlog

from nips import nip98
from nips.event import Event
from nips.own.grant import Grant
from nips.own.model_scope import ModelScope
from nips.refusal import Malformed
from signer import clock, grants, model_budget, model_reach, model_request
from signer.ceiling import Ceiling
from signer.model_budget import Amount, Overdrawn
from signer.model_http import CallerGone, Exchange
from signer.model_ledger import Booking, ModelLedger, Replayed
from signer.model_passing import Passing
from signer.model_providers import Provider, serving
from signer.model_refusal import HttpRefusal, NotServed, not_served
from signer.model_request import Call, Endpoint, endpoint_of
from signer.model_room import Room
from signer.model_upstream import Upstream
from signer.work import Clocks

ADDRESS = "http://model.local"  # what NIP-98's `u` begins with, on every session's socket
BILL_S = 1.0

log = structlog.get_logger("model")
T = TypeVar("T")


class ModelProxy:
    """See above. `held`: what is known of a session's grant; `is_current`: whether that is all
    there is to know, which it is not while the relay is away. `changed`: is called with a job when
    there is something new to tell of it."""

    def __init__(
        self,
        ledger: ModelLedger,
        upstreams: Mapping[str, Upstream],
        ceiling: Ceiling,
        clocks: Clocks,
        held: Callable[[str], grants.Held | None],
        is_current: Callable[[], bool],
        changed: Callable[[str | None], None],
    ) -> None:
        self._ledger, self._upstreams, self._ceiling = ledger, upstreams, ceiling
        self._providers = {name: one.provider for name, one in upstreams.items()}
        self._clocks, self._held, self._is_current = clocks, held, is_current
        self._changed = changed
        self._reading = clock.start(ledger.high_water_s(), clocks.monotonic_s())
        self._thread = ThreadPoolExecutor(1, "ledger")
        self._room = Room()
        self._settling: set[asyncio.Task[None]] = set()
        self._passing: dict[Passing, asyncio.Event] = {}

    async def close(self) -> None:
        """Wait for the bills that are being corrected."""
        await asyncio.gather(*self._settling, return_exceptions=True)
        self._thread.shutdown()

    async def in_ledger(self, function: Callable[..., T], *arguments: object) -> T:
        """Call a method of the ledger in its own thread. Raises sqlite3.Error."""
        return await asyncio.get_running_loop().run_in_executor(
            self._thread, lambda: function(*arguments)
        )

    def now_s(self) -> float:
        """The time that never goes back."""
        self._reading, _ = clock.read(
            self._reading, self._clocks.wall_s(), self._clocks.monotonic_s()
        )
        return self._reading.now_s

    async def handle(self, session: str, exchange: Exchange) -> None:
        """Answer one request that came by this session's socket. Raises CallerGone."""
        endpoint = endpoint_of(exchange.method, exchange.target)
        style = endpoint.style if endpoint else None
        try:
            async with self._room.one_more(session):
                await self._serve(session, exchange, endpoint)
        except NotServed as refused:
            refusal = refused.refusal
            log.info(
                "model refused", session=session[:12], status=refusal.status, why=refusal.sentence
            )
            await exchange.answer(refusal.status, refusal.headers(), refusal.body(style))
            await exchange.discard()

    async def _serve(self, session: str, exchange: Exchange, endpoint: Endpoint | None) -> None:
        grant, scope = self._granted(session)
        if endpoint is None:
            known = ", ".join(f"{one.method} {one.path}" for one in model_request.ENDPOINTS)
            raise not_served(404, f"there is no such path here; there are {known}")
        authorisation = self._authorised(session, exchange)
        async with self._room.body(exchange) as body:
            if (wrong := nip98.check_payload(authorisation, body)) is not None:
                raise not_served(401, wrong.sentence)
            if endpoint.style is None:
                await self._list_models(exchange, authorisation, scope)
                return
            call, upstream = self._asked(endpoint, body, scope)
            booking = await self._booked(authorisation, grant, scope, call, upstream.provider)
            await self._forward(session, exchange, call, upstream, booking)

    # Who asks, and whether they may

    def _granted(self, session: str) -> tuple[Grant, ModelScope]:
        self._reading, went_back = clock.read(
            self._reading, self._clocks.wall_s(), self._clocks.monotonic_s()
        )
        if went_back is not None:
            raise not_served(
                503,
                f"this machine's clock went back by {went_back.by_s:.0f} s; no model is called "
                "until it is right",
            )
        if not self._is_current():
            raise NotServed(
                HttpRefusal(503, "the private relay is away, which knows the grants", 1)
            )
        held = self._held(session)
        if held is None or held.grant.models is None:
            raise not_served(403, "this session's grant opens no models")
        refusal = grants.is_live(held, self._ceiling, self._reading.now_s)
        if refusal is not None:
            raise not_served(403, refusal.sentence)
        return held.grant, held.grant.models

    def _authorised(self, session: str, exchange: Exchange) -> Event:
        try:
            event = nip98.parse(exchange.header("authorization"))
        except Malformed as error:
            raise not_served(401, str(error)) from error
        # Attack: another session's authorisation, overheard, on this one's socket.
        if event.pubkey != session:
            raise not_served(401, "the authorisation is not signed by this session's key")
        asked = ADDRESS + exchange.target
        now_s = int(self._clocks.wall_s())
        wrong = nip98.check_head(event, asked.__eq__, exchange.method, now_s)
        if wrong is not None:
            raise not_served(401, wrong.sentence)
        return event

    def _asked(self, endpoint: Endpoint, body: bytes, scope: ModelScope) -> tuple[Call, Upstream]:
        try:
            call = model_request.read(endpoint, body)
        except Malformed as error:
            raise not_served(400, str(error)) from error
        provider = serving(self._providers, call.model)
        if provider is None or call.model not in scope.names:
            raise not_served(
                403,
                f"this session may not use a model {call.model!r}; GET /v1/models lists its own",
            )
        if provider.style != endpoint.style:
            raise not_served(404, f"{call.model} speaks the {provider.style} form, at its paths")
        refusal = None if provider.unrestricted else model_reach.reaches_out(call)
        if refusal is not None:
            raise not_served(403, refusal.sentence)
        upstream = self._upstreams[provider.name]
        if upstream.is_locked:
            raise not_served(
                503, f"the key of {provider.name} is locked; its owner has: nostrclaw model unlock"
            )
        return call, upstream

    async def _booked(
        self, authorisation: Event, grant: Grant, scope: ModelScope, call: Call, provider: Provider
    ) -> Booking:
        now_s = self._reading.now_s
        payers = model_budget.accounts(grant, scope, self._ceiling.models, now_s)
        wanted = model_budget.reservation(call, provider.models[call.model])
        what = (grant, provider.name, call.model, payers, wanted, now_s)
        booked = await self._written(self._ledger.begin, authorisation.id, *what)
        if isinstance(booked, Overdrawn) and await self._bills_came():
            booked = await self._written(self._ledger.begin, None, *what)
        match booked:
            case Booking():
                return booked
            case Overdrawn(sentence, retry_after_s):
                self._changed(grant.job)
                raise NotServed(HttpRefusal(429, sentence, retry_after_s, hopeless=True))
            case Replayed():
                raise _replayed()

    async def _bills_came(self) -> bool:
        """Wait for the bills of calls whose answers are out; says whether there were any.

        Whoever asks one thing after the other must not be refused for what the last call might
        have cost, when it has not.
        """
        ending = [settled for passing, settled in self._passing.items() if passing.is_ending]
        with suppress(TimeoutError):
            async with asyncio.timeout(BILL_S):
                for settled in ending:
                    await settled.wait()
        return bool(ending)

    async def _written(self, function: Callable[..., T], *arguments: object) -> T:
        try:
            return await self.in_ledger(function, *arguments)
        except sqlite3.Error as error:
            # What cannot be counted is not sent.
            log.error("the ledger of models cannot be written", reason=str(error))
            raise NotServed(
                HttpRefusal(503, "what it would cost cannot be written down here", 5)
            ) from error

    async def _list_models(
        self, exchange: Exchange, authorisation: Event, scope: ModelScope
    ) -> None:
        if await self._written(self._ledger.use, authorisation.id, self._reading.now_s):
            raise _replayed()
        found = [
            {"id": name, "object": "model", "type": "model", "display_name": name,
             "created": 0, "created_at": "1970-01-01T00:00:00Z", "owned_by": provider.name}
            for name in scope.names
            if (provider := serving(self._providers, name)) is not None
        ]  # fmt: skip
        told = {"object": "list", "data": found, "has_more": False}
        await exchange.answer(200, [("content-type", "application/json")], orjson.dumps(told))

    # The call

    async def _forward(
        self,
        session: str,
        exchange: Exchange,
        call: Call,
        upstream: Upstream,
        booking: Booking,
    ) -> None:
        passing = Passing(exchange, call, upstream)
        self._passing[passing] = asyncio.Event()
        work = asyncio.create_task(passing.run())
        watch = asyncio.create_task(exchange.hung_up())
        began_s = time.monotonic()
        try:
            await asyncio.wait({work, watch}, return_when=asyncio.FIRST_COMPLETED)
            if not work.done():
                raise CallerGone
            work.result()
        finally:
            for task in (work, watch):
                task.cancel()
            await asyncio.gather(work, watch, return_exceptions=True)
            price = upstream.provider.models[call.model]
            paid = passing.paid(booking.reserved, price)
            log.info(
                "model called",
                session=session[:12],
                model=call.model,
                outcome=passing.outcome,
                tokens=paid.tokens,
                ms=round((time.monotonic() - began_s) * 1000),
            )
            settling = asyncio.create_task(self._settle(booking, paid, passing))
            self._settling.add(settling)
            settling.add_done_callback(self._settling.discard)
            await asyncio.shield(settling)

    async def _settle(self, booking: Booking, paid: Amount, passing: Passing) -> None:
        try:
            await self.in_ledger(
                self._ledger.settle, booking, paid, passing.reader.usage, passing.outcome
            )
        except sqlite3.Error as error:
            log.error("a model's bill was not corrected", reason=str(error))
        finally:
            self._passing.pop(passing).set()
            self._changed(booking.job)


def _replayed() -> NotServed:
    return not_served(401, "this authorisation was used before; each request needs its own")
