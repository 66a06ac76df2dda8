"""Shell: the files of a message, asked of the Signal service and laid into the group's folder."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from bot.bridges.file_names import described, not_taken
from bot.bridges.incoming import Incoming, NotKept
from bot.bridges.signal.received.parts import File
from bot.bridges.signal.service.rest import Rejected, Service, ServiceError
from nips.own.received import ReceivedFile

MAX_FILE_BYTES = 25 << 20
FETCHES_AT_ONCE = 3  # each has its file in memory
DEADLINE_S = 60.0  # of one file
MESSAGE_DEADLINE_S = 120.0  # of all files of a message: its words wait no longer
PAUSES_S = (1.0, 3.0, 9.0)  # before the second, third and fourth attempt


class NotTaken(Exception):
    """The file could not be had; the end of a sentence says why, for whoever reads the group. It
    holds no words of anybody else's."""


@dataclass(frozen=True, slots=True)
class Taken:
    """What became of a file: itself, where it was had, and the line that stands for it."""

    kept: ReceivedFile | None
    line: str


class Files:
    """incoming: where files are laid."""

    def __init__(
        self,
        service: Service,
        incoming: Incoming,
        deadline_s: float = DEADLINE_S,
        message_deadline_s: float = MESSAGE_DEADLINE_S,
        pauses_s: Sequence[float] = PAUSES_S,
    ) -> None:
        self._service, self._incoming = service, incoming
        self._deadline_s, self._message_deadline_s = deadline_s, message_deadline_s
        self._pauses_s = pauses_s
        self._fetching = asyncio.Semaphore(FETCHES_AT_ONCE)

    async def take(
        self, files: Sequence[File], folder: str, hurry: asyncio.Event
    ) -> list[Taken]:  # fmt: skip
        """Fetch the files of a message into a group's folder, in order. hurry: when it is set, what
        has not come is given up."""
        loop = asyncio.get_running_loop()
        until_s = loop.time() + self._message_deadline_s
        return [await self._taken(file, folder, hurry, until_s) for file in files]

    async def _taken(
        self, file: File, folder: str, hurry: asyncio.Event, until_s: float
    ) -> Taken:  # fmt: skip
        try:
            kept, shown = await self._in_time(file, folder, hurry, until_s)
            line = described(shown, kept.media_type, kept.n_bytes)
        except NotTaken as error:
            kept, line = None, not_taken(file.media_type, str(error))
        caption = " ".join((file.caption or "").split())
        return Taken(kept, f"{line} {caption}" if caption else line)

    async def _in_time(
        self, file: File, folder: str, hurry: asyncio.Event, until_s: float
    ) -> tuple[ReceivedFile, str]:
        if hurry.is_set():
            raise NotTaken("too much else was waiting behind it")
        fetching = asyncio.create_task(self._take(file, folder))
        hurried = asyncio.create_task(hurry.wait())
        left_s = max(0.0, until_s - asyncio.get_running_loop().time())
        try:
            await asyncio.wait(
                (fetching, hurried),
                timeout=min(self._deadline_s, left_s),
                return_when=asyncio.FIRST_COMPLETED,
            )
            if fetching.done():
                return fetching.result()
        finally:
            for task in (fetching, hurried):
                task.cancel()
            await asyncio.gather(fetching, hurried, return_exceptions=True)
        if hurry.is_set():
            raise NotTaken("too much else was waiting behind it")
        raise NotTaken("it did not come in time")

    async def _take(self, file: File, folder: str) -> tuple[ReceivedFile, str]:
        if file.id is None:
            raise NotTaken("the Signal service does not have it")
        if (file.n_bytes or 0) > MAX_FILE_BYTES:
            raise NotTaken(_too_large())
        async with self._fetching:
            content = await self._fetched(file.id)
            # Attack: a size that is not true.
            if len(content) > MAX_FILE_BYTES:
                raise NotTaken(_too_large())
            try:
                return await self._incoming.take(
                    folder, file.name, file.media_type, content, file.dimensions
                )
            except NotKept as error:
                raise NotTaken(str(error)) from error

    async def _fetched(self, file_id: str) -> bytes:
        problem: ServiceError | None = None
        for pause_s in (0.0, *self._pauses_s):
            await asyncio.sleep(pause_s)
            try:
                return await self._service.attachment(file_id, max_bytes=MAX_FILE_BYTES)
            except Rejected as error:
                raise NotTaken("the Signal service does not give it out") from error
            except ServiceError as error:
                problem = error
        raise NotTaken("the Signal service does not answer") from problem


def _too_large() -> str:
    return f"it is larger than {MAX_FILE_BYTES >> 20} MiB"
