"""What uses cost is taken whole or not at all, and refusals do not fill the disk."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from nips.nip46 import Request
from nips.refusal import Prefix, Refusal, Refused
from signer.books import Books
from signer.buckets import Counted, Rated, Spent
from signer.ledger import Ledger
from tests.unit.signer.house import NOW, House

ONE, TWO = Counted("one", 2, daily=False), Rated("two", 1, per_s=0.0)


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    opened = Ledger(tmp_path / "ledger.sqlite")
    yield opened
    opened.close()


def test_every_cost_is_taken(ledger: Ledger) -> None:
    with ledger.transaction():
        Books(ledger, NOW).charge([ONE, TWO])
    assert ledger.all_spent(["one", "two", "three"]) == {"one": Spent(1, NOW), "two": Spent(1, NOW)}


def test_where_one_is_refused_none_is_taken(ledger: Ledger) -> None:
    books = Books(ledger, NOW)
    with ledger.transaction():
        books.charge([TWO])
        with pytest.raises(Refused) as error:
            books.charge([ONE, TWO])
    assert error.value.refusal.prefix is Prefix.RATE_LIMITED
    assert ledger.spent("one") is None


def test_nothing_may_cost_nothing(ledger: Ledger) -> None:
    with ledger.transaction():
        Books(ledger, NOW).charge([])
    assert ledger.all_spent([]) == {}


def test_the_time_is_the_batchs(ledger: Ledger) -> None:
    books = Books(ledger, NOW)
    books.now_s = NOW + 5
    with ledger.transaction():
        books.charge([ONE])
        books.note("c", Request("r", "ping"), "said", "")
    assert ledger.spent("one") == Spent(1, NOW + 5)
    assert [entry.at_s for _, entry in ledger.chain.entries()] == [NOW + 5]


def test_a_key_that_nobody_granted_anything_leaves_no_rows(ledger: Ledger) -> None:
    stranger = House().stranger.public
    with ledger.transaction():
        Books(ledger, NOW).note_refusal(
            stranger, Request("r", "ping"), Refusal(Prefix.RESTRICTED, "no")
        )
    assert ledger.chain.head()[0] == 0
