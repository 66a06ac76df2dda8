"""signer/ledger.py: what is on the disk when a transaction has ended, and what is not before."""

from __future__ import annotations

import random
import signal
import sqlite3
import stat
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from signer.buckets import Spent
from signer.grants import Held
from signer.ledger import Answer, Ledger
from tests.unit.signer.house import NOW, House

SEED = 20_261_122


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    return Ledger(tmp_path / "ledger.sqlite")


def test_it_is_readable_by_its_owner_only(ledger: Ledger, tmp_path: Path) -> None:
    assert stat.S_IMODE((tmp_path / "ledger.sqlite").stat().st_mode) == 0o600


def test_a_commit_waits_for_the_disk(ledger: Ledger) -> None:
    assert ledger.db.execute("PRAGMA synchronous").fetchone() == (2,)
    assert ledger.db.execute("PRAGMA journal_mode").fetchone() == ("wal",)


def test_what_is_held_is_read_back(ledger: Ledger, house: House, tmp_path: Path) -> None:
    event = house.granted(house.session_grant())
    held = Held(house.session_grant(), event, NOW + 0.25, NOW + 500, revoked=False)
    with ledger.transaction():
        ledger.hold(held)
        ledger.hold(replace(held, revoked=True))
    for reader in (ledger, Ledger(tmp_path / "ledger.sqlite")):
        assert reader.held(house.session.public) == replace(held, revoked=True)
        assert reader.held(house.stranger.public) is None


def test_what_another_process_writes_counts_at_once(
    ledger: Ledger, house: House, tmp_path: Path
) -> None:
    """Attack: a key that is revoked from the command line lives on in the server's memory."""
    client = house.session.public
    held = Held(house.session_grant(), house.granted(house.session_grant()), NOW, NOW, False)
    with ledger.transaction():
        ledger.hold(held)
        assert ledger.held(client) == held
    other = Ledger(tmp_path / "ledger.sqlite")
    with other.transaction():
        other.hold(replace(held, revoked=True))
    with ledger.transaction():
        assert ledger.held(client) == replace(held, revoked=True)
    with other.transaction():
        other.hold(replace(held, hard_expires_at=NOW - 1))
    assert ledger.held(client) == replace(held, hard_expires_at=NOW - 1)


def test_what_was_undone_is_not_remembered(ledger: Ledger, house: House) -> None:
    held = Held(house.session_grant(), house.granted(house.session_grant()), NOW, NOW, False)

    def broken_off() -> None:
        with ledger.transaction():
            ledger.hold(held)
            assert ledger.held(house.session.public) == held
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        broken_off()
    assert ledger.held(house.session.public) is None


def test_only_the_latest_keys_are_remembered(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("signer.ledger.MAX_KNOWN", 10)
    for n in range(100):
        with ledger.transaction():
            assert ledger.held(f"{n:064x}") is None
    assert len(ledger._known) <= 10


def test_refusals_are_counted_for_known_keys_and_survive_a_renewal(
    ledger: Ledger, house: House
) -> None:
    held = Held(house.session_grant(), house.granted(house.session_grant()), NOW, NOW, False)
    with ledger.transaction():
        assert ledger.count_refusal(house.session.public) == 0
        ledger.hold(held)
        assert ledger.count_refusal(house.session.public) == 1
        ledger.hold(held)
        assert ledger.count_refusal(house.session.public) == 2


def test_an_answer_is_written_once(ledger: Ledger, house: House) -> None:
    first = Answer("body", "result", None)
    with ledger.transaction():
        ledger.keep_answer("client", "id", first)
    with pytest.raises(sqlite3.IntegrityError), ledger.transaction():
        ledger.keep_answer("client", "id", Answer("body", "another", None))
    assert ledger.answer("client", "id") == first
    assert ledger.answer("client", "other") is None


def test_a_once_key_is_written_once(ledger: Ledger, house: House) -> None:
    one, two = (house.template(content=said).sign(house.bot, bytes(32)) for said in "ab")
    with ledger.transaction():
        ledger.keep_signed(one, "once")
    with pytest.raises(sqlite3.IntegrityError), ledger.transaction():
        ledger.keep_signed(two, "once")
    assert ledger.signed_once("once") == one
    assert ledger.signed(two.id) is None  # the transaction was one


def test_all_of_a_transaction_or_nothing(ledger: Ledger) -> None:
    def broken_off() -> None:
        with ledger.transaction():
            ledger.put("name", "value")
            ledger.spend("all", Spent(1, NOW))
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        broken_off()
    assert ledger.get("name") is None
    assert ledger.spent("all") is None


# A process that signs as fast as it can, and says each signature when its transaction is over.
WRITER = """
import sys
from pathlib import Path
from signer.chain import Entry
from signer.ledger import Answer, Ledger
from signer.buckets import Spent
ledger = Ledger(Path(sys.argv[1]))
n = int((ledger.spent("uses") or Spent(0, 0)).amount)
while True:
    n += 1
    with ledger.transaction():
        ledger.chain.append(Entry(n, "client", "sign_event", "signed", str(n)))
        ledger.spend("uses", Spent(n, 0))
        ledger.keep_answer("client", str(n), Answer("body", str(n), None))
    print(n, flush=True)
"""


def test_kill_9_at_any_instant_loses_and_tears_nothing(tmp_path: Path) -> None:
    chance = random.Random(SEED)
    path = tmp_path / "ledger.sqlite"
    said = 0
    for _ in range(10):
        writer = subprocess.Popen(
            [sys.executable, "-c", WRITER, str(path)], stdout=subprocess.PIPE, text=True
        )
        assert writer.stdout is not None
        for _ in range(chance.randrange(1, 60)):
            said = int(writer.stdout.readline())
        writer.send_signal(signal.SIGKILL)
        said = max([said, *(int(line) for line in writer.stdout if line.strip())])
        writer.wait()
        ledger = Ledger(path)
        spent = ledger.spent("uses")
        assert spent is not None, f"seed {SEED}"
        n = int(spent.amount)
        # What was said is there; at most the one transaction after it is too, and all of it.
        assert n in (said, said + 1), f"seed {SEED}"
        assert ledger.chain.verify().rows == n
        assert ledger.chain.verify().broken_at is None
        assert ledger.answer("client", str(n)) == Answer("body", str(n), None)
        assert ledger.answer("client", str(n + 1)) is None
        ledger.close()
