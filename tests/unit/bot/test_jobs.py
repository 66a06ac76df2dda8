"""The retry truth, by table and against a plain oracle, from events in any order."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.failure import INTERRUPTED, Failure
from bot.jobs import (
    Again,
    CallOff,
    Complete,
    GiveUp,
    Job,
    Nothing,
    Step,
    fold,
    next_step,
    spoken,
)
from nips.event import Event, Template
from nips.key import SecretKey
from nips.kinds import Kind
from nips.own import handed as handed_events
from nips.own import job as job_events
from nips.own import task_run
from nips.own.task_run import TaskRun

ROUTER, BOT, STRANGER, S1, S2 = (SecretKey(bytes([n]) * 32) for n in range(1, 6))
GROUP = "00000000-0000-4000-8000-000000000001"
MESSAGE = "ab" * 32
PAUSES_S = (2.0, 15.0)
CRASH = Failure("it crashed")
LIMIT = Failure("it ran too long", final=True)


def by(key: SecretKey, template: Template) -> Event:
    return replace(template, pubkey=key.public).sign(key, bytes(32))


REQUEST = by(ROUTER, job_events.request(ROUTER.public, GROUP, MESSAGE, BOT.public, 100))
OTHER = by(ROUTER, job_events.request(ROUTER.public, GROUP, "cd" * 32, BOT.public, 100))


def attempt(number: int, session: SecretKey, author: SecretKey = ROUTER) -> Event:
    return by(
        author,
        job_events.attempt(author.public, GROUP, REQUEST.id, number, session.public, 101),
    )


def progress(session: SecretKey, *, done: bool, job: str = REQUEST.id) -> Event:
    return by(session, job_events.progress(session.public, GROUP, job, "…", 102, done=done))


def end(*, completed: bool, author: SecretKey = ROUTER) -> Event:
    if completed:
        return by(author, job_events.result(author.public, GROUP, REQUEST.id, 103))
    return by(author, job_events.error(author.public, GROUP, REQUEST.id, "no", 103))


@pytest.mark.parametrize(
    ("more", "attempts", "done", "ended"),
    [
        ((), 0, False, False),
        ((attempt(1, S1),), 1, False, False),
        ((attempt(2, S2), attempt(1, S1)), 2, False, False),
        ((attempt(1, S1), progress(S1, done=False)), 1, False, False),
        ((progress(S1, done=True), attempt(1, S1)), 1, True, False),
        ((attempt(1, S1), progress(S1, done=True), end(completed=True)), 1, True, True),
        ((attempt(1, S1), end(completed=False)), 1, False, True),
        # Attacks: a session of another job, of no job, an end or attempt by somebody else.
        ((attempt(1, S1), progress(S2, done=True)), 1, False, False),
        ((progress(S1, done=True),), 0, False, False),
        ((attempt(1, S1), progress(S1, done=True, job=OTHER.id)), 1, False, False),
        ((attempt(1, S1), end(completed=True, author=STRANGER)), 1, False, False),
        ((attempt(3, S1, author=STRANGER),), 0, False, False),
    ],
)
def test_a_job_is_what_its_events_say(
    more: tuple[Event, ...], attempts: int, done: bool, ended: bool
) -> None:
    wanted = Job(REQUEST.id, GROUP, (MESSAGE,), 100, attempts=attempts, done=done, ended=ended)
    assert fold((REQUEST, *more), ROUTER.public) == {REQUEST.id: wanted}
    assert fold((*reversed(more), REQUEST), ROUTER.public) == {REQUEST.id: wanted}


M1, M2, M3, M4 = (f"{n:02x}" * 32 for n in range(0xD1, 0xD5))


def handed(message: str, author: SecretKey = ROUTER) -> Event:
    return by(author, handed_events.handed(author.public, GROUP, REQUEST.id, message, 102))


def at(session: SecretKey, *messages: str, done: bool = False) -> Event:
    template = job_events.progress(
        session.public, GROUP, REQUEST.id, "", 103, done=done, messages=messages
    )
    return by(session, template)


def call(author: SecretKey, *messages: str) -> Event:
    return by(author, job_events.cancel(author.public, GROUP, REQUEST.id, 103, messages))


ENDED_EARLY = by(ROUTER, job_events.cancelled(ROUTER.public, GROUP, REQUEST.id, 104))


def folded(*more: Event) -> Job:
    return fold((REQUEST, *more), ROUTER.public)[REQUEST.id]


def test_what_was_handed_to_it_keeps_its_order() -> None:
    job = folded(handed(M2), handed(M1), handed(M2), handed(M3, author=STRANGER))
    assert job.all_messages == (MESSAGE, M2, M1)
    assert job.left_over == (M2, M1)
    assert job.at == MESSAGE


def test_a_session_settles_what_it_says_and_begins_what_it_says() -> None:
    more = (attempt(1, S1), handed(M1), handed(M2), handed(M3), at(S1, M1), at(S1, M2))
    job = folded(*more)
    assert (set(job.begun), job.left_over, job.at) == ({M1, M2}, (M3,), M2)
    job = folded(*more, at(S1, M1, M2, done=True))
    assert (set(job.settled), job.left_over) == ({M1, M2}, (M3,))
    # Attack: another job's session says that it has dealt with somebody's message.
    job = folded(*more, at(S2, M1, M2, M3, done=True))
    assert (job.done, job.left_over) == (False, (M3,))


def test_a_call_off_takes_with_it_what_the_router_says() -> None:
    more = (attempt(1, S1), handed(M1), handed(M2))
    job = folded(*more, call(STRANGER, M1, M2))
    assert (job.called_off, job.ended, job.left_over) == (True, False, (M1, M2))
    job = folded(*more, call(ROUTER, M1))
    assert (job.called_off, job.ended, job.left_over) == (True, False, (M2,))
    assert folded(*more, ENDED_EARLY).ended
    assert not folded(*more, by(STRANGER, ENDED_EARLY.template)).ended


def test_a_call_off_of_another_group_is_none() -> None:
    other = "00000000-0000-4000-8000-000000000002"
    assert not folded(
        by(STRANGER, job_events.cancel(STRANGER.public, other, REQUEST.id, 103))
    ).called_off


def test_jobs_keep_the_order_of_their_requests() -> None:
    assert list(fold((OTHER, REQUEST), ROUTER.public)) == [OTHER.id, REQUEST.id]


def test_a_request_of_somebody_else_is_no_job() -> None:
    forged = by(STRANGER, REQUEST.template)
    assert fold((forged, REQUEST), ROUTER.public).keys() == {REQUEST.id}


@given(
    st.lists(st.sampled_from([Kind.JOB_ACCEPTED, Kind.JOB_PROGRESS, Kind.JOB_RESULT])), st.text()
)
def test_malformed_events_change_nothing(kinds: list[int], text: str) -> None:
    odd = [
        Template(ROUTER.public, 1, kind, (("e", REQUEST.id), ("attempt", text)), text).sign(
            ROUTER, bytes(32)
        )
        for kind in kinds
    ]
    assert fold((*odd, REQUEST), ROUTER.public) == {
        REQUEST.id: Job(REQUEST.id, GROUP, (MESSAGE,), 100)
    }


@pytest.mark.parametrize(
    ("kind", "author", "tags", "counts"),
    [
        (Kind.CHAT, BOT, (("h", GROUP), ("job", REQUEST.id)), True),
        (Kind.REACTION, BOT, (("h", GROUP), ("job", REQUEST.id)), True),
        (Kind.NOTE, BOT, (("job", REQUEST.id),), True),
        (Kind.COMMENT, BOT, (("job", REQUEST.id),), True),
        (Kind.REACTION, BOT, (("job", REQUEST.id),), True),
        (Kind.DRAFT, BOT, (("job", REQUEST.id),), True),
        (Kind.ARTICLE, BOT, (("job", REQUEST.id),), True),
        (Kind.CHAT, ROUTER, (("h", GROUP), ("job", REQUEST.id)), True),
        (Kind.REACTION, ROUTER, (("h", GROUP), ("job", REQUEST.id)), False),
        (Kind.CHAT, ROUTER, (("h", GROUP), ("e", REQUEST.id)), False),
        (Kind.CHAT, STRANGER, (("h", GROUP), ("job", REQUEST.id)), False),
        (Kind.CHAT, BOT, (("h", GROUP),), False),
        (Kind.PROFILE, BOT, (("job", REQUEST.id),), False),
    ],
)
def test_what_counts_as_having_spoken(
    kind: int, author: SecretKey, tags: tuple[tuple[str, ...], ...], counts: bool
) -> None:
    event = Template(author.public, 1, kind, tags, "hello").sign(author, bytes(32))
    found = spoken([event], BOT.public, ROUTER.public)
    assert found == (frozenset({REQUEST.id}) if counts else frozenset())


JOB = Job("aa" * 32, GROUP, (MESSAGE,), 100)


@pytest.mark.parametrize(
    ("job", "has_spoken", "failure", "wanted"),
    [
        (JOB, False, None, Again(1, 0.0)),
        (replace(JOB, attempts=1), False, CRASH, Again(2, 2.0)),
        (replace(JOB, attempts=2), False, CRASH, Again(3, 15.0)),
        (
            replace(JOB, attempts=3),
            False,
            CRASH,
            GiveUp("I could not finish that in 3 attempts: it crashed."),
        ),
        (replace(JOB, attempts=1), False, INTERRUPTED, Again(2, 2.0)),
        (
            replace(JOB, attempts=1),
            False,
            LIMIT,
            GiveUp("I could not finish that: it ran too long."),
        ),
        (
            replace(JOB, attempts=1),
            True,
            CRASH,
            GiveUp("I could not finish that: it crashed. What I had said before stands."),
        ),
        (replace(JOB, attempts=1, done=True), True, CRASH, Complete()),
        (replace(JOB, attempts=1, done=True), True, LIMIT, Complete()),
        (replace(JOB, attempts=1, done=True, called_off=True), True, None, Complete()),
        (replace(JOB, called_off=True), False, None, CallOff()),
        (replace(JOB, attempts=1, called_off=True), True, CRASH, CallOff()),
        (replace(JOB, attempts=1, called_off=True, ended=True), True, CRASH, Nothing()),
        (replace(JOB, attempts=3, done=True), False, INTERRUPTED, Complete()),
        (replace(JOB, attempts=1, ended=True), True, CRASH, Nothing()),
        (replace(JOB, attempts=1, ended=True, done=True), False, None, Nothing()),
    ],
)
def test_what_becomes_of_a_job(
    job: Job, has_spoken: bool, failure: Failure | None, wanted: Step
) -> None:
    assert next_step(job, has_spoken=has_spoken, failure=failure, pauses_s=PAUSES_S) == wanted


@given(
    st.integers(0, 5),
    st.booleans(),
    st.booleans(),
    st.booleans(),
    st.booleans(),
    st.sampled_from([None, CRASH, LIMIT, INTERRUPTED]),
    st.lists(st.floats(0, 60), max_size=3),
)
def test_the_promises_hold_for_every_job(
    attempts: int,
    done: bool,
    ended: bool,
    has_spoken: bool,
    called_off: bool,
    failure: Failure | None,
    pauses_s: list[float],
) -> None:
    if attempts and failure is None:
        failure = INTERRUPTED
    job = replace(JOB, attempts=attempts, called_off=called_off, done=done, ended=ended)
    step = next_step(job, has_spoken=has_spoken, failure=failure, pauses_s=pauses_s)
    assert (step == Nothing()) == ended
    assert (step == Complete()) == (done and not ended)
    assert (step == CallOff()) == (called_off and not done and not ended)
    if isinstance(step, Again):
        assert not (has_spoken and attempts), "said twice"
        assert attempts < 3
        assert step.number == attempts + 1
        assert step.pause_s >= 0
    if isinstance(step, GiveUp):
        assert step.words.startswith("I could not finish that")
        assert step.words.endswith(".")


def test_a_tasks_run_has_no_message_until_one_is_handed_to_it() -> None:
    run = TaskRun(f"31923:{ROUTER.public}:{GROUP}/{GROUP}", "1767279600")
    request = by(ROUTER, task_run.request(ROUTER.public, GROUP, run, BOT.public, 100))
    (job,) = fold([request], ROUTER.public).values()
    assert (job.task, job.messages, job.message, job.at, job.all_messages) == (
        run, (), None, None, (),
    )  # fmt: skip
    given = by(
        ROUTER, handed_events.handed(ROUTER.public, GROUP, request.id, MESSAGE, 101, position=1)
    )
    (job,) = fold([request, given], ROUTER.public).values()
    assert (job.at, job.all_messages, job.left_over) == (None, (MESSAGE,), (MESSAGE,))
    session = by(ROUTER, job_events.attempt(ROUTER.public, GROUP, request.id, 1, S1.public, 101))
    begun = by(S1, job_events.progress(S1.public, GROUP, request.id, "", 102, messages=(MESSAGE,)))
    (job,) = fold([request, given, session, begun], ROUTER.public).values()
    assert (job.at, job.left_over) == (MESSAGE, ())
    step = next_step(job, has_spoken=False, failure=INTERRUPTED, pauses_s=PAUSES_S)
    assert step == Again(2, 2.0)


def test_a_gate_that_stayed_shut_is_told_by_its_session_alone() -> None:
    """Attack: another job's session says what became of this one's task."""
    run = TaskRun(f"31923:{ROUTER.public}:{GROUP}/{GROUP}", "1767279600")
    request = by(ROUTER, task_run.request(ROUTER.public, GROUP, run, BOT.public, 100))
    began = by(ROUTER, job_events.attempt(ROUTER.public, GROUP, request.id, 1, S1.public, 101))
    for session, gate in ((S1, "exit code 1"), (S2, None)):
        shut = job_events.progress(
            session.public, GROUP, request.id, "", 102, done=True, gate="exit code 1"
        )
        (job,) = fold([request, began, by(session, shut)], ROUTER.public).values()
        assert (job.gate, job.done) == (gate, gate is not None)
