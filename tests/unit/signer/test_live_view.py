"""signer/live_view.py: what a session shows of its work, to its owner, and nothing else by it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from nips import nip44
from nips.event import Event
from nips.key import SecretKey
from nips.kinds import Kind
from nips.own import frame
from nips.own.frame import MAX_PAYLOAD_BYTES, FrameKind, Told
from nips.own.grant import Grant
from signer.books import MAX_AUDITED_REFUSALS
from signer.live_view import ALL, AT_ONCE, KILLED, PER_S
from signer.work import Arrived, Reply
from tests.unit.signer.asking import Asking
from tests.unit.signer.house import JOB, MAIN, NOW, House, key

TOLD = Told(7, "acp_read", {"type": "tool_call", "tool": "recall", "text": "{}"})


class Watching(Asking):
    """A scene with a session that may show what it does."""

    def grant_of_session(self, **changes: object) -> Grant:
        given = self.house.session_grant(now=int(self.wall_s), methods=("sign_event", frame.METHOD))
        return replace(given, **changes)  # type: ignore[arg-type]

    def shows(self, *params: str, by: SecretKey | None = None) -> Reply:
        return self.reply(by or self.house.session, frame.METHOD, *(params or (TOLD.to_json(),)))

    def others(self, n: int) -> list[SecretKey]:
        """So many more sessions that may show what they do."""
        keys = [key(1_000 + number) for number in range(n)]
        for one in keys:
            self.grant(self.grant_of_session(client=one.public))
        return keys

    def n_taken(self, n: int, by: SecretKey | None = None) -> int:
        """How many of so many frames are shown."""
        return sum(self.shows(by=by).publish is not None for _ in range(n))

    def tells(self, *kinds: FrameKind) -> None:
        """Show frames of these kinds, as fast as they may come."""
        for seq, kind in enumerate(kinds):
            assert self.shows(Told(seq, kind, {}).to_json()).publish is not None

    def revokes(self) -> list[Event]:
        """The session loses its grant; what is published because of it."""
        revoked = self.grant_of_session(revoked=True)
        event = self.house.granted(revoked, int(self.wall_s))
        _, published = self.does(Arrived(event, 1))
        return list(published)

    def read(self, event: Event) -> dict[str, object]:
        """As the owner's client does, but for the time."""
        event.verify()
        conversation = nip44.conversation_key(self.house.owner, self.house.bot.public)
        value: dict[str, object] = json.loads(nip44.decrypt(event.content, conversation))
        assert str(value.pop("timestamp")).endswith("Z")
        return value

    def denied(self, *params: str, by: SecretKey | None = None) -> str:
        reply = self.shows(*params, by=by)
        assert reply.publish is None
        assert reply.response.error is not None
        return str(reply.response.error)


@pytest.fixture
def scene(house: House, tmp_path: Path) -> Iterator[Watching]:
    scene = Watching(house, tmp_path)
    scene.grant(scene.grant_of_session())
    yield scene
    scene.ledger.close()


def test_the_owner_alone_reads_it(scene: Watching) -> None:
    reply, house = scene.shows(), scene.house
    event = reply.publish
    assert event is not None
    assert reply.response.result == event.id
    assert (event.pubkey, event.kind, event.created_at) == (house.bot.public, 24_200, NOW)
    assert event.tags == (
        ("p", house.owner.public), ("agent", house.bot.public), ("frame", "telemetry"),
    )  # fmt: skip
    assert scene.read(event) == {
        "seq": 7, "kind": "acp_read", "payload": dict(TOLD.payload), "channelId": MAIN,
        "sessionId": house.session.public, "turnId": JOB,
    }  # fmt: skip


def test_a_first_frame_that_left_no_row_was_not_the_first(scene: Watching) -> None:
    """Attack: a full disk in the moment of the first frame, to leave nothing of all the others."""
    db = scene.ledger.db
    full = "BEGIN SELECT RAISE(ABORT, 'database or disk is full'); END"
    db.execute(f"CREATE TEMP TRIGGER full BEFORE INSERT ON audit {full}")
    assert "cannot be written" in scene.denied()
    db.execute("DROP TRIGGER full")
    rows = len(list(scene.ledger.chain.entries()))
    assert scene.n_taken(2) == 2
    assert len(list(scene.ledger.chain.entries())) == rows + 1


def test_nothing_of_it_is_kept_but_that_it_was_shown(scene: Watching) -> None:
    rows = len(list(scene.ledger.chain.entries()))
    shown = [scene.shows() for _ in range(3)]
    assert scene.kept(Kind.FRAME) == []
    [*_, (_, row)] = scene.ledger.chain.entries()
    assert len(list(scene.ledger.chain.entries())) == rows + 1
    assert shown[0].publish is not None
    assert (row.client, row.event_id) == (scene.house.session.public, shown[0].publish.id)
    # Asked again it is another frame: a view that is late is of no use.
    assert len({one.response.result for one in shown}) == 3


def test_so_many_at_once_and_so_many_a_second(scene: Watching) -> None:
    """Attack: an agent drowns its owner's client, or the signer, in frames."""
    assert scene.n_taken(3 * AT_ONCE) == AT_ONCE
    assert scene.denied() == "rate-limited: too fast for this key; the next one in 1 s"
    scene.passes(1)
    assert scene.n_taken(AT_ONCE) == PER_S


def test_so_many_of_all_sessions_together(scene: Watching) -> None:
    """Attack: a router that was taken over names sessions without end, and each shows its own."""
    sessions = scene.others(2 * ALL.capacity // AT_ONCE)
    assert sum(scene.n_taken(AT_ONCE, by=one) for one in sessions) == ALL.capacity
    denied = scene.denied(by=sessions[-1])
    assert denied == "rate-limited: too fast for all live views together; the next one in 1 s"
    scene.passes(1)
    # What all together had no room for was not taken from the session's own.
    assert scene.n_taken(2 * AT_ONCE, by=sessions[-1]) == AT_ONCE
    assert sum(scene.n_taken(AT_ONCE, by=one) for one in sessions[:-1]) == ALL.per_s - AT_ONCE


def test_one_session_takes_no_others_room(scene: Watching) -> None:
    """Attack: an agent shows frames without end, so that its owner sees nothing of another."""
    assert scene.n_taken(2 * ALL.capacity) == AT_ONCE
    sessions = scene.others(ALL.capacity // AT_ONCE)
    taken = sum(scene.n_taken(AT_ONCE, by=one) for one in sessions)
    assert taken == ALL.capacity - AT_ONCE


def test_frames_that_were_too_many_leave_no_rows(scene: Watching) -> None:
    """Attack: use up the refusals that are noted of a key with frames, then try something else."""
    assert scene.n_taken(AT_ONCE + MAX_AUDITED_REFUSALS + 1) == AT_ONCE
    rows = len(list(scene.ledger.chain.entries()))
    response, _ = scene.put(scene.profile())
    assert str(response.error).startswith("restricted: ")
    [*_, (_, row)] = scene.ledger.chain.entries()
    assert len(list(scene.ledger.chain.entries())) == rows + 1
    assert (row.client, row.method) == (scene.house.session.public, "sign_event")
    assert row.outcome.startswith("refused: restricted: ")


@pytest.mark.parametrize(
    "wrong",
    [
        '{"seq":1,"kind":"acp_read","payload":{},"turnId":"x"}',  # attack: another job's name
        '{"seq":1,"kind":"acp_read","payload":{},"tags":[["p","x"]]}',
        '{"seq":1,"kind":"control_result","payload":{}}',
        '{"seq":-1,"kind":"acp_read","payload":{}}',
        '{"seq":true,"kind":"acp_read","payload":{}}',
        '{"seq":1,"kind":"acp_read","payload":{"a":1}}',
        '{"seq":1,"kind":"acp_read","payload":[]}',
        '{"seq":1,"kind":"acp_read","payload":{"a":"\\ud800"}}',
        json.dumps({"seq": 1, "kind": "acp_read", "payload": {str(n): "" for n in range(9)}}),
        json.dumps({"seq": 1, "kind": "acp_read", "payload": {"a": "x" * MAX_PAYLOAD_BYTES}}),
        "[]", "", "\x00",
    ],
)  # fmt: skip
def test_what_is_no_frame_is_refused(scene: Watching, wrong: str) -> None:
    assert scene.denied(wrong).startswith("invalid: ")


def test_it_takes_one_frame(scene: Watching) -> None:
    assert scene.denied(TOLD.to_json(), TOLD.to_json()).startswith("invalid: ")


def test_only_a_session_that_works_shows_anything(scene: Watching, house: House) -> None:
    stranger = SecretKey(b"\x05" * 32)
    assert scene.denied(by=stranger).startswith("restricted: ")
    assert scene.denied(by=house.router).startswith("restricted: ")
    scene.grant(house.bridge_grant(now=NOW))
    assert scene.denied(by=house.bridge).startswith("restricted: ")
    # One without the method; one that waits for its job; one that is over; one that was ended.
    scene.passes(1)
    scene.grant(scene.grant_of_session(methods=("sign_event",)))
    assert scene.denied().startswith("restricted: ")
    waiting = SecretKey(b"\x06" * 32)
    scene.grant(scene.grant_of_session(client=waiting.public, job=None, rules=()))
    assert "nothing to show" in scene.denied(by=waiting)
    scene.passes(1)
    scene.grant(scene.grant_of_session())
    assert scene.shows().publish is not None
    scene.passes(181)
    assert "expired" in scene.denied()
    scene.revokes()
    assert "revoked" in scene.denied()


def test_who_was_killed_is_shown_to_have_ended(scene: Watching) -> None:
    """Its container is gone, cancelled or out of time: it cannot say so itself."""
    scene.tells("turn_started", "acp_read", "acp_write")
    [event] = scene.revokes()
    assert event.values("p") == [scene.house.owner.public]
    assert scene.read(event) == {
        "seq": 3, "kind": "turn_error", "payload": {"text": KILLED}, "channelId": MAIN,
        "sessionId": scene.house.session.public, "turnId": JOB,
    }  # fmt: skip
    assert scene.kept(Kind.FRAME) == []
    assert "revoked" in scene.denied(Told(9, "turn_completed", {}).to_json())
    assert scene.revokes() == []  # it is final: told once, ended once


@pytest.mark.parametrize(
    ("shown", "n_more"),
    [
        ((), 0),
        (("turn_started",), 1),
        (("acp_read",), 1),  # its beginning was left out
        (("turn_started", "turn_completed"), 0),
        (("turn_started", "turn_error"), 0),
        (("turn_started", "turn_completed", "acp_read"), 0),  # a line that came late
        (("turn_started", "turn_completed", "turn_started"), 1),  # of its second message
        (("turn_completed",), 0),
    ],
)
def test_an_end_is_shown_once(scene: Watching, shown: tuple[FrameKind, ...], n_more: int) -> None:
    scene.tells(*shown)
    scene.grant(scene.grant_of_session(), at=NOW + 1)  # renewed, which ends nothing
    assert len(scene.revokes()) == n_more


def test_ends_count_among_all_frames(scene: Watching) -> None:
    """Attack: a router that was taken over names sessions without end, to have each end shown."""
    scene.tells("turn_started")
    sessions = scene.others(ALL.capacity // AT_ONCE)
    assert sum(scene.n_taken(AT_ONCE, by=one) for one in sessions) == ALL.capacity - 1
    assert scene.revokes() == []


def test_no_end_is_shown_without_the_key(scene: Watching) -> None:
    scene.tells("turn_started")
    scene.desk.lock()
    assert scene.revokes() == []


def test_no_session_signs_one_itself(scene: Watching) -> None:
    """Attack: a frame with words of the agent's to whomever it likes."""
    template = scene.house.template(24_200, ("p", "ab" * 32), ("job", JOB), at=int(scene.wall_s))
    response, _ = scene.put(template)
    assert str(response.error).startswith("restricted: ")
