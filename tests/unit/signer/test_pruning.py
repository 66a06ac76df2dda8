"""signer/pruning.py: what goes, and that what is final stays final."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from nips.key import SecretKey
from nips.own.grant import Rate, Rule
from signer import pruning
from signer.ceiling import Caps
from signer.ledger import Ledger
from signer.pruning import DAY_S
from signer.work import Settled
from tests.unit.signer.desks import Scene, refusal, signed
from tests.unit.signer.house import MAIN, NOW, House, text

RULE = Rule(9, required=(("h", MAIN),), rate=Rate(2, 0.0), daily=50)


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    house = House()
    caps = Caps(10_000, 10**6, 10_000, 10**6)
    made = Scene(replace(house, ceiling=replace(house.ceiling, caps=caps)), tmp_path)
    yield made
    made.ledger.close()


def rows(scene: Scene, table: str) -> int:
    return int(scene.ledger.db.execute(f"SELECT count(*) FROM {table}").fetchone()[0])


def tidy(scene: Scene) -> pruning.Pruned:
    pruned = scene.desk.tidy()
    assert pruned is not None
    return pruned


def sign(scene: Scene, once: str, request_id: str = "", at: int | None = None) -> str:
    """`signed`, or the refusal; what was signed is then on the relay."""
    template = scene.house.template(9, ("h", MAIN), ("o", once), content=once)
    reply = scene.sign(template, request_id, at)
    if reply.response.error is not None:
        return refusal(reply.response)
    scene.desk.take([Settled(signed(reply.response).id)])
    return "signed"


def test_what_is_fresh_stays(scene: Scene) -> None:
    scene.grant(scene.house.session_grant(RULE))
    assert sign(scene, "a", "request", NOW) == "signed"
    scene.passes(100)
    assert tidy(scene) == pruning.Pruned(0, 0, 0, 0)
    assert sign(scene, "a", "request", NOW) == "signed"
    assert rows(scene, "answers") == rows(scene, "signed") == 1


def test_after_its_time_all_goes_but_what_is_final(scene: Scene) -> None:
    grant = scene.house.session_grant(RULE)
    scene.grant(grant)
    assert [sign(scene, once) for once in "ab"] == ["signed", "signed"]
    scene.passes(31 * DAY_S)
    pruned = tidy(scene)
    assert (pruned.answers, pruned.signed, pruned.held) == (2, 2, 1)
    assert rows(scene, "answers") == rows(scene, "signed") == 0
    assert rows(scene, "once") == 2
    assert scene.ledger.chain.verify().rows == 2
    assert tidy(scene) == pruning.Pruned(0, 0, 0, 0)
    # Whatever the router sends for this key, it is over.
    scene.grant(replace(grant, expires_at=NOW + 10**8, hard_expires_at=NOW + 10**8))
    assert "its time limit has passed" in sign(scene, "c")
    # Attack: a once-key whose event was forgotten gets a second signature from another session.
    other = SecretKey((99).to_bytes(32, "big"))
    scene.house = replace(scene.house, session=other)
    scene.grant(scene.house.session_grant(RULE, now=int(scene.wall_s)))
    assert sign(scene, "a").startswith("duplicate: ")


def test_a_revoked_key_stays_revoked(scene: Scene) -> None:
    grant = scene.house.session_grant(RULE)
    scene.grant(grant)
    scene.grant(replace(grant, revoked=True))
    scene.passes(40 * DAY_S)
    assert tidy(scene).held == 1
    scene.reopen()
    now = int(scene.wall_s)
    scene.grant(replace(grant, expires_at=now + 100, hard_expires_at=now + 100), now)
    assert "revoked" in sign(scene, "a")


def test_a_groups_rate_without_refill_is_never_forgotten(scene: Scene) -> None:
    """Attack: wait for the buckets to be pruned, and begin anew with another key."""
    scene.grant(scene.house.session_grant(RULE))
    assert [sign(scene, once)[:12] for once in "abc"] == ["signed", "signed", "rate-limited"]
    scene.passes(400 * DAY_S)
    assert tidy(scene).spent >= 2  # the day's counters, and the uses of a key that is over
    scene.house = replace(scene.house, session=scene.house.stranger)
    scene.grant(scene.house.session_grant(RULE, now=int(scene.wall_s)))
    assert sign(scene, "d").startswith("rate-limited: too fast for kind 9")


def test_a_key_that_lives_keeps_its_uses_and_its_answers(scene: Scene) -> None:
    ceiling = replace(scene.house.ceiling, longest_ttl_s=10**8)
    scene.configure(ceiling=ceiling)
    far = NOW + 10**8
    scene.grant(scene.house.session_grant(RULE, max_uses=1, expires_at=far, hard_expires_at=far))
    assert sign(scene, "a", "request", NOW) == "signed"
    scene.passes(20 * DAY_S)
    tidy(scene)
    assert sign(scene, "a", "request", NOW) == "signed"  # its first answer
    assert "used up its 1" in sign(scene, "b")
    scene.passes(20 * DAY_S)
    tidy(scene)
    assert "used up its 1" in sign(scene, "b")


def test_a_bridges_answers_and_the_uses_of_its_earlier_grants_go(scene: Scene) -> None:
    bridge, rumor = scene.house.bridge, text(scene.house.template(14))

    def granted() -> None:
        now = int(scene.wall_s)
        scene.grant(scene.house.bridge_grant(now, max_uses=2, hard_expires_at=NOW + 10**9), now)

    def seal() -> str:
        answer = scene.ask(bridge, "seal", scene.house.owner.public, rumor)
        return "sealed" if answer.error is None else answer.error.sentence

    granted()
    assert seal() == "sealed"
    scene.passes(8 * DAY_S)
    granted()
    assert [seal(), seal()] == ["sealed", "sealed"]
    pruned = tidy(scene)
    assert pruned.answers == 1
    uses = "SELECT count(*) FROM spent WHERE name LIKE 'key/%'"
    assert scene.ledger.db.execute(uses).fetchone() == (1,)
    assert "used up its 2" in seal()


def test_what_is_not_on_the_relay_yet_stays(scene: Scene) -> None:
    scene.grant(scene.house.session_grant(RULE))
    signed(scene.sign(scene.house.template(9, ("h", MAIN))).response)
    scene.passes(100 * DAY_S)
    assert tidy(scene).signed == 0
    assert len(scene.desk.unpublished()) == 1


def test_it_is_done_a_little_at_a_time(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pruning, "AT_ONCE", 3)
    scene.grant(scene.house.session_grant(replace(RULE, rate=None)))
    for n in range(7):
        assert sign(scene, str(n)) == "signed"
    scene.passes(31 * DAY_S)
    steps = []
    while (pruned := tidy(scene)).answers or pruned.signed:
        steps.append((pruned.answers, pruned.signed, pruned.more))
    assert steps == [(3, 3, True), (3, 3, True), (1, 1, False)]


def test_a_clock_that_went_back_prunes_nothing(scene: Scene) -> None:
    scene.grant(scene.house.session_grant(RULE))
    scene.passes(31 * DAY_S)
    scene.desk.take([])
    scene.wall_s -= DAY_S
    assert scene.desk.tidy() is None


def test_a_ledger_of_the_first_version_is_taken_over(tmp_path: Path) -> None:
    database = sqlite3.connect(tmp_path / "ledger.sqlite")
    database.execute(
        "CREATE TABLE answers (client TEXT NOT NULL, request TEXT NOT NULL, body TEXT NOT NULL,"
        " result TEXT NOT NULL, id TEXT, PRIMARY KEY (client, request)) WITHOUT ROWID"
    )
    database.execute("INSERT INTO answers VALUES ('client', 'id', 'body', 'result', NULL)")
    database.commit()
    database.close()
    ledger = Ledger(tmp_path / "ledger.sqlite")
    answer = ledger.answer("client", "id")
    assert answer is not None
    with ledger.transaction():
        ledger.keep_answer("client", "other", answer)
    assert ledger.answer("client", "other") == answer
    ledger.close()
