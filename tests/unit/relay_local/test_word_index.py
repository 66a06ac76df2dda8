"""Words are indexed when nobody waits, a few at a time when somebody does, and for a search."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import pairwise
from pathlib import Path

import pytest

from relay_local import word_index
from relay_local.store import Store, open_store
from relay_local.transaction import Transaction
from relay_local.word_index import FEW, WordIndex
from tests.unit.relay_local.cast import MEMBER, event

STORED = 10 * FEW


@asynccontextmanager
async def filled(path: Path) -> AsyncIterator[tuple[Store, WordIndex]]:
    """A store with events whose words are not indexed, and its index, at work."""

    def fill(transaction: Transaction) -> None:
        for number in range(STORED):
            one = event(MEMBER, 1, content=f"word{number}")
            transaction.insert(one, one.to_bytes(), None)

    store = await open_store(path)
    await store.write(fill)
    words = WordIndex(store, STORED)
    running = asyncio.create_task(words.run())
    try:
        async with asyncio.timeout(20):
            yield store, words
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        await store.close()


async def indexed(store: Store) -> int:
    return await store.write(Transaction.indexed)


async def test_everything_is_indexed_once_it_is_quiet(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(word_index, "QUIET_S", 0.02)
    async with filled(tmp_path / "events.sqlite") as (store, _):
        while await indexed(store) < STORED:
            await asyncio.sleep(0.01)


async def test_few_are_indexed_while_somebody_waits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All at once they would keep the next event, or answer, waiting."""
    monkeypatch.setattr(word_index, "QUIET_S", 0.05)
    async with filled(tmp_path / "events.sqlite") as (store, words):
        seen = [0]
        while seen[-1] < 3 * FEW:
            words.disturb()
            await asyncio.sleep(0.005)
            seen.append(await indexed(store))
        assert max(later - earlier for earlier, later in pairwise(seen)) <= FEW


async def test_a_search_does_not_wait_for_a_quiet_moment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(word_index, "QUIET_S", 3_600.0)
    async with filled(tmp_path / "events.sqlite") as (store, words):
        await words.catch_up(STORED)
        assert await indexed(store) == STORED
