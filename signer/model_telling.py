"""Shell: the model proxy tells the router what jobs and their groups have used: request `spent`.

After each bill, when a session has ended, at the start for all that is not filed, and then with
growing pauses until the router says that the job's cost is filed. Each time all of it, as the
ledger has it then; so whatever is lost or comes twice, what comes last is true.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Protocol, TypeVar

import structlog

from nips.own.spent import FILED, METHOD
from nips.refusal import Refused
from relay_local.client import Caller, Unanswered
from signer.model_reports import Reports

SOON_S = 0.2  # bills of one moment are told together
LEAST_S = 1.0  # between two of one job
MOST_S = 60.0
ANSWER_S = 30.0

T = TypeVar("T")

log = structlog.get_logger("model")


class InLedger(Protocol):
    """Calls a function in the ledger's thread. Raises sqlite3.Error."""

    async def __call__(self, function: Callable[..., T], *arguments: object) -> T: ...


@dataclass(slots=True)
class _Due:
    at_s: float
    pause_s: float = LEAST_S
    told_s: float = float("-inf")
    is_news: bool = True  # since it was looked up last


class Telling:
    """See above. router: the way to it. now_s: the proxy's time, which never goes back."""

    def __init__(
        self,
        router: Caller,
        reports: Reports,
        in_ledger: InLedger,
        now_s: Callable[[], float],
    ) -> None:
        self._router, self._reports = router, reports
        self._in_ledger, self._now_s = in_ledger, now_s
        self._due: dict[str, _Due] = {}
        self._woken = asyncio.Event()

    @property
    def due(self) -> frozenset[str]:
        """The jobs of which there is something to tell, as far as is known."""
        return frozenset(self._due)

    def changed(self, job: str | None) -> None:
        """There is news of a job: a bill, a refusal, or the end of a session."""
        if job is None:
            return
        soon_s = _clock_s() + SOON_S
        due = self._due.setdefault(job, _Due(soon_s))
        due.at_s = min(due.at_s, max(soon_s, due.told_s + LEAST_S))
        due.pause_s, due.is_news = LEAST_S, True
        self._woken.set()

    async def run(self) -> None:
        """Tell until cancelled."""
        for job in await self._read(self._reports.pending) or []:
            self.changed(job)
        while True:
            self._woken.clear()
            if not self._due:
                await self._woken.wait()
                continue
            job = min(self._due, key=lambda one: self._due[one].at_s)
            if (wait_s := self._due[job].at_s - _clock_s()) > 0:
                with suppress(TimeoutError):
                    async with asyncio.timeout(wait_s):
                        await self._woken.wait()
                continue
            await self._tell(job)

    async def _tell(self, job: str) -> None:
        due = self._due[job]
        due.told_s, due.is_news = _clock_s(), False
        due.at_s, due.pause_s = due.told_s + due.pause_s, min(2 * due.pause_s, MOST_S)
        try:
            told = await self._in_ledger(self._reports.of, job, self._now_s())
        except sqlite3.Error as error:
            _unusable(error)
            return
        if told is None:
            # Attack: jobs refused for what they themselves may use, one after the other, of which
            # there is nothing to tell: each would be looked up for as long as we live.
            self._done(job)
            return
        try:
            answer = await self._router.call(METHOD, told.to_json(), deadline_s=ANSWER_S)
        except (Refused, Unanswered) as error:
            log.info("the router did not take what was spent", job=job[:12], reason=str(error))
            return
        if answer == FILED:
            await self._read(self._reports.file, job)
            self._done(job)

    def _done(self, job: str) -> None:
        """Nothing is left to tell, unless there was news meanwhile."""
        if not self._due[job].is_news:
            del self._due[job]

    async def _read(self, function: Callable[..., T], *arguments: object) -> T | None:
        try:
            return await self._in_ledger(function, *arguments)
        except sqlite3.Error as error:
            _unusable(error)
            return None


def _unusable(error: sqlite3.Error) -> None:
    log.error("the ledger of models cannot be used", reason=str(error))


def _clock_s() -> float:
    return asyncio.get_running_loop().time()
