"""agent_image/agent/job.py: the events of a job, and what must not pass for one."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from agent_image.agent import utterance
from agent_image.agent.job import (
    Message,
    read_attempt,
    read_handed,
    read_job,
    read_request,
    read_task,
)
from nips.event import Event
from nips.own import handed as handed_events
from nips.own import task_run
from nips.own.cause import Said
from nips.own.job import Attempt, JobRequest, parse_request
from nips.own.once import once_key
from nips.own.received import ReceivedFile
from nips.own.schedule import Schedule
from nips.own.task import Task, template
from nips.own.task_run import TaskRun
from nips.refusal import Malformed

TASK = "7c9e6679-7425-40de-944b-e07fc1f90ae7"
OTHER_GROUP = "00000000-0000-4000-8000-000000000000"


def edited(event: Event, name: str, *values: str) -> Event:
    """The event with its tags called `name` replaced by one tag for each of `values`."""
    kept = tuple(tag for tag in event.tags if tag[0] != name)
    return replace(event, tags=kept + tuple((name, value) for value in values))


def started(scene: Any, message: Event) -> tuple[Event, Event, Attempt]:
    event = scene.attempt(request := scene.request(message))
    return request, event, read_attempt(event, scene.session.public)


def test_an_attempt_is_for_one_session(scene: Any) -> None:
    event = scene.attempt(request := scene.request(scene.message("hello")))
    assert read_attempt(event, scene.session.public).job == request.id
    with pytest.raises(Malformed, match="another session"):
        read_attempt(event, scene.person.public)
    with pytest.raises(Malformed):
        read_attempt(replace(event, kind=43003), scene.session.public)


def test_a_job_has_its_message_and_what_came_before(scene: Any) -> None:
    before = [scene.message(f"earlier {n}", at=-n) for n in range(1, 4)]
    asked = scene.message("and now?")
    labelled = scene.sign(scene.person, 9, ("h", scene.group), ("l", "ai", "agent"), at=-5)
    said = scene.sign(scene.bot, 9, ("h", scene.group), content="I said", at=-4)
    job = scene.job(asked, *before, said, labelled, *before)
    assert (job.message.text, job.message.author) == ("and now?", scene.person.public)
    assert [(message.text, message.from_agent) for message in job.history] == [
        ("", True),
        ("I said", True),
        ("earlier 3", False),
        ("earlier 2", False),
        ("earlier 1", False),
    ]
    assert (job.bot, job.group) == (scene.bot.public, scene.group)


def test_a_message_has_its_subject_and_its_files(scene: Any) -> None:
    file = ReceivedFile("a-0b.jpg", "image/jpeg", "0b" * 32, 7)
    tags = (("h", scene.group), ("subject", "cats"), file.tag(), ("imeta", "path ../x"))
    asked = scene.sign(scene.person, 9, *tags, content="[file: a.jpg]")
    job = scene.job(asked, scene.message("earlier", at=-1))
    assert (job.message.subject, job.message.files) == ("cats", (file,))
    assert (job.history[0].subject, job.history[0].files) == ("", ())


def test_a_message_is_edited_where_its_author_says_so(scene: Any) -> None:
    tags = (("h", scene.group), ("edits", "0a" * 32))
    asked = scene.sign(scene.person, 9, *tags, content="at noon")
    job = scene.job(asked, scene.message("earlier", at=-1))
    assert (job.message.edited, job.history[0].edited) == (True, False)


def test_messages_of_one_second_stand_in_the_order_of_their_ids(scene: Any) -> None:
    several = [scene.message(f"at once {n}", at=-1) for n in range(5)]
    job = scene.job(scene.message("now"), *several)
    assert [m.id for m in job.history] == sorted(event.id for event in several)


def test_a_message_is_found_by_its_id(scene: Any) -> None:
    asked, earlier = scene.message("now", kind=40002), scene.message("earlier", at=-1)
    job = scene.job(asked, earlier)
    assert job.find(asked.id) == job.message
    assert job.find(earlier.id) == job.history[0]
    assert job.find("00" * 32) is None
    assert job.message.kind == 40002


def test_another_groups_message_is_neither_answered_nor_shown(scene: Any) -> None:
    """Attack: a relay that is wrong, or an `h` given twice, shows one group's words in another."""
    asked = scene.message("ours")
    foreign = scene.message("theirs", at=-1, group=OTHER_GROUP)
    both = scene.sign(
        scene.person, 9, ("h", scene.group), ("h", OTHER_GROUP), content="both", at=-1
    )
    reaction = scene.message("👍", at=-1, kind=7)
    assert scene.job(asked, foreign, both, reaction).history == ()
    for wrong in (foreign, both, reaction):
        with pytest.raises(Malformed, match="not in its group"):
            scene.job(wrong, asked)


def test_a_message_that_is_not_there_is_refused(scene: Any) -> None:
    request = JobRequest("01" * 32, scene.group, ("02" * 32,), scene.bot.public, scene.now)
    with pytest.raises(Malformed, match="not in its group"):
        read_job(request, [scene.message("hello")])


def test_what_came_after_the_message_is_not_its_context(scene: Any) -> None:
    assert scene.job(scene.message("now"), scene.message("later", at=1)).history == ()


def test_a_job_made_up_by_a_member_is_refused(scene: Any) -> None:
    """Attack: the attempt is the router's, the 43001 that it is matched with is not."""
    forged = scene.request(scene.message("hello"), author=scene.person)
    event = scene.attempt(forged)
    with pytest.raises(Malformed, match="author"):
        read_request(forged, event, read_attempt(event, scene.session.public))


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda e: replace(e, kind=43004), "43001"),
        (lambda e: replace(e, id="00" * 32), "not the one"),
        (lambda e: edited(e, "h", OTHER_GROUP), "another group"),
        (lambda e: edited(e, "e"), "'e'"),
        (lambda e: edited(e, "p"), "'p'"),
    ],
)
def test_a_job_that_does_not_fit_its_attempt_is_refused(
    scene: Any, change: Any, sentence: str
) -> None:
    request, event, attempt = started(scene, scene.message("hello"))
    with pytest.raises(Malformed, match=sentence):
        read_request(change(request), event, attempt)


def test_a_later_message_has_what_we_said_meanwhile_as_context(scene: Any) -> None:
    first, second = scene.message("first"), scene.message("second")
    ours = scene.sign(scene.bot, 9, ("h", scene.group), content="to the first", at=5)
    later = scene.message("third", at=3)
    request, _, _ = started(scene, first)
    events = [first, second, ours, later]
    turn = read_job(parse_request(request), events, second.id)
    assert (turn.message.text, turn.follow_up) == ("second", True)
    assert [message.text for message in turn.history] == ["first", "to the first"]
    assert not read_job(parse_request(request), events).follow_up


def test_a_later_message_has_call_keys_of_its_own(scene: Any) -> None:
    first, second = scene.message("first"), scene.message("second")
    request = parse_request(scene.request(first))
    turns = [read_job(request, [first, second], one.id) for one in (first, second)]
    keys = [
        utterance.reply(turn, turn.message, "hi", "send_message/1", scene.now).tag("o")
        for turn in turns
    ]
    assert keys[0] == once_key(request.id, "send_message/1")
    assert keys[1] == once_key(request.id, second.id, "send_message/1")


@pytest.mark.parametrize("whose", ["somebody's", "another job's", "another group's"])
def test_nobody_but_the_jobs_router_hands_a_message_over(scene: Any, whose: str) -> None:
    """Attack: a member of the group makes up what a session works on."""
    request, event, attempt = started(scene, scene.message("hello"))
    author = scene.person if whose == "somebody's" else scene.router
    template = handed_events.handed(
        author.public,
        OTHER_GROUP if whose == "another group's" else scene.group,
        "ab" * 32 if whose == "another job's" else request.id,
        "cd" * 32,
        scene.now,
    )
    with pytest.raises(Malformed):
        read_handed(template.sign(author, bytes(32)), event, attempt)
    right = handed_events.handed(scene.router.public, scene.group, request.id, "cd" * 32, scene.now)
    assert read_handed(right.sign(scene.router, bytes(32)), event, attempt).message == "cd" * 32


def task_event(scene: Any, title: str = "Plants", *, by: Any = None, task_id: str = TASK) -> Event:
    task = Task(
        scene.group, task_id, title, "Water them.", Schedule("cron", "@daily"), "UTC", scene.now
    )
    keeper = by or scene.router
    return template(task, keeper.public, scene.now).sign(keeper, bytes(32))


def task_request(scene: Any) -> JobRequest:
    run = TaskRun(f"31923:{scene.router.public}:{scene.group}/{TASK}", str(scene.now))
    made = task_run.request(scene.router.public, scene.group, run, scene.bot.public, scene.now)
    return parse_request(made.sign(scene.router, bytes(32)))


def test_a_task_is_a_prompt_that_nobody_has_said_after_all_that_was_said(scene: Any) -> None:
    before = [scene.message(f"earlier {n}", at=-n) for n in range(1, 4)]
    elsewhere = scene.message("elsewhere", group=OTHER_GROUP)
    request = task_request(scene)
    events = [task_event(scene), *before, elsewhere]
    job = read_task(request, events, scene.router.public, scene.now + 9)
    assert job.message == Message(
        request.id, scene.router.public, 31_923, scene.now + 9, "Water them.", False, task="Plants"
    )
    assert [message.text for message in job.history] == ["earlier 3", "earlier 2", "earlier 1"]
    assert not job.follow_up


def test_what_has_set_it_off_is_of_its_own_group(scene: Any) -> None:
    """Attack: a cause that names what another group has said."""
    here, elsewhere = scene.message("it rains"), scene.message("secret", group=OTHER_GROUP)
    request = task_request(scene)
    for said, text in ((here, "it rains"), (elsewhere, ""), (None, "")):
        events = [task_event(scene), here, elsewhere]
        cause = Said(said.id if said else "0c" * 32)
        job = read_task(request, events, scene.router.public, scene.now, cause)
        (beside,) = job.message.besides
        assert beside.text.partition("\n")[0] == text


def test_somebody_elses_task_is_not_carried_out(scene: Any) -> None:
    """Attack: a member's own calendar event of the same name, beside the router's or instead."""
    request = task_request(scene)
    theirs = task_event(scene, "Theirs", by=scene.person)
    other = task_event(scene, task_id=OTHER_GROUP)
    for events in ([], [theirs], [other], [theirs, other, scene.message("hello")]):
        with pytest.raises(Malformed, match="its task is not there"):
            read_task(request, events, scene.router.public, scene.now)
    job = read_task(request, [theirs, task_event(scene)], scene.router.public, scene.now)
    assert job.message.task == "Plants"


def test_a_tasks_run_answers_no_message_of_its_own(scene: Any) -> None:
    with pytest.raises(Malformed, match="for no message"):
        read_job(task_request(scene), [scene.message("hello")])
    job = read_task(task_request(scene), [task_event(scene)], scene.router.public, scene.now)
    reply = utterance.reply(job, job.message, "done", "send_message/1", scene.now)
    assert not reply.values("q") + reply.values("p")
    assert reply.tag("o") == once_key(job.id, "send_message/1")
