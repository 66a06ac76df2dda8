"""Shell: rows on their way into the database, many in one statement.

SQLite lets go of the interpreter's lock for each statement it runs, and has to queue for it
again behind the event loop: a statement for 64 rows costs one such turn and not 64. A row that
cannot be written fails the whole transaction, so OR FAIL is enough: to be able to take back the
rest of its statement, SQLite would first copy every page of it into a journal on disk.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence

_ROWS_AT_ONCE = (64, 16)

Row = tuple[object, ...]


class Pending:
    """The rows for one table, of `columns` values each, written in the order they came."""

    def __init__(self, table: str, columns: int) -> None:
        self._rows: dict[int, Sequence[Row]] = {}
        one = f"({','.join('?' * columns)})"
        self._statements = [
            (rows, f"INSERT OR FAIL INTO {table} VALUES {','.join([one] * rows)}")  # noqa: S608 - ours
            for rows in (*_ROWS_AT_ONCE, 1)
        ]

    def __bool__(self) -> bool:
        return bool(self._rows)

    def add(self, number: int, rows: Sequence[Row]) -> None:
        """Take in the rows of the event of an arrival number."""
        self._rows[number] = rows

    def drop(self, number: int) -> None:
        """Leave out an event's rows."""
        del self._rows[number]

    def write(self, connection: sqlite3.Connection) -> None:
        """Write everything. Raises sqlite3.Error, with nothing more to be written."""
        rows = [row for of_one in self._rows.values() for row in of_one]
        self._rows.clear()
        start = 0
        for at_once, sql in self._statements:
            while len(rows) - start >= at_once:
                some = rows[start : start + at_once]
                connection.execute(sql, [value for row in some for value in row])
                start += at_once
