"""The database: what stays, what is rolled back, what a full disk does."""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import orjson
import pytest

from nips.event import Event
from relay_local.store import Store, Transaction, open_store
from tests.unit.relay_local.cast import MEMBER, event


@asynccontextmanager
async def opened(path: Path) -> AsyncIterator[Store]:
    """A store that is closed however the test ends: its threads would keep the process."""
    store = await open_store(path)
    try:
        yield store
    finally:
        await store.close()


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    async with opened(tmp_path / "events.sqlite") as store:
        yield store


def insert(new: Event) -> object:
    def work(transaction: Transaction) -> int:
        return transaction.insert(new, orjson.dumps(new.to_json()), None)

    return work


async def put(store: Store, new: Event) -> int:
    return int(await store.write(insert(new)))  # type: ignore[arg-type]


async def test_it_is_there_after_reopening(tmp_path: Path) -> None:
    path = tmp_path / "events.sqlite"
    async with opened(path) as store:
        first = await put(store, event(MEMBER, 1))
        epoch = store.epoch
    assert path.stat().st_mode & 0o777 == 0o600
    async with opened(path) as store:
        ((seq, body),) = await store.bodies([first])
        assert seq == first
        assert Event.from_json(orjson.loads(body)) == event(MEMBER, 1)
        assert store.epoch == epoch
    async with opened(tmp_path / "other.sqlite") as other:
        assert other.epoch != epoch


async def test_an_arrival_number_is_never_used_twice(store: Store) -> None:
    """A reader whose place is the last number would miss the event that gets it again."""
    newest = event(MEMBER, 1)
    first = await put(store, newest)
    await store.write(lambda transaction: transaction.remove(newest))
    assert await put(store, event(MEMBER, 1, content="x")) > first


async def test_nothing_stays_of_work_that_failed(store: Store) -> None:

    def work(transaction: Transaction) -> None:
        transaction.insert(event(MEMBER, 1), b"{}", None)
        raise LookupError("half way")

    with pytest.raises(LookupError):
        await store.write(work)
    assert not await store.write(lambda transaction: transaction.knows(event(MEMBER, 1).id))
    await put(store, event(MEMBER, 1))


async def test_a_full_disk_is_said_and_survived(store: Store) -> None:
    await store.write(
        lambda transaction: transaction._connection.execute("PRAGMA max_page_count = 40")
    )
    with pytest.raises(sqlite3.OperationalError, match="full"):
        await put(store, event(MEMBER, 1, content="x" * 400_000))
    kept = await store.write(lambda transaction: transaction.last_seq())
    await store.write(
        lambda transaction: transaction._connection.execute("PRAGMA max_page_count = 4000")
    )
    assert await put(store, event(MEMBER, 1, content="room again")) > kept


async def test_removed_means_out_of_every_index(store: Store) -> None:
    gone = event(MEMBER, 1, ("t", "x"), ("t", "x"), ("p", "y" * 300), ("long", "z"))
    await put(store, gone)

    def work(transaction: Transaction) -> list[int]:
        transaction.remove(gone)
        transaction.remove(gone)
        count = "SELECT count(*) FROM "
        return [
            transaction._connection.execute(count + table).fetchone()[0]
            for table in ("events", "tags", "gone")
        ]

    assert await store.write(work) == [0, 0, 1]


async def test_readers_cannot_write(store: Store) -> None:
    async with store._reader() as reader:
        with pytest.raises(sqlite3.OperationalError):
            await reader.execute("DELETE FROM events")


async def test_a_commit_waits_for_the_disk(store: Store) -> None:
    """Killing the process cannot show it, only a power cut: so the setting itself."""

    def settings(transaction: Transaction) -> list[object]:
        names = ("synchronous", "journal_mode")
        run = transaction._connection.execute
        return [run(f"PRAGMA {name}").fetchone()[0] for name in names]

    assert await store.write(settings) == [2, "wal"]
