"""Rows many at a time: none is left out, none comes twice, the order is kept."""

from __future__ import annotations

import sqlite3

import pytest

from relay_local.pending import Pending


@pytest.mark.parametrize("n", [0, 1, 15, 16, 17, 63, 64, 65, 80, 81, 145, 1_000])
def test_every_row_is_written_once_and_in_order(n: int) -> None:
    connection = sqlite3.connect(":memory:")
    connection.execute("CREATE TABLE numbers (seq INTEGER PRIMARY KEY AUTOINCREMENT, number)")
    pending = Pending("numbers", 2)
    for number in range(n):
        pending.add(number, [(None, number)])
    assert bool(pending) is (n > 0)
    pending.write(connection)
    assert not pending
    pending.write(connection)
    rows = connection.execute("SELECT number FROM numbers ORDER BY seq").fetchall()
    assert rows == [(number,) for number in range(n)]


def test_what_could_not_be_written_is_not_kept() -> None:
    """Kept, it would be written into the next transaction, whose it is not."""
    connection = sqlite3.connect(":memory:")
    connection.execute("CREATE TABLE ids (id PRIMARY KEY)")
    pending = Pending("ids", 1)
    pending.add(1, [(1,), (1,)])
    with pytest.raises(sqlite3.IntegrityError):
        pending.write(connection)
    assert not pending
