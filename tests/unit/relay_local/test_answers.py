"""Who may answer is named by what is stored; each attack falls with its rule alone."""

from __future__ import annotations

import json

import pytest

from nips.event import Event
from nips.key import SecretKey
from nips.kinds import Kind
from nips.refusal import Prefix, Refusal
from relay_local import answers
from relay_local.admission import Admission, place
from relay_local.moderation import Stored
from relay_local.viewer import Viewer
from tests.unit.relay_local.cast import (
    BOT,
    BRIDGE,
    MAIN,
    MEMBER,
    OTHER,
    OTHER_MEMBER,
    OTHER_PUPPET,
    OTHER_SESSION,
    OWNER,
    PUPPET,
    ROUTER,
    SIGNER,
    as_,
    binding_event,
    event,
    history,
    inside,
    key_of,
    put_user,
)
from tests.unit.relay_local.test_admission import House as SmallHouse

H = ("h", MAIN)
RUN = "9f" * 32
OTHER_ADMIN = key_of("other admin")
EVERYBODY = as_(
    OWNER, ROUTER, SIGNER, BRIDGE, MEMBER, PUPPET, OTHER_MEMBER, OTHER_PUPPET, OTHER_ADMIN
)  # fmt: skip


class House(SmallHouse):
    """Everybody writes on one connection."""

    def put(self, new: Event, viewer: Viewer = EVERYBODY) -> Admission:
        return super().put(new, viewer)

    def refuse(self, new: Event, viewer: Viewer = EVERYBODY) -> Refusal:
        return super().refuse(new, viewer)


@pytest.fixture
def house() -> House:
    house = House()
    for past in (*history(), binding_event(OTHER)):
        house.put(past)
    return house


def gate(run: object, approver: SecretKey = OWNER, content: str | None = None) -> Event:
    text = json.dumps({"run": run, "note": "?"}) if content is None else content
    return event(BOT, 46_010, H, ("p", approver.public), content=text)


def answer(run: str | None, kind: int = 46_030) -> Event:
    return event(OWNER, kind, *([("d", run)] if run is not None else []))


def off(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    rest = tuple(rule for rule in answers._RULES if rule.__name__ != name)
    assert len(rest) == len(answers._RULES) - 1
    monkeypatch.setattr(answers, "_RULES", rest)


def test_permission_is_given_where_it_was_asked(house: House) -> None:
    house.keep(gate(RUN), answer(RUN), answer(RUN, 46_031))


@pytest.mark.parametrize(
    "asked",
    [
        [],
        [gate("another run")],
        [gate(RUN, MEMBER)],
        [gate(7)],
        [gate(None, content="no JSON")],
        [gate(None, content="[" * 20_000)],
        [gate(None, content=f'["{RUN}"]')],
        [event(BOT, 46_001, H, ("p", OWNER.public), content=json.dumps({"run": RUN}))],
    ],
)
def test_an_answer_that_nobody_asked_for(
    house: House, asked: list[Event], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Attack: a yes that lies in wait for a question."""
    house.keep(*asked)
    assert house.refuse(answer(RUN)).prefix is Prefix.RESTRICTED
    assert house.refuse(answer(None, 46_031)).prefix is Prefix.RESTRICTED
    off(monkeypatch, "permission_is_given_by_whom_the_gate_names")
    house.keep(answer(RUN))


def job_about(author: SecretKey, group: str = MAIN) -> tuple[Event, Event]:
    message = event(author, 9, ("h", group), content="please")
    return message, event(
        ROUTER, Kind.JOB_REQUEST, ("h", group), ("e", message.id), ("p", BOT.public)
    )


@pytest.mark.parametrize("who", [MEMBER, PUPPET])
def test_whose_message_it_is_may_cancel(house: House, who: SecretKey) -> None:
    message, job = job_about(who)
    house.keep(message, job, event(who, Kind.JOB_CANCEL, H, ("e", job.id)))


def test_those_in_charge_may_cancel(house: House) -> None:
    message, job = job_about(OTHER_MEMBER, OTHER)
    house.keep(put_user(OTHER, OTHER_ADMIN, "admin"), message, job)
    for who in (OWNER, ROUTER, OTHER_ADMIN):
        house.keep(event(who, Kind.JOB_CANCEL, ("h", OTHER), ("e", job.id)))


def test_nobody_else_cancels(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """Attack: a member stops other people's work, by whatever it is named."""
    message, job = job_about(PUPPET)
    own, own_elsewhere = event(MEMBER, 9, H, content="mine"), job_about(OTHER_MEMBER, OTHER)
    house.keep(message, job, own, *own_elsewhere)
    attempts = [
        event(MEMBER, Kind.JOB_CANCEL, H, ("e", job.id)),
        event(MEMBER, Kind.JOB_CANCEL, H, ("e", own.id)),
        event(MEMBER, Kind.JOB_CANCEL, H, ("e", "0" * 64)),
        event(MEMBER, Kind.JOB_CANCEL, H, ("e", "x")),
        event(MEMBER, Kind.JOB_CANCEL, H),
        event(MEMBER, Kind.JOB_CANCEL, H, ("e", own_elsewhere[1].id)),
    ]
    for attempt in attempts:
        assert house.refuse(attempt).prefix is Prefix.RESTRICTED
    off(monkeypatch, "jobs_are_cancelled_by_who_asked_or_is_in_charge")
    house.keep(*attempts)


def test_a_cancel_names_one_job(house: House) -> None:
    """Attack: one's own job named beside another's."""
    (mine, my_job), (message, job) = job_about(MEMBER), job_about(PUPPET)
    house.keep(mine, my_job, message, job)
    both = event(MEMBER, Kind.JOB_CANCEL, H, ("e", my_job.id), ("e", job.id))
    assert house.refuse(both).prefix is Prefix.RESTRICTED


@pytest.mark.parametrize(
    "end",
    [
        (Kind.JOB_RESULT, ("status", "completed")),
        (Kind.JOB_ERROR, ("status", "error")),
        (Kind.JOB_CANCEL, ("status", "cancelled")),
    ],
)
def test_a_job_that_has_ended_stays_what_it_is(
    house: House, end: tuple[Kind, tuple[str, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Attack: what was answered is shown as cancelled, by who comes late."""
    (message, job), (other, other_job) = job_about(MEMBER), job_about(PUPPET)
    kind, status = end
    house.keep(message, job, other, other_job)
    house.keep(event(MEMBER, Kind.JOB_CANCEL, H, ("e", job.id)))  # a call ends nothing yet
    house.keep(event(OWNER, Kind.JOB_CANCEL, H, ("e", job.id), content="I too"))
    house.keep(event(ROUTER, kind, H, ("e", job.id), status))
    for who in (MEMBER, OWNER):
        late = event(who, Kind.JOB_CANCEL, H, ("e", job.id), content="late")
        assert house.refuse(late).prefix is Prefix.BLOCKED
        both = event(who, Kind.JOB_CANCEL, H, ("e", other_job.id), ("e", job.id))
        assert house.refuse(both).prefix in (Prefix.BLOCKED, Prefix.RESTRICTED)
    house.keep(event(OWNER, Kind.JOB_CANCEL, H, ("e", other_job.id)))
    off(monkeypatch, "a_job_that_has_ended_stays_what_it_is")
    house.keep(event(OWNER, Kind.JOB_CANCEL, H, ("e", job.id), content="late"))


def test_an_agent_names_what_its_own_group_holds(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Attack: an answer to, and a reaction on, another group's message, by id and by address; a
    report that takes that message for answered."""
    said, task = event(PUPPET, 9, H, content="theirs"), event(ROUTER, 31_923, H, ("d", "task"))
    own = event(OTHER_PUPPET, 9, ("h", OTHER), content="ours")
    house.keep(said, task, own)
    there = ("h", OTHER)
    session = inside(OTHER_SESSION)
    report = event(
        OTHER_SESSION, Kind.JOB_PROGRESS, there, ("e", "cd" * 32), ("q", said.id),
        ("status", "done"),
    )  # fmt: skip
    address = f"31923:{ROUTER.public}:task"
    attempts = [
        event(BOT, 9, there, ("q", said.id)),
        event(BOT, 9, there, ("q", own.id), ("e", said.id, "", "reply")),
        event(BOT, 7, there, ("e", said.id)),
        event(BOT, 9, there, ("a", address)),
        event(BOT, 9, there, ("q", address)),
        event(BOT, 9, there, ("q", said.id.upper())),
        event(BOT, 9, there, ("a", address.upper().replace("TASK", "task"))),
    ]
    for attempt in attempts:
        assert house.refuse(attempt).prefix is Prefix.RESTRICTED
    assert house.refuse(report, session).prefix is Prefix.RESTRICTED
    off(monkeypatch, "an_agent_names_what_its_own_group_holds")
    house.keep(*attempts)
    assert isinstance(house.put(report, session).outcome, Stored)


def test_an_agent_names_its_own_group_and_what_is_nowhere_here(house: House) -> None:
    own, public = event(OTHER_PUPPET, 9, ("h", OTHER)), event(BOT, 1, content="for all")
    house.keep(own, public)
    for named in (own.id, public.id, "ab" * 32, "30023:nobody:x", "x"):
        house.keep(event(BOT, 9, ("h", OTHER), ("q", named)))


def test_what_is_public_names_nothing_that_a_group_holds(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Attack: main's agent reacts to, answers or comments on a conversation's message in public."""
    said, task = event(PUPPET, 9, H, content="theirs"), event(ROUTER, 31_923, H, ("d", "task"))
    own = event(BOT, 1, content="for all")
    house.keep(said, task, own)
    address = f"31923:{ROUTER.public}:task"
    attempts = [
        event(BOT, 7, ("e", said.id), ("p", said.pubkey), ("k", "9")),
        event(BOT, 7, ("e", own.id), ("e", said.id)),
        event(BOT, 7, ("e", said.id.upper())),
        event(BOT, 1, ("e", said.id, "", "root")),
        event(BOT, 1, ("q", said.id)),
        event(BOT, 1_111, ("E", said.id), ("K", "9"), ("e", own.id), ("k", "1")),
        event(BOT, 1_111, ("A", address), ("K", "31923"), ("a", address), ("k", "31923")),
        event(BOT, 30_024, ("d", "x"), ("a", address)),
    ]
    for attempt in attempts:
        assert house.refuse(attempt).prefix is Prefix.RESTRICTED
    house.keep(
        event(BOT, 7, ("e", own.id), ("k", "1")),
        event(BOT, 7, ("e", "ab" * 32), ("k", "1")),
        event(BOT, 1_111, ("E", "ab" * 32), ("K", "1063"), ("e", "cd" * 32), ("k", "1111")),
    )
    off(monkeypatch, "what_is_public_names_nothing_that_a_group_holds")
    house.keep(*attempts)


def test_the_agent_of_main_names_everything(house: House) -> None:
    """Who reads main reads every group."""
    said = event(OTHER_PUPPET, 9, ("h", OTHER))
    house.keep(said, event(BOT, 9, H, ("q", said.id)))


def test_what_an_import_brings_has_been_judged(house: House) -> None:
    admission = place(house.transaction, house.world, answer(RUN), house.now_s, house.sign)
    assert isinstance(admission.outcome, Stored)
