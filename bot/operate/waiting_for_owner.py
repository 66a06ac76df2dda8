"""Shell: shows at the terminal that the owner has been asked, and for how long that stands."""

from __future__ import annotations

import asyncio
import sys
import time
from datetime import datetime
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.status import Status


class Waiting:
    """Nothing is shown before `asked` is called; words go to stderr."""

    def __init__(self) -> None:
        self._console = Console(stderr=True, highlight=False)
        self._status: Status | None = None
        self._counting: asyncio.Task[None] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._counting is not None:
            self._counting.cancel()  # its loop has ended, if it was not to end first
        if self._status is not None:
            self._status.stop()

    def asked(self, until_s: float) -> None:
        """Say so; to be called inside the loop that waits. until_s: unix seconds."""
        until = datetime.fromtimestamp(until_s).astimezone().strftime("%H:%M:%S")
        sys.stderr.write(
            f"Your owner is asked; answer in your client by {until}. This waits for the answer; "
            "if you stop it, the question stands all the same.\n"
        )
        if self._console.is_terminal:
            self._status = self._console.status("waiting")
            self._status.start()
            self._counting = asyncio.ensure_future(self._count(until_s))

    async def _count(self, until_s: float) -> None:
        while self._status is not None and (left_s := round(until_s - time.time())) > 0:
            self._status.update(f"waiting for the answer, {left_s // 60}:{left_s % 60:02} left")
            await asyncio.sleep(1)
