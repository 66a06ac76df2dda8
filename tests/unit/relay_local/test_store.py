"""The database: what stays, what is rolled back, what a full disk does."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import orjson
import pytest

from nips.event import Event
from nips.filter import Filter
from relay_local.access import Scope
from relay_local.deletions import WRAP_PREFIX
from relay_local.effects import Search
from relay_local.query import Statement
from relay_local.retention import Address
from relay_local.search import pages
from relay_local.store import Store, open_store
from relay_local.transaction import Transaction
from tests.unit.relay_local.cast import MEMBER, NOW, OWNER, event


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


@pytest.mark.parametrize("foreseen", [True, False])
async def test_what_was_looked_up_at_once_keeps_up_with_the_transaction(
    store: Store, foreseen: bool
) -> None:
    """An answer from before a deletion in the same transaction would let the event in again."""
    stored, removed, new, to_delete = (event(MEMBER, 1, content=text) for text in "abcd")
    deleted = event(MEMBER, 1, content="deleted")
    wrap = event(MEMBER, 1059, ("p", OWNER.public), ("p", "no key"))
    place = event(MEMBER, 30023, ("d", "x"))
    events = [stored, removed, new, to_delete, deleted, wrap, place]

    def before(transaction: Transaction) -> None:
        transaction.insert(stored, b"{}", None)
        transaction.insert(removed, b"{}", None)
        transaction.remove(removed)
        transaction.deletions.record(MEMBER.public, deleted.id, 1)
        transaction.deletions.record(OWNER.public, WRAP_PREFIX + wrap.id, 1)
        transaction.deletions.record(
            MEMBER.public, f"30023:{MEMBER.public}:x", place.created_at - 1
        )

    def work(transaction: Transaction) -> None:
        if foreseen:
            transaction.foresee(events)
        assert [transaction.knows(one.id) for one in events] == [True, True] + 5 * [False]
        assert [transaction.deletions.covers(one) for one in events] == 4 * [False] + [
            True,
            True,
            False,
        ]
        transaction.insert(new, b"{}", None)
        assert transaction.knows(new.id)
        transaction.deletions.record(MEMBER.public, to_delete.id, 1)
        assert transaction.deletions.covers(to_delete)
        transaction.deletions.record(MEMBER.public, f"30023:{MEMBER.public}:x", place.created_at)
        assert transaction.deletions.covers(place)
        transaction.deletions.record_vanishing(MEMBER.public, stored.created_at)
        assert transaction.deletions.has_vanished(stored)
        transaction.remove(new)
        assert transaction.knows(new.id)

    await store.write(before)
    await store.write(work)


async def test_an_event_is_found_as_soon_as_it_is_in(store: Store) -> None:
    """Rows that wait must not hide from the next question of the same transaction."""
    new = event(MEMBER, 30023, ("d", "x"))

    def work(transaction: Transaction) -> tuple[Event | None, Event | None, int, int]:
        seq = transaction.insert(new, orjson.dumps(new.to_json()), None)
        where = Address(MEMBER.public, 30023, "x")
        return transaction.event(new.id), transaction.at(where), seq, transaction.last_seq()

    by_id, at, seq, last_seq = await store.write(work)
    assert by_id == at == new
    assert seq == last_seq


async def test_a_question_keeps_the_event_loop_for_a_moment_only(store: Store) -> None:
    """Attack: one that reads all there is, so that nobody else's connection is served."""
    numbers = "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n LIMIT {}) "
    rows = "SELECT max(x), 2, x'03', 4, NULL FROM n"
    assert store._quick is not None
    quickly = Statement(numbers.format(10) + rows, ())
    assert store._quick.rows(quickly) == [(10, 2, b"\x03", 4, None)]
    endless = Statement(numbers.format(-1) + rows, ())
    began_s = time.monotonic()
    assert store._quick.rows(endless) is None
    assert time.monotonic() - began_s < 1
    slowly = Statement(numbers.format(500_000) + rows, ())
    assert store._quick.rows(slowly) is None
    assert await store.search_whole(slowly) == [(500_000, 2, b"\x03", 4, None)]


async def test_a_version_replaced_before_it_is_written_leaves_its_id_and_nothing_else(
    store: Store,
) -> None:
    versions = [
        event(MEMBER, 30023, ("d", d), created_at=NOW + number)
        for number in range(3)
        for d in ("x", "y")
    ]

    def work(transaction: Transaction) -> list[int]:
        transaction.foresee(versions)
        seqs = []
        for one in versions:
            if (
                old := transaction.at(Address(MEMBER.public, 30023, one.tag("d") or ""))
            ) is not None:
                transaction.remove(old)
            seqs.append(transaction.insert(one, one.to_bytes(), None))
        return seqs

    seqs = await store.write(work)
    assert seqs == sorted(seqs)

    def after(transaction: Transaction) -> list[Event | None]:
        assert all(transaction.knows(one.id) for one in versions)
        for d in ("x", "y"):
            newest = transaction.at(Address(MEMBER.public, 30023, d))
            assert newest in versions[4:]
        counts = [
            transaction._connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0]
            for table in ("events", "tags", "gone")
        ]
        assert counts == [2, 2, 4]
        return [transaction.event(one.id) for one in versions]

    assert await store.write(after) == [*4 * [None], *versions[4:]]


async def test_the_number_of_one_taken_back_at_once_is_not_used_again(store: Store) -> None:
    """A reader whose place it is would miss the event that gets it."""
    new = event(MEMBER, 30023, ("d", "x"))

    def work(transaction: Transaction) -> int:
        seq = transaction.insert(new, new.to_bytes(), None)
        transaction.remove(new)
        assert transaction.event(new.id) is None
        assert transaction.at(Address(MEMBER.public, 30023, "x")) is None
        return seq

    seq = await store.write(work)
    assert await put(store, event(MEMBER, 1)) > seq


async def test_a_short_answer_is_the_paged_one(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    events = [
        event(MEMBER, 1, ("t", "a"), ("t", "b"), content="x" * size, created_at=created_at)
        for size in (0, 10, 3_000, 5_000)
        for created_at in (NOW - 2, NOW - 1, NOW)
    ]
    for one in events:
        await put(store, one)
    ids = frozenset(one.id for one in events[:9])
    for asked in (
        Filter(limit=5),
        Filter(limit=12),
        Filter(ids=ids),
        Filter(tags={"t": frozenset({"a", "b"})}, limit=7),
        Filter(kinds=frozenset({2}), limit=7),
    ):
        search = Search("a", 1, (asked,), Scope(everything=True), 12, ordered=False)

        async def answer(search: Search = search) -> list[tuple[int, bytes]]:
            return [row async for page in pages(store, search, NOW) for row in page]

        short = await answer()
        with monkeypatch.context() as changed:
            changed.setattr("relay_local.search.SHORT_ROWS", 0)
            assert await answer() == short
        most = len(ids) if asked.ids else asked.limit or 0
        assert len(short) == (0 if asked.kinds else min(most, len(events)))
