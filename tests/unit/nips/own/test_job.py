"""Jobs: templates that their parsers read, and forms that are none."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from nips.event import Template
from nips.own import handed, job
from nips.own.job_tags import MAX_NAMED
from nips.own.once import once_key
from nips.own.task_run import TaskRun
from nips.refusal import Malformed

GROUP = "0f8fad5b-d9cb-469f-a165-70867728950e"
ROUTER, BOT, SESSION, MESSAGE, JOB = (f"{n:02x}" * 32 for n in range(5))

REQUEST = job.request(ROUTER, GROUP, MESSAGE, BOT, 7)
ATTEMPT = job.attempt(ROUTER, GROUP, JOB, 2, SESSION, 8)
PROGRESS = job.progress(SESSION, GROUP, JOB, "reading", 9)
DONE = job.progress(SESSION, GROUP, JOB, "", 9, done=True)
RESULT = job.result(ROUTER, GROUP, JOB, 10)
ERROR = job.error(ROUTER, GROUP, JOB, "the time was up", 10)
OTHER = "ab" * 32
LATER = job.request(ROUTER, GROUP, MESSAGE, BOT, 7, not_before=1_767_250_800, after=JOB)
HANDED = handed.handed(ROUTER, GROUP, JOB, MESSAGE, 9, position=3)
WITHDRAWN = handed.withdrawn(ROUTER, GROUP, JOB, MESSAGE, 9)
CANCEL = job.cancel(BOT, GROUP, JOB, 9, [MESSAGE])
CANCELLED = job.cancelled(ROUTER, GROUP, JOB, 10)


def test_every_event_of_a_tasks_run_names_the_task_and_is_read_as_before() -> None:
    run = TaskRun(f"31923:{ROUTER}:{GROUP}/{GROUP}", "1767225600")
    made = [
        (ATTEMPT, job.attempt(ROUTER, GROUP, JOB, 2, SESSION, 8, task=run), job.parse_attempt),
        (PROGRESS, job.progress(SESSION, GROUP, JOB, "reading", 9, task=run), job.parse_progress),
        (RESULT, job.result(ROUTER, GROUP, JOB, 10, task=run), job.parse_end),
        (ERROR, job.error(ROUTER, GROUP, JOB, "the time was up", 10, task=run), job.parse_end),
        (CANCEL, job.cancel(BOT, GROUP, JOB, 9, [MESSAGE], task=run), job.parse_cancel),
        (CANCELLED, job.cancelled(ROUTER, GROUP, JOB, 10, task=run), job.parse_cancel),
    ]
    for without, with_task, parse in made:
        assert (without.values("a"), with_task.values("a")) == ([], [run.task])
        read: Any = parse(with_task)
        assert replace(read, id=without.id) == parse(without)
        assert with_task.values("o") == without.values("o")


def test_round_trips() -> None:
    assert job.parse_request(REQUEST) == job.JobRequest(REQUEST.id, GROUP, (MESSAGE,), BOT, 7)
    assert job.parse_request(LATER).not_before == 1_767_250_800
    assert job.parse_request(REQUEST).message == MESSAGE
    assert job.parse_attempt(ATTEMPT) == job.Attempt(ATTEMPT.id, GROUP, JOB, 2, SESSION, 8)
    assert job.parse_progress(PROGRESS) == job.Progress(
        PROGRESS.id, GROUP, JOB, SESSION, "reading", done=False
    )
    assert job.parse_progress(DONE).done
    answered = job.progress(SESSION, GROUP, JOB, "", 9, done=True, messages=[MESSAGE, OTHER])
    assert job.parse_progress(answered).messages == (MESSAGE, OTHER)
    assert handed.parse_handed(HANDED) == handed.Handed(HANDED.id, GROUP, JOB, MESSAGE, 3)
    assert handed.parse_handed(WITHDRAWN) == handed.Handed(
        WITHDRAWN.id, GROUP, JOB, MESSAGE, withdrawn=True
    )
    assert job.parse_cancel(CANCEL) == job.Cancel(
        CANCEL.id, GROUP, JOB, BOT, (MESSAGE,), ended=False
    )
    assert job.parse_cancel(CANCELLED).ended
    assert job.parse_end(RESULT) == job.JobEnd(RESULT.id, GROUP, JOB, completed=True, words="")
    assert job.parse_end(ERROR) == job.JobEnd(
        ERROR.id, GROUP, JOB, completed=False, words="the time was up"
    )


def test_what_happens_once_has_a_once_key() -> None:
    assert REQUEST.tag("o") == once_key("job", MESSAGE)
    assert ATTEMPT.tag("o") == once_key("attempt", JOB, "2")
    assert RESULT.tag("o") == ERROR.tag("o") == CANCELLED.tag("o") == once_key("end", JOB)
    assert PROGRESS.tag("o") is CANCEL.tag("o") is WITHDRAWN.tag("o") is None


def test_a_message_is_a_job_or_handed_to_one_and_never_both() -> None:
    assert HANDED.tag("o") == REQUEST.tag("o")
    again = handed.handed(ROUTER, GROUP, OTHER, MESSAGE, 9, after=JOB)
    assert again.tag("o") == LATER.tag("o") == once_key("job", MESSAGE, JOB)


def test_several_messages_make_one_job() -> None:
    several = replace(REQUEST, tags=(*REQUEST.tags, ("e", OTHER)))
    assert job.parse_request(several).messages == (MESSAGE, OTHER)
    for wrong in (("e", MESSAGE), ("e", "x"), *(("e", f"{n:064x}") for n in range(99))):
        several = replace(several, tags=(*several.tags, wrong))
    with pytest.raises(Malformed):
        job.parse_request(several)


@pytest.mark.parametrize("text", ["", "-1", "1.5", "soon", "٣", "9" * 12])
def test_what_is_no_time_to_wait_for(text: str) -> None:
    with pytest.raises(Malformed, match="not_before"):
        job.parse_request(replace(REQUEST, tags=(*REQUEST.tags, ("not_before", text))))


def test_a_clients_plain_cancel_is_understood() -> None:
    plain = replace(CANCEL, tags=(("h", GROUP), ("e", JOB)))
    assert job.parse_cancel(plain) == job.Cancel(plain.id, GROUP, JOB, BOT, (), ended=False)


@pytest.mark.parametrize("parse", [job.parse_progress, job.parse_cancel])
def test_messages_are_named_once_and_not_without_end(parse: Callable[[Template], object]) -> None:
    template = PROGRESS if parse is job.parse_progress else CANCEL
    many = tuple(("q", f"{n:064x}") for n in range(MAX_NAMED + 1))
    for more in ((("q", MESSAGE), ("q", MESSAGE)), (("q", "short"),), many):
        with pytest.raises(Malformed):
            parse(replace(template, tags=(*template.tags, *more)))


def test_two_sessions_for_one_attempt_share_its_once_key() -> None:
    other = job.attempt(ROUTER, GROUP, JOB, 2, BOT, 9)
    assert other.tag("o") == ATTEMPT.tag("o")
    assert job.attempt(ROUTER, GROUP, JOB, 3, BOT, 9).tag("o") != ATTEMPT.tag("o")


@pytest.mark.parametrize(
    "template",
    [REQUEST, ATTEMPT, PROGRESS, RESULT, ERROR, LATER, HANDED, WITHDRAWN, CANCEL, CANCELLED],
)
def test_any_client_can_show_it(template: Template) -> None:
    assert template.tag("alt")
    assert template.values("h") == [GROUP]


def test_a_long_line_is_cut() -> None:
    assert len(job.progress(SESSION, GROUP, JOB, "x" * 9_999, 9).content) == job.MAX_LINE_CHARS


PARSERS: list[tuple[Callable[[Template], object], Template]] = [
    (job.parse_request, REQUEST),
    (job.parse_attempt, ATTEMPT),
    (job.parse_progress, PROGRESS),
    (job.parse_end, RESULT),
    (job.parse_end, ERROR),
    (handed.parse_handed, HANDED),
    (job.parse_cancel, CANCELLED),
]


@pytest.mark.parametrize(("parse", "template"), PARSERS)
def test_every_tag_counts(parse: Callable[[Template], object], template: Template) -> None:
    needed = {"h", "e", "p", "attempt", "status"}
    if template is REQUEST:  # of messages it may have several
        needed -= {"e"}
    if template is CANCELLED:
        needed -= {"status"}
    if template is HANDED:
        needed |= {"q", "position"}
    parse(template)
    for tag in template.tags:
        if tag[0] not in needed:
            continue
        others = tuple(other for other in template.tags if other is not tag)
        for tags in (others, (*template.tags, tag), (*others, (tag[0], "x"))):
            with pytest.raises(Malformed):
                parse(replace(template, tags=tags))


@pytest.mark.parametrize(("parse", "template"), PARSERS)
def test_another_kind(parse: Callable[[Template], object], template: Template) -> None:
    for kind in (9, 43_007):
        with pytest.raises(Malformed):
            parse(replace(template, kind=kind))


@pytest.mark.parametrize("number", ["0", "01", "-1", "1.0", "100", "", "٣", "one"])
def test_what_is_no_attempt_number(number: str) -> None:
    tags = tuple(("attempt", number) if tag[0] == "attempt" else tag for tag in ATTEMPT.tags)
    with pytest.raises(Malformed):
        job.parse_attempt(replace(ATTEMPT, tags=tags))
    tags = tuple(("position", number) if tag[0] == "position" else tag for tag in HANDED.tags)
    with pytest.raises(Malformed):
        handed.parse_handed(replace(HANDED, tags=tags))


def test_a_result_does_not_say_error() -> None:
    with pytest.raises(Malformed):
        job.parse_end(replace(RESULT, kind=ERROR.kind))
    with pytest.raises(Malformed):
        job.parse_end(replace(ERROR, kind=RESULT.kind))
