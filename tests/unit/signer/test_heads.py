"""signer/heads.py: a log cut short, put back or written anew does not hold what was told."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from nips.own import audit_head
from nips.refusal import Malformed
from signer.chain import GENESIS, Entry
from signer.heads import Heads, contradictions
from signer.ledger import Ledger
from tests.unit.signer.desks import Scene, signed
from tests.unit.signer.house import NOW, House

DAY_S = 86_400
HOUSE = House()
OWNER = HOUSE.owner.public


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    made = Ledger(tmp_path / "ledger.sqlite")
    yield made
    made.close()


def write(ledger: Ledger, rows: int, at_s: int) -> None:
    with ledger.transaction():
        for n in range(rows):
            ledger.chain.append(Entry(at_s, "client", "sign_event", "signed kind 9", f"{at_s}-{n}"))


def told(ledger: Ledger, at_s: float) -> audit_head.AuditHead:
    heads = Heads(ledger)
    with ledger.transaction():
        event = heads.due(at_s, OWNER, HOUSE.signer)
    assert event is not None
    return audit_head.parse(event, HOUSE.signer.public)


def test_one_head_a_utc_day(ledger: Ledger) -> None:
    heads, restarted = Heads(ledger), Heads(ledger)
    midnight = NOW - NOW % DAY_S
    with ledger.transaction():
        assert heads.due(midnight, None, HOUSE.signer) is None  # nobody to tell
        assert heads.due(midnight, OWNER, HOUSE.signer) is not None
        assert heads.due(midnight + DAY_S - 1, OWNER, HOUSE.signer) is None
        assert restarted.due(midnight + 5, OWNER, HOUSE.signer) is None
        assert heads.due(midnight + DAY_S, OWNER, HOUSE.signer) is not None
    assert [head.rows for head in heads.all()] == [0, 0]
    assert {head.head for head in heads.all()} == {GENESIS}


def test_what_was_told_is_published_even_after_a_kill(ledger: Ledger) -> None:
    head = told(ledger, NOW)
    [event] = ledger.unpublished()
    assert audit_head.parse(event, HOUSE.signer.public) == head
    assert event.values("p") == [OWNER]


def test_what_was_undone_was_not_told(ledger: Ledger) -> None:
    heads = Heads(ledger)

    def broken_off() -> None:
        with ledger.transaction():
            assert heads.due(NOW, OWNER, HOUSE.signer) is not None
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        broken_off()
    with ledger.transaction():
        assert heads.due(NOW, OWNER, HOUSE.signer) is not None


def test_a_log_that_grew_agrees(ledger: Ledger) -> None:
    write(ledger, 3, NOW)
    first = told(ledger, NOW)
    write(ledger, 4, NOW + DAY_S)
    second = told(ledger, NOW + DAY_S)
    write(ledger, 2, NOW + DAY_S)
    assert (first.rows, second.rows) == (3, 7)
    assert contradictions(ledger.chain, [first, second], "the relay") == []


def test_rows_missing_at_the_end_are_noticed(ledger: Ledger) -> None:
    write(ledger, 5, NOW)
    head = told(ledger, NOW)
    ledger.db.execute("DELETE FROM audit WHERE n > 3")
    assert ledger.chain.verify().broken_at is None  # the chain alone does not show it
    [sentence] = contradictions(ledger.chain, [head], "the ledger")
    assert "there were 5 rows" in sentence


def test_an_earlier_copy_of_the_ledger_is_noticed(ledger: Ledger, tmp_path: Path) -> None:
    write(ledger, 5, NOW)
    told(ledger, NOW)
    ledger.db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    shutil.copy(tmp_path / "ledger.sqlite", tmp_path / "copy.sqlite")
    write(ledger, 5, NOW + DAY_S)
    head = told(ledger, NOW + DAY_S)
    copy = Ledger(tmp_path / "copy.sqlite")
    assert copy.chain.verify().broken_at is None
    assert contradictions(copy.chain, Heads(copy).all(), "the ledger") == []
    assert "earlier copy" in contradictions(copy.chain, [head], "the relay")[0]
    # Grown again past what was told, it holds another row there.
    write(copy, 9, NOW + DAY_S + 1)
    assert "written anew" in contradictions(copy.chain, [head], "the relay")[0]
    copy.close()


def test_the_desk_tells_it_with_the_clock_that_never_goes_back(tmp_path: Path) -> None:
    scene = Scene(HOUSE, tmp_path)
    scene.grant(HOUSE.session_grant())
    signed(scene.sign(HOUSE.template()).response)
    event = scene.desk.todays_head()
    assert event is not None
    assert audit_head.parse(event, HOUSE.signer.public).rows == 1
    assert scene.desk.todays_head() is None
    scene.wall_s -= 3 * DAY_S
    assert scene.desk.todays_head() is None
    scene.wall_s += 4 * DAY_S
    assert scene.desk.todays_head() is not None
    scene.configure(named=False)
    scene.passes(DAY_S)
    assert scene.desk.todays_head() is None
    scene.ledger.close()


@pytest.mark.parametrize(
    "change",
    [
        {"tags": (("d", "audit/today"), ("p", OWNER))},
        {"tags": (("d", "2027-01-15"), ("p", OWNER))},
        {"tags": (("d", "audit/2027-01-15"), ("d", "audit/2027-01-16"))},
        {"content": "{}"},
        {"content": '{"rows":-1,"head":"' + GENESIS + '","at":1}'},
        {"content": '{"rows":1,"head":"x","at":1}'},
        {"content": '{"rows":1,"head":"' + GENESIS + '","at":1,"more":1}'},
        {"kind": 1},
    ],
)
def test_what_is_no_head_is_none(change: dict[str, object]) -> None:
    made = audit_head.template(
        audit_head.AuditHead("2027-01-15", 1, GENESIS, NOW), HOUSE.signer.public, OWNER
    )
    assert audit_head.parse(made.sign(HOUSE.signer, bytes(32)), HOUSE.signer.public).rows == 1
    wrong = replace(made, **change)  # type: ignore[arg-type]
    with pytest.raises(Malformed):
        audit_head.parse(wrong.sign(HOUSE.signer, bytes(32)), HOUSE.signer.public)
    with pytest.raises(Malformed, match="role key"):
        audit_head.parse(made.sign(HOUSE.signer, bytes(32)), HOUSE.router.public)
