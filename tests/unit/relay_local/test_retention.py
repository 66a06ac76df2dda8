"""What takes whose place, what expires, what nobody takes back."""

from __future__ import annotations

import pytest

from nips.event import Event
from nips.kinds import Kind
from nips.refusal import Malformed, Prefix
from relay_local.retention import (
    Address,
    address,
    expires_at,
    is_deleted_by,
    is_ledger,
    may_delete,
    objection,
    parse_address,
    supersedes,
)
from relay_local.world import World
from tests.unit.relay_local.cast import (
    BOT,
    MAIN,
    MEMBER,
    NOW,
    OTHER,
    OWNER,
    RELAY,
    ROUTER,
    SESSION,
    SIGNAL,
    SIGNER,
    WORLD,
    event,
    grant_event,
)

PUBLIC = World(RELAY.public, public=True)


def test_addresses() -> None:
    me = MEMBER.public
    assert address(event(MEMBER, 1)) is None
    assert address(event(MEMBER, 20_002)) is None
    assert address(event(MEMBER, 0, ("d", "ignored"))) == Address(me, 0, "")
    assert address(event(MEMBER, 30_078, ("d", "x"), ("d", "y"))) == Address(me, 30_078, "x")
    assert address(event(MEMBER, 30_078)) == Address(me, 30_078, "")
    assert parse_address(f"30078:{me}:a:b") == Address(me, 30_078, "a:b")
    for wrong in ("", "x", f"{me}:x", f"x:{me}:", f"123456:{me}:", f"-1:{me}:", "٣:a:b"):
        assert parse_address(wrong) is None
    assert str(Address(me, 0, "")) == f"0:{me}:"


def test_the_newest_wins_and_of_one_second_the_lowest_id() -> None:
    old, new = event(MEMBER, 0, created_at=NOW - 1), event(MEMBER, 0)
    assert supersedes(new, old)
    assert not supersedes(old, new)
    low, high = sorted((event(MEMBER, 0, content=c) for c in "ab"), key=lambda one: one.id)
    assert supersedes(low, high)
    assert not supersedes(high, low)
    assert not supersedes(low, low)


def test_a_revocation_is_final_whatever_the_clock_says() -> None:
    live = grant_event(SESSION)
    late = grant_event(SESSION, revoked=True, created_at=NOW - 3_600)
    assert supersedes(late, live)
    again = grant_event(SESSION, created_at=NOW + 3_600)
    refusal = objection(WORLD, again, late)
    assert refusal is not None
    assert refusal.prefix is Prefix.BLOCKED
    assert objection(WORLD, again, live) is None


def test_what_was_told_of_the_audit_log_stays_told() -> None:
    # Attack: the ledger put back to yesterday's copy, whose signer tells today's head once more.
    told = event(SIGNER, 30_078, ("d", "audit/2026-01-02"), ("p", OWNER.public), content="1000")
    again = event(
        SIGNER, 30_078, ("d", "audit/2026-01-02"), ("p", OWNER.public), content="900",
        created_at=NOW + 60,
    )  # fmt: skip
    refusal = objection(WORLD, again, told)
    assert refusal is not None
    assert refusal.prefix is Prefix.BLOCKED
    assert objection(WORLD, again, None) is None
    # Another's record of that name is nobody's head.
    own = [event(OWNER, 30_078, ("d", "audit/x"), content=text) for text in ("a", "b")]
    assert objection(WORLD, own[1], own[0]) is None


def test_what_the_owner_has_ordered_stays_ordered() -> None:
    d = ("d", "order/" + "ab" * 32)
    told = event(SIGNER, 30_078, d, ("p", OWNER.public), content="/allow ghjkmn")
    other = event(SIGNER, 30_078, d, ("p", OWNER.public), content="/pause", created_at=NOW + 60)
    refusal = objection(WORLD, other, told)
    assert refusal is not None
    assert refusal.prefix is Prefix.BLOCKED
    for gone in (event(SIGNER, 5, ("e", told.id)), event(OWNER, 5, ("e", told.id))):
        assert not is_deleted_by(WORLD, gone, told)
    assert is_ledger(WORLD, told)


@pytest.mark.parametrize(
    ("prev", "stored", "passes"),
    [(None, True, True), ("right", True, True), ("wrong", True, False), ("", True, False),
     ("right", False, False), ("", False, True)],
)  # fmt: skip
def test_compare_and_set(prev: str | None, stored: bool, passes: bool) -> None:
    old = event(OWNER, 30_078, ("d", "x"))
    named = {"right": old.id, "wrong": "0" * 64}.get(prev or "", prev)
    tags = [("d", "x")] if named is None else [("d", "x"), ("prev", named)]
    new = event(OWNER, 30_078, *tags, content="new")
    refusal = objection(WORLD, new, old if stored else None)
    assert (refusal is None) is passes
    assert refusal is None or "conflict" in refusal.sentence
    assert objection(PUBLIC, new, old) is None


def test_a_new_version_stays_in_its_group() -> None:
    old = event(BOT, 31_923, ("d", "x"), ("h", MAIN))
    assert objection(WORLD, event(BOT, 31_923, ("d", "x"), ("h", MAIN), content="b"), old) is None
    for moved in (("h", OTHER), ("x", "no group")):
        assert objection(WORLD, event(BOT, 31_923, ("d", "x"), moved), old) is not None


def test_expiration() -> None:
    assert expires_at(WORLD, event(MEMBER, 1)) is None
    assert expires_at(WORLD, event(MEMBER, 1, ("expiration", str(NOW)))) == NOW
    assert expires_at(WORLD, event(ROUTER, 43_001, ("expiration", "1"))) is None
    assert expires_at(PUBLIC, event(ROUTER, 43_001, ("expiration", "1"))) == 1
    for wrong in ("", "soon", "-1", "1.5", "٣", "9" * 19):
        with pytest.raises(Malformed):
            expires_at(WORLD, event(MEMBER, 1, ("expiration", wrong)))


def test_the_ledger_stays() -> None:
    kept = [
        event(OWNER, Kind.PUT_USER), event(ROUTER, 43_001), event(SESSION, 43_003),
        event(OWNER, 46_030), event(BOT, 44_200), event(ROUTER, 30_078, ("d", "x")),
        event(OWNER, 30_078, ("d", "x")),
    ]  # fmt: skip
    for one in kept:
        assert is_ledger(WORLD, one)
        assert not is_ledger(PUBLIC, one)
        assert not is_deleted_by(WORLD, event(OWNER, 5, ("e", one.id)), one)
    for other in (
        event(MEMBER, 9), event(BOT, 30_023, ("d", "x")), event(MEMBER, 30_078),
        event(ROUTER, 30_078, ("d", "stranger/ghjkmn")), event(SIGNAL, 30_078, ("d", "signal/x")),
    ):  # fmt: skip
        assert not is_ledger(WORLD, other)


def test_only_authors_delete_and_no_deletion_is_deleted() -> None:
    own, others = event(MEMBER, 9), event(OWNER, 9)
    deletion = event(MEMBER, 5, ("e", own.id), ("e", others.id))
    assert is_deleted_by(WORLD, deletion, own)
    assert not is_deleted_by(WORLD, deletion, others)
    assert not is_deleted_by(WORLD, event(MEMBER, 5, ("e", deletion.id)), deletion)


def test_the_bot_takes_nothing_back_in_another_group() -> None:
    """An agent in one group makes the bot delete what it said in another, or in public."""

    def said(*tags: tuple[str, str]) -> Event:
        return event(BOT, 9, *tags)

    deletion = event(BOT, 5, ("h", MAIN))
    assert may_delete(WORLD, deletion, said(("h", MAIN))) is None
    assert may_delete(WORLD, deletion, said(("h", OTHER))) is not None
    assert may_delete(WORLD, deletion, said()) is not None
    assert may_delete(WORLD, event(BOT, 5), said(("h", MAIN))) is not None
    assert may_delete(WORLD, event(BOT, 5), said()) is None
    assert may_delete(WORLD, event(MEMBER, 5), event(MEMBER, 9, ("h", MAIN))) is None
