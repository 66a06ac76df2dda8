"""signer/held_rows.py: a grant comes back as it was kept, in either ledger's table."""

from __future__ import annotations

import sqlite3
from dataclasses import replace
from pathlib import Path

import pytest

from signer import held_rows
from signer.grants import Held
from signer.ledger import Ledger
from signer.model_ledger import ModelLedger
from tests.unit.signer.house import NOW, House


def held(house: House) -> Held:
    grant = house.session_grant()
    return Held(grant, house.granted(grant), NOW + 0.25, grant.hard_expires_at, revoked=False)


@pytest.mark.parametrize("make", [Ledger, ModelLedger])
def test_it_comes_back(
    house: House, tmp_path: Path, make: type[Ledger] | type[ModelLedger]
) -> None:
    path = tmp_path / "ledger.sqlite"
    make(path).close()
    with sqlite3.connect(path) as db:
        first = held(house)
        assert held_rows.read(db, first.grant.client) is None
        held_rows.write(db, first)
        assert held_rows.read(db, first.grant.client) == first
        ended = replace(first, revoked=True, arrived_s=NOW + 7.5)
        held_rows.write(db, ended)
        assert held_rows.read(db, first.grant.client) == ended
        assert db.execute("SELECT count(*) FROM held").fetchone() == (1,)


def test_what_else_stands_in_the_row_stays(house: House, tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "ledger.sqlite")
    first = held(house)
    with ledger.transaction():
        ledger.hold(first)
        assert ledger.count_refusal(first.grant.client) == 1
        ledger.hold(replace(first, revoked=True))
        assert ledger.count_refusal(first.grant.client) == 2
    ledger.close()
