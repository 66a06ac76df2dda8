"""The retry truth, by table and against a plain oracle, from events in any order."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.engine.outcome import Exited, Killed, Limits, Outcome, Why
from bot.jobs import (
    FINAL,
    INTERRUPTED,
    Again,
    Complete,
    Failure,
    GiveUp,
    Job,
    Nothing,
    Step,
    failure_of,
    fold,
    next_step,
    spoken,
)
from nips.event import Event, Template
from nips.key import SecretKey
from nips.kinds import Kind
from nips.own import job as job_events

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
    wanted = Job(REQUEST.id, GROUP, MESSAGE, 100, attempts, done, ended)
    assert fold((REQUEST, *more), ROUTER.public) == {REQUEST.id: wanted}
    assert fold((*reversed(more), REQUEST), ROUTER.public) == {REQUEST.id: wanted}


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
        REQUEST.id: Job(REQUEST.id, GROUP, MESSAGE, 100)
    }


@pytest.mark.parametrize(
    ("kind", "author", "tags", "counts"),
    [
        (Kind.CHAT, BOT, (("h", GROUP), ("job", REQUEST.id)), True),
        (Kind.REACTION, BOT, (("h", GROUP), ("job", REQUEST.id)), True),
        (Kind.NOTE, BOT, (("job", REQUEST.id),), True),
        (Kind.CHAT, STRANGER, (("h", GROUP), ("job", REQUEST.id)), False),
        (Kind.CHAT, BOT, (("h", GROUP),), False),
        (Kind.PROFILE, BOT, (("job", REQUEST.id),), False),
    ],
)
def test_what_counts_as_having_spoken(
    kind: int, author: SecretKey, tags: tuple[tuple[str, ...], ...], counts: bool
) -> None:
    event = Template(author.public, 1, kind, tags, "hello").sign(author, bytes(32))
    assert spoken([event], BOT.public) == (frozenset({REQUEST.id}) if counts else frozenset())


JOB = Job("aa" * 32, GROUP, MESSAGE, 100)


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
    st.sampled_from([None, CRASH, LIMIT, INTERRUPTED]),
    st.lists(st.floats(0, 60), max_size=3),
)
def test_the_promises_hold_for_every_job(
    attempts: int,
    done: bool,
    ended: bool,
    has_spoken: bool,
    failure: Failure | None,
    pauses_s: list[float],
) -> None:
    if attempts and failure is None:
        failure = INTERRUPTED
    job = replace(JOB, attempts=attempts, done=done, ended=ended)
    step = next_step(job, has_spoken=has_spoken, failure=failure, pauses_s=pauses_s)
    assert (step == Nothing()) == ended
    assert (step == Complete()) == (done and not ended)
    if isinstance(step, Again):
        assert not (has_spoken and attempts), "said twice"
        assert attempts < 3
        assert step.number == attempts + 1
        assert step.pause_s >= 0
    if isinstance(step, GiveUp):
        assert step.words.startswith("I could not finish that")
        assert step.words.endswith(".")


@pytest.mark.parametrize("why", Why)
def test_every_limit_has_its_words(why: Why) -> None:
    failure = failure_of(Outcome(Killed(why), "hostile words", 1.0), Limits())
    assert failure.final == (why in FINAL)
    assert failure.final == (why is not Why.ENGINE)
    assert "hostile" not in failure.words
    assert not failure.words.endswith(".")


@pytest.mark.parametrize(
    ("wall_clock_s", "words"),
    [(600, "10 minutes"), (90, "90 seconds"), (150, "2.5 minutes"), (0.5, "0.5 seconds")],
)
def test_the_wall_clock_is_told_in_a_persons_units(wall_clock_s: float, words: str) -> None:
    limits = Limits(wall_clock_s=wall_clock_s)
    failure = failure_of(Outcome(Killed(Why.WALL_CLOCK), "", 1.0), limits)
    assert failure.words == f"the agent ran longer than {words} and was stopped"


@pytest.mark.parametrize(("code", "words"), [(0, "without an end"), (69, "status 69")])
def test_an_exit_is_told(code: int, words: str) -> None:
    failure = failure_of(Outcome(Exited(code), "", 1.0), Limits())
    assert words in failure.words
    assert not failure.final
