"""Pure: what sets off the tasks without a clock: how people write it, which events there are to be
watched for.

    on mention, on reaction, on article     a note that names the assistant; a reaction to what it
                                            has said; an article by whom the owner follows
    on {"kinds":[9],"#h":["here"]}          an event that the filter matches (nips/own/watch.py)
    on call                                 a POST to the task's address

Source: PROTOCOL.md "What sets a task off".
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from functools import lru_cache
from types import MappingProxyType

from nips.filter import Filter
from nips.nip02 import CONTACTS
from nips.own import watch as watches
from nips.own.schedule import Schedule
from nips.own.task import Task
from nips.own.watch import People, Watch
from nips.refusal import Malformed

ON = "on"
CALL = "call"
WORDS: Mapping[str, str] = MappingProxyType(
    {
        "mention": '{"kinds":[1,1111],"#p":["bot"]}',
        "reaction": '{"kinds":[7],"#p":["bot"]}',
        "article": '{"kinds":[30023],"authors":["followed"]}',
    }
)
FORMS = "on mention, on call"
MAX_AN_HOUR = 10  # runs of one task
MAX_PUBLIC = 10  # tasks: each costs every public relay a subscription
MAX_AUTHORS_AND_TAGS = 4_000  # of all filters for the public relays together
CATCH_UP_S = 86_400  # as far back as public events are asked for at most
OVERLAP_S = 300  # before the last run: relays are not equally fast
MAX_STORED = 100  # of what a relay stores, for one filter


Waiting = tuple[Task, Watch]


@lru_cache(maxsize=1_024)
def watch_of(expression: str, group: str) -> Watch:
    """What a task of a group (a UUID) waits for. Raises Malformed."""
    return watches.parse(expression, group)


def read(text: str, group: str) -> Schedule | None:
    """What a person has written, as a schedule of a task of a group (a UUID); None where it is no
    `on …`, but a time. Raises Malformed."""
    on, _, rest = text.strip().partition(" ")
    if on.lower() != ON:
        return None
    what = rest.strip()
    if what.lower() == CALL:
        return Schedule("webhook", CALL)
    filter_ = WORDS.get(what.lower(), what)
    if not filter_.startswith("{"):
        words = ", ".join(f"on {word}" for word in (*WORDS, CALL))
        raise Malformed(f"{what[:40]!r} sets no task off: write {words}, or on and a filter")
    return Schedule("event", watches.parse(filter_, group).written())


def written(schedule: Schedule) -> str:
    """The same as a person would write it. For a schedule without a clock."""
    if schedule.how == "webhook":
        return f"{ON} {CALL}"
    known = {expression: word for word, expression in WORDS.items()}
    return f"{ON} {known.get(schedule.expression, schedule.expression)}"


def checked(task: Task, others: Iterable[Task], main: str) -> Task:
    """A task that is made or edited, what sets it off in its usual form. others: all that there
    are, it may be among them. Raises Malformed, in words, where it would never be set off."""
    if task.schedule.how != "event":
        return task
    watch = watches.parse(task.schedule.expression, task.group)
    if not watches.may_watch(watch, task.group, main):
        raise Malformed(
            "what is public is watched for in the owner's own conversation only; here a task is "
            'set off by what is said here: add "#h":["here"] to its filter'
        )
    named = replace(task, schedule=Schedule("event", watch.written()))
    if not watch.here:
        known = {one.id for one, its in watched(others, main) if not its.here} - {task.id}
        if len(known) >= MAX_PUBLIC:
            raise Malformed(
                f"{MAX_PUBLIC} tasks wait for public events already: pause or cancel one of them"
            )
    return named


def watched(tasks: Iterable[Task], main: str) -> Iterator[Waiting]:
    """The active tasks that wait for events, the oldest first; what cannot be read, or may not be,
    is left out."""
    waiting = [t for t in tasks if t.status == "active" and t.schedule.how == "event"]
    for task in sorted(waiting, key=lambda task: (task.start, task.id)):
        try:
            watch = watch_of(task.schedule.expression, task.group)
        except Malformed:
            continue
        if watches.may_watch(watch, task.group, main):
            yield task, watch


def here(tasks: Iterable[Waiting]) -> Filter | None:
    """What there is to be read in the groups; None for nothing. Which task an event is for is
    looked at when it comes."""
    found = [(task, watch) for task, watch in tasks if watch.here]
    if not found:
        return None
    return Filter(
        kinds=frozenset[int]().union(*(watch.kinds for _, watch in found)),
        tags={"h": frozenset(task.group for task, _ in found)},
        since=min(task.start for task, _ in found),
    )


def public(tasks: Iterable[Waiting], people: People, since_s: dict[str, int]) -> tuple[Filter, ...]:
    """What public relays are to be asked for. people: as of now. since_s: by a task's name, since
    when; 0 for one that is not in it.

    Those about the same people and things are one question: whose kinds they are is looked at when
    an event comes.
    """
    found = [(task, watch) for task, watch in tasks if not watch.here][:MAX_PUBLIC]
    questions: dict[tuple[object, ...], Filter] = {}
    for task, watch in found:
        one = watch.filter(people, task.group)
        if one is None or one.kinds is None:
            continue
        since = since_s.get(task.name, 0)
        about = (one.authors, frozenset(one.tags.items()))
        if (same := questions.get(about)) is not None and same.kinds is not None:
            one = replace(one, kinds=one.kinds | same.kinds)
            since = min(since, same.since or 0)
        questions[about] = replace(one, since=since, limit=MAX_STORED)
    lists = Filter(kinds=frozenset({CONTACTS}), authors=people.owner, limit=len(people.owner))
    first = (lists,) if any(watch.needs_followed for _, watch in found) else ()
    return (*first, *_bounded(questions.values()))


def since(task: Task, last_run_s: int | None, now_s: int) -> int:
    """Since when public events count for a task. last_run_s: when its last job was made. What was
    missed while nobody listened is made up for as far back as the task says."""
    window_s = min(task.misfire.window_s or 0, CATCH_UP_S)
    last_s = 0 if last_run_s is None else last_run_s - OVERLAP_S
    return max(task.start, now_s - window_s, last_s)


def _bounded(filters: Iterable[Filter]) -> Iterator[Filter]:
    left = MAX_AUTHORS_AND_TAGS
    for one in filters:
        left -= len(one.authors or ()) + sum(map(len, one.tags.values()))
        if left >= 0:
            yield one
