"""Shell: events in and out as JSON lines, one event a line, as they stream by.

Going out they are in order of arrival, so that coming in again they fold to the same groups.
Coming in each is verified and goes through the store's own door: replaced, deleted and expired
as ever. Only who may write is not asked: whoever can write to the folder is its owner.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path
from typing import BinaryIO

import orjson

from nips.event import Event
from nips.kinds import Storage, storage
from nips.refusal import Malformed, Refusal
from relay_local.admission import Known, place
from relay_local.moderation import Sign
from relay_local.repertoire import RELAY_KINDS
from relay_local.statistics import open_to_read
from relay_local.store import Store
from relay_local.transaction import Transaction
from relay_local.world import World

BATCH = 1_000
MAX_LINE_BYTES = 4 << 20
PROGRESS_EVERY = 10_000
MAX_TOLD = 20  # wrong lines that are told one by one
_PAGE = 500

Tell = Callable[[str], None]  # one line for whoever watches


@dataclass(slots=True)
class Tally:
    """What has come of the lines so far."""

    read: int = 0
    stored: int = 0
    known: int = 0
    skipped: int = 0  # never stored, or made by each relay itself
    refused: int = 0
    wrong: int = 0

    def __str__(self) -> str:
        return (
            f"{self.read:,} read, {self.stored:,} stored, {self.known:,} here already, "
            f"{self.skipped:,} not for storing, {self.refused:,} refused, {self.wrong:,} wrong"
        )


def export_events(database: Path, out: BinaryIO, now_s: int, tell: Tell) -> int:
    """Write every stored event that has not expired; returns how many. Raises sqlite3.Error and
    OSError. A running relay goes on meanwhile: what is read is as it was at the beginning."""
    count = 0
    with closing(open_to_read(database)) as connection:
        rows = connection.execute(
            "SELECT json FROM events WHERE expires_at IS NULL OR expires_at > ? ORDER BY seq",
            (now_s,),
        )
        while page := rows.fetchmany(_PAGE):
            out.writelines(row[0] + b"\n" for row in page)
            count += len(page)
            if count % PROGRESS_EVERY < _PAGE:
                tell(f"{count:,} written")
    out.flush()
    return count


async def import_events(
    store: Store, world: World, lines: BinaryIO, sign: Sign, tell: Tell
) -> Tally:
    """Take in every line. Raises sqlite3.Error and OSError; what was counted as stored before
    is on disk, and the rest can be taken in by starting again."""
    tally = Tally()
    with ThreadPoolExecutor(2, thread_name_prefix="relay-verify") as threads:
        numbered = enumerate(_lines(lines), 1)
        while batch := list(islice(numbered, BATCH)):
            events: list[Event] = []
            for (number, _), event in zip(
                batch, threads.map(_read, (line for _, line in batch), chunksize=64), strict=True
            ):
                if isinstance(event, str):
                    tally.wrong += 1
                    if tally.wrong <= MAX_TOLD:
                        tell(f"line {number}: {event}")
                elif event is not None:
                    events.append(event)
            work = partial(_place_all, world=world, events=events, sign=sign, tally=tally)
            world = await store.write(work)
            before = tally.read
            tally.read += len(batch)
            if before // PROGRESS_EVERY != tally.read // PROGRESS_EVERY:
                tell(str(tally))
    return tally


def _place_all(
    transaction: Transaction, world: World, events: list[Event], sign: Sign, tally: Tally
) -> World:
    now_s = int(time.time())
    for event in events:
        if storage(event.kind) is Storage.EPHEMERAL or (
            not world.public and event.kind in RELAY_KINDS
        ):
            tally.skipped += 1
            continue
        admission = place(transaction, world, event, now_s, sign)
        world = admission.world
        match admission.outcome:
            case Known():
                tally.known += 1
            case Refusal():
                tally.refused += 1
            case _:
                tally.stored += 1
    return world


def _lines(file: BinaryIO) -> Iterator[bytes]:
    while line := file.readline(MAX_LINE_BYTES + 1):
        if len(line) > MAX_LINE_BYTES:
            while line and not line.endswith(b"\n"):  # the rest of it, never held as a whole
                line = file.readline(MAX_LINE_BYTES)
            yield b"too long"
        else:
            yield line


def _read(line: bytes) -> Event | str | None:
    """The verified event of a line, None for an empty one, or what is wrong with it."""
    if not line.strip():
        return None
    try:
        event = Event.from_json(orjson.loads(line))
        event.verify()
    except (Malformed, orjson.JSONDecodeError) as error:
        return str(error)
    return event
