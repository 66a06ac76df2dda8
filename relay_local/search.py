"""Shell: the stored events of one REQ, read from the store at its client's pace."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Sequence

from relay_local.effects import Search
from relay_local.query import DEFAULT_LIMIT, MAX_LIMIT, in_order_of_arrival, newest, with_bodies
from relay_local.store import Store

PAGE_BYTES = 256 << 10
SHORT_ROWS = 128
SHORT_BYTES = 4 << 10  # so that a short answer is within half a megabyte
ORDERED_PAGE = 1_000


async def pages(store: Store, search: Search, now_s: int) -> AsyncIterator[list[tuple[int, bytes]]]:
    """The (arrival number, JSON) of what a search finds, in the order it is to go out, in pages
    of about `PAGE_BYTES`. Raises sqlite3.Error."""
    if not search.ordered and (short := await _short(store, search, now_s)) is not None:
        yield short
        return
    places = _ordered(store, search, now_s) if search.ordered else _newest(store, search, now_s)
    async for found in places:
        for page in _by_size(found):
            yield await store.bodies(page)


async def _short(store: Store, search: Search, now_s: int) -> list[tuple[int, bytes]] | None:
    """The answer to one filter that asks for little, in one go; None where it must be paged."""
    if len(search.filters) != 1:
        return None
    (one,) = search.filters
    limit = one.limit
    if limit is None and one.ids is not None:
        limit = len(one.ids)
    if one.search is not None or not limit or limit > SHORT_ROWS:
        return None
    statement = with_bodies(newest(one, search.scope, now_s, search.last, limit), SHORT_BYTES)
    rows = await store.search_whole(statement)
    rows.sort(key=lambda row: (-row[1], row[2]))
    page = [(row[0], row[4]) for row in rows if row[4] is not None]
    return page if len(page) == len(rows) else None


async def _newest(store: Store, search: Search, now_s: int) -> AsyncIterator[list[tuple[int, int]]]:
    rows: dict[int, tuple[int, bytes, int]] = {}  # an event that two filters match comes once
    is_search = any(one.search is not None for one in search.filters)
    for one in search.filters:
        limit = DEFAULT_LIMIT if one.limit is None else min(one.limit, MAX_LIMIT)
        if limit == 0:
            continue
        statement = newest(one, search.scope, now_s, search.last, limit)
        for seq, created_at, event_id, size in await store.search(statement):
            rows.setdefault(seq, (-created_at, event_id, size))
    if is_search:  # NIP-50: the most relevant first, whenever they are from
        yield [(seq, row[2]) for seq, row in rows.items()]
        return
    yield [(seq, rows[seq][2]) for seq in sorted(rows, key=lambda seq: rows[seq][:2])]


async def _ordered(
    store: Store, search: Search, now_s: int
) -> AsyncIterator[list[tuple[int, int]]]:
    wanted = [one for one in search.filters if one.limit != 0]
    after = 0
    while wanted:
        rows: dict[int, int] = {}
        full = False
        for one in wanted:
            start = max(after, one.after_seq or 0)
            statement = in_order_of_arrival(
                one, search.scope, now_s, start, search.last, ORDERED_PAGE
            )
            found = await store.search(statement)
            full = full or len(found) == ORDERED_PAGE
            rows.update((row[0], row[3]) for row in found)
        if not rows:
            return
        # One filter's full page may end before another's: what lies beyond comes next time.
        seqs = sorted(rows)[:ORDERED_PAGE]
        after = seqs[-1]
        yield [(seq, rows[seq]) for seq in seqs]
        if not full and len(seqs) == len(rows):
            return


def _by_size(found: Sequence[tuple[int, int]]) -> Iterator[list[int]]:
    page: list[int] = []
    page_bytes = 0
    for seq, size in found:
        page.append(seq)
        page_bytes += size
        if page_bytes >= PAGE_BYTES:
            yield page
            page, page_bytes = [], 0
    if page:
        yield page
