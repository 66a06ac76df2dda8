"""Shell: an answer on its way from a provider to a session, byte by byte.

Without the key, whatever the provider repeats; its usage is read as it passes. What goes wrong
is told while it still can be: as an error instead of the answer, or as the last event of a stream.
"""

from __future__ import annotations

import httpx

from signer import model_budget
from signer.model_budget import Amount
from signer.model_http import CallerGone, Exchange
from signer.model_providers import Price
from signer.model_redaction import Redaction
from signer.model_refusal import HttpRefusal, NotServed
from signer.model_request import Call
from signer.model_upstream import REQUEST_HEADERS, Upstream, UpstreamFailed, shown_headers
from signer.model_usage import UsageReader


class Passing:
    """An answer on its way from a provider to a session. `outcome`: how it went, for people."""

    def __init__(self, exchange: Exchange, call: Call, upstream: Upstream) -> None:
        self._exchange, self._call, self._upstream = exchange, call, upstream
        self.reader = UsageReader(is_stream=False)
        self.outcome = "the caller hung up"
        self._reached = True  # until we know better: a request under way may cost something
        self._billed = True
        self._n_bytes, self._length = 0, -1
        self._tail = b""

    async def run(self) -> None:
        """Make the call and pass its answer on. Raises NotServed, CallerGone."""
        path = self._call.endpoint.path
        given = {name: self._exchange.header(name) for name in REQUEST_HEADERS}
        body = self._call.body(self._upstream.provider.limit_field)
        try:
            async with self._upstream.call(path, body, given) as response:
                await self._pass_on(response)
        except UpstreamFailed as failed:
            self.outcome = failed.refusal.sentence
            self._reached = failed.reached
            await self._tell(failed.refusal)

    async def _pass_on(self, response: httpx.Response) -> None:
        status = response.status_code
        self._billed = status < 400
        is_stream = response.headers.get("content-type", "").startswith("text/event-stream")
        self.reader = UsageReader(is_stream=is_stream)
        headers = shown_headers(response, self._upstream.key)
        if (length := response.headers.get("content-length")) is not None:
            headers.append(("content-length", length))
            self._length = int(length)
        await self._exchange.begin(status, headers)
        redaction = Redaction(self._upstream.key)
        async for piece in self._upstream.pieces(response):
            self._n_bytes += len(piece)
            self.reader.feed(piece)
            await self._send(redaction.feed(piece))
        await self._send(redaction.finish())
        self.reader.finish()
        await self._exchange.end()
        self.outcome = f"{status}"

    async def _send(self, piece: bytes) -> None:
        if piece:
            self._tail = (self._tail + piece)[-2:]
            await self._exchange.send(piece)

    async def _tell(self, refusal: HttpRefusal) -> None:
        if not self._exchange.began:
            raise NotServed(refusal)
        # Between two events of a stream one more can be said; anything else is cut, so that its
        # reader sees that the end is missing.
        if self._call.is_stream and self._tail in (b"", b"\n\n"):
            await self._exchange.send(refusal.event(self._call.endpoint.style))
            await self._exchange.end()
            return
        raise CallerGone

    @property
    def is_ending(self) -> bool:
        """Say whether its reader may have all of it, although the bill is not corrected yet."""
        return self.reader.complete or self._n_bytes == self._length

    def paid(self, reserved: Amount, price: Price) -> Amount:
        """What the call has cost, as far as can be known."""
        if not self._reached or not self._billed or not self._call.endpoint.makes_tokens:
            return Amount(1)
        return model_budget.settled(
            reserved,
            self.reader.usage,
            complete=self.reader.complete,
            n_answer_bytes=self._n_bytes,
            price=price,
        )
