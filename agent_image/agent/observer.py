"""Shell: the owner's live view of a run: frames (24200), which the signer makes and nobody stores.

A view must not hold up what is viewed: frames wait here, few of them; text that streams is put
together meanwhile; what there is no room for is left out and counted. Three go out at once, and
then two a second.
A run that is over before the first one was due shows nothing: its answer is there already. Any
other shows how it ended, whatever ended it; one that is killed is said to be over by the signer.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass

from nips.own.frame import METHOD, FrameKind, Told
from nips.refusal import Prefix, Refused
from relay_local.client import Caller, Unanswered

FIRST_AFTER_S = 0.4
AT_ONCE, PER_S = 3, 1.9  # a little less than what the signer lets through
DEADLINE_S = 5.0
LAST_S = 2.0  # for the last words of a run that is over
MAX_WAITING = 32
MAX_TEXT_BYTES = 2_000  # of one frame's text; the rest of it is left out


@dataclass(slots=True)
class _Frame:
    kind: FrameKind
    payload: dict[str, str]


class Observer:
    """`show` and `wrote` may be called at any time and never wait; `run` sends until cancelled."""

    def __init__(self) -> None:
        self._waiting: deque[_Frame] = deque()
        self._came = asyncio.Event()
        self._under_way: asyncio.Task[bool] | None = None
        self._seq = self._n_left_out = self._n_sent = 0
        self._allowed, self._allowed_at_s = float(AT_ONCE), time.monotonic()

    def show(self, kind: FrameKind, /, **payload: str) -> None:
        """Show a step soon."""
        cut = {name: _cut(value) for name, value in payload.items()}
        if len(self._waiting) >= MAX_WAITING:
            self._waiting.popleft()
            self._n_left_out += 1
        self._waiting.append(_Frame(kind, cut))
        self._came.set()

    def wrote(self, text: str) -> None:
        """Show some of what the model writes; more of it that comes soon goes with it, as far as
        one frame holds it."""
        last = self._waiting[-1] if self._waiting else None
        if last is not None and last.payload.get("type") == "text":
            pieces = _pieces(last.payload["text"] + text)
            last.payload["text"] = next(pieces)
        else:
            pieces = _pieces(text)
        for piece in pieces:
            self.show("acp_read", type="text", text=piece)

    async def run(self, caller: Caller) -> None:
        """caller: from the session's key to the signer's. Returns where the signer wants none."""
        await asyncio.sleep(FIRST_AFTER_S)
        while True:
            await self._came.wait()
            await asyncio.sleep(max(0.0, (1 - self._refilled()) / PER_S))
            # Not cancelled with us: whether that one was shown, nobody would know.
            self._under_way = asyncio.create_task(self._send(caller, DEADLINE_S))
            if not await asyncio.shield(self._under_way):
                return

    async def end(self, caller: Caller) -> None:
        """The run is over, and `run` cancelled: what may go out at once still does, the last frame
        in any case, where any was shown before. Takes `LAST_S` at most."""
        with suppress(TimeoutError):
            async with asyncio.timeout(LAST_S):
                await self._send_last(caller)

    async def _send_last(self, caller: Caller) -> None:
        if self._under_way is not None:
            await asyncio.gather(self._under_way, return_exceptions=True)
        if not self._n_sent:
            return
        room = max(1, int(self._refilled()))
        self._n_left_out += max(0, len(self._waiting) - room)
        self._waiting = deque(list(self._waiting)[-room:])
        while self._waiting and await self._send(caller, LAST_S):
            pass

    def _refilled(self) -> float:
        """How many may go out now."""
        now_s = time.monotonic()
        since_s, self._allowed_at_s = now_s - self._allowed_at_s, now_s
        self._allowed = min(float(AT_ONCE), self._allowed + since_s * PER_S)
        return self._allowed

    async def _send(self, caller: Caller, deadline_s: float) -> bool:
        frame = self._waiting.popleft()
        if not self._waiting:
            self._came.clear()
        if self._n_left_out:
            frame.payload["left_out"] = str(self._n_left_out)
        self._seq += 1
        self._allowed -= 1
        told = Told(self._seq, frame.kind, frame.payload)
        try:
            await caller.call(METHOD, told.to_json(), deadline_s=deadline_s)
        except Unanswered:
            self._n_left_out += 1
        except Refused as error:
            self._n_left_out += 1
            # Nothing that is tried again would become right.
            return error.refusal.prefix in (Prefix.RATE_LIMITED, Prefix.ERROR)
        else:
            self._n_left_out = 0
            self._n_sent += 1
        return True


def _cut(text: str) -> str:
    raw = text.encode(errors="replace")
    if len(raw) <= MAX_TEXT_BYTES:
        return raw.decode()
    return raw[: MAX_TEXT_BYTES - 3].decode(errors="ignore") + "…"


def _pieces(text: str) -> Iterator[str]:
    raw, at = text.encode(errors="replace"), 0
    while at < len(raw):
        piece = raw[at : at + MAX_TEXT_BYTES].decode(errors="ignore")  # half a letter comes next
        yield piece
        at += len(piece.encode())
