"""Jobs: templates that their parsers read, and forms that are none."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from nips.event import Template
from nips.own import job
from nips.own.once import once_key
from nips.refusal import Malformed

GROUP = "0f8fad5b-d9cb-469f-a165-70867728950e"
ROUTER, BOT, SESSION, MESSAGE, JOB = (f"{n:02x}" * 32 for n in range(5))

REQUEST = job.request(ROUTER, GROUP, MESSAGE, BOT, 7)
ATTEMPT = job.attempt(ROUTER, GROUP, JOB, 2, SESSION, 8)
PROGRESS = job.progress(SESSION, GROUP, JOB, "reading", 9)
DONE = job.progress(SESSION, GROUP, JOB, "", 9, done=True)
RESULT = job.result(ROUTER, GROUP, JOB, 10)
ERROR = job.error(ROUTER, GROUP, JOB, "the time was up", 10)


def test_round_trips() -> None:
    assert job.parse_request(REQUEST) == job.JobRequest(REQUEST.id, GROUP, MESSAGE, BOT, 7)
    assert job.parse_attempt(ATTEMPT) == job.Attempt(ATTEMPT.id, GROUP, JOB, 2, SESSION, 8)
    assert job.parse_progress(PROGRESS) == job.Progress(
        PROGRESS.id, GROUP, JOB, SESSION, "reading", done=False
    )
    assert job.parse_progress(DONE).done
    assert job.parse_end(RESULT) == job.JobEnd(RESULT.id, GROUP, JOB, completed=True, words="")
    assert job.parse_end(ERROR) == job.JobEnd(
        ERROR.id, GROUP, JOB, completed=False, words="the time was up"
    )


def test_what_happens_once_has_a_once_key() -> None:
    assert REQUEST.tag("o") == once_key("job", MESSAGE)
    assert ATTEMPT.tag("o") == once_key("attempt", JOB, "2")
    assert RESULT.tag("o") == ERROR.tag("o") == once_key("end", JOB)
    assert PROGRESS.tag("o") is None


def test_two_sessions_for_one_attempt_share_its_once_key() -> None:
    other = job.attempt(ROUTER, GROUP, JOB, 2, BOT, 9)
    assert other.tag("o") == ATTEMPT.tag("o")
    assert job.attempt(ROUTER, GROUP, JOB, 3, BOT, 9).tag("o") != ATTEMPT.tag("o")


@pytest.mark.parametrize("template", [REQUEST, ATTEMPT, PROGRESS, RESULT, ERROR])
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
]


@pytest.mark.parametrize(("parse", "template"), PARSERS)
def test_every_tag_counts(parse: Callable[[Template], object], template: Template) -> None:
    needed = {"h", "e", "p", "attempt", "status"}
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
    for kind in (9, 43_005):
        with pytest.raises(Malformed):
            parse(replace(template, kind=kind))


@pytest.mark.parametrize("number", ["0", "01", "-1", "1.0", "100", "", "٣", "one"])
def test_what_is_no_attempt_number(number: str) -> None:
    tags = tuple(("attempt", number) if tag[0] == "attempt" else tag for tag in ATTEMPT.tags)
    with pytest.raises(Malformed):
        job.parse_attempt(replace(ATTEMPT, tags=tags))


def test_a_result_does_not_say_error() -> None:
    with pytest.raises(Malformed):
        job.parse_end(replace(RESULT, kind=ERROR.kind))
    with pytest.raises(Malformed):
        job.parse_end(replace(ERROR, kind=RESULT.kind))
