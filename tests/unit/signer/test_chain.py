"""signer/chain.py: every change of the audit rows shows."""

from __future__ import annotations

from pathlib import Path

import pytest

from signer.chain import GENESIS, Entry
from signer.ledger import Ledger
from tests.unit.signer.house import NOW


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    return Ledger(tmp_path / "ledger.sqlite")


def written(ledger: Ledger, rows: int) -> list[Entry]:
    entries = [
        Entry(NOW + n, "client", "sign_event", "signed kind 9", f"id-{n}") for n in range(rows)
    ]
    with ledger.transaction():
        for entry in entries:
            ledger.chain.append(entry)
    return entries


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE audit SET at_s = at_s + 1 WHERE n = 2",
        "UPDATE audit SET client = 'x' WHERE n = 2",
        "UPDATE audit SET method = 'x' WHERE n = 2",
        "UPDATE audit SET outcome = 'x' WHERE n = 2",
        "UPDATE audit SET id = 'x' WHERE n = 2",
        "UPDATE audit SET hash = 'x' WHERE n = 2",
        "DELETE FROM audit WHERE n = 2",
        "UPDATE audit SET n = 9 WHERE n = 2",
    ],
)
def test_every_change_breaks_the_chain(ledger: Ledger, change: str) -> None:
    written(ledger, 3)
    assert ledger.chain.verify().broken_at is None
    ledger.db.execute(change)
    assert ledger.chain.verify().broken_at == 2


def test_its_head_is_its_last_rows_hash(ledger: Ledger) -> None:
    assert ledger.chain.head() == (0, GENESIS)
    assert ledger.chain.verify().head == GENESIS
    written(ledger, 5)
    rows, head = ledger.chain.head()
    assert (rows, head) == (5, ledger.chain.verify().head)
    assert ledger.chain.hash_of(5) == head
    assert ledger.chain.hash_of(0) == GENESIS
    assert ledger.chain.hash_of(6) is None


def test_the_rows_are_read_in_order_from_a_second_on(ledger: Ledger) -> None:
    entries = written(ledger, 5)
    assert list(ledger.chain.entries()) == list(enumerate(entries, start=1))
    assert list(ledger.chain.entries(since_s=NOW + 3)) == [(4, entries[3]), (5, entries[4])]
