"""bot/tasks/keeper.py over a real relay: found, made once, changed by one after another."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace
from uuid import uuid4

import pytest

from bot.task_book import TaskBook
from bot.tasks import bounds
from bot.tasks.keeper import MAX_TRIES, Keeper, TaskError, task_id
from nips.own.schedule import Schedule
from nips.own.task import Task
from nips.own.task_run import TaskRun
from tests.unit.bot.uncontained import House, a_house

START = 1_767_279_600


@pytest.fixture(scope="module")
async def house() -> AsyncIterator[House]:
    async with a_house() as made:
        yield made


@dataclass
class Kept:
    """A keeper, and what it had done. why: why no job may begin."""

    house: House
    why: str | None = None
    performed: list[TaskRun] = field(default_factory=list)
    changes: int = 0

    def __post_init__(self) -> None:
        self.book = TaskBook(self.house.author)
        self.keeper = Keeper(
            self.house.author, self.book, self._perform, lambda _group: self.why, self._changed
        )

    async def _perform(self, _group: str, run: TaskRun) -> None:
        self.performed.append(run)

    def _changed(self) -> None:
        self.changes += 1


def a_task(group: str, title: str = "Plants", once: str = "") -> Task:
    made = task_id(once) if once else str(uuid4())
    return Task(group, made, title, "/say x", Schedule("cron", "@daily"), "UTC", START)


async def test_the_same_once_makes_one_task(house: House) -> None:
    group = await house.group("made once")
    first = await Kept(house).keeper.add(a_task(group, once="command/1"))
    other = Kept(house)  # a later process, which has not read it
    for title in ("Another title", "Plants"):
        again = await other.keeper.add(a_task(group, title, once="command/1"))
        assert (again.task, again.event.id) == (first.task, first.event.id)
    assert len(other.keeper.all(group)) == 1
    assert (await other.keeper.add(a_task(group, once="command/2"))).task.id != first.task.id


async def test_what_was_cancelled_is_not_made_again_by_the_same(house: House) -> None:
    """Attack: an agent's attempt that comes again makes anew what its people have cancelled."""
    kept, group = Kept(house), await house.group("cancels")
    task = (await kept.keeper.add(a_task(group, once="request/1"))).task
    await kept.keeper.cancel(task)
    assert kept.keeper.all(group) == ()
    for keeper in (kept.keeper, Kept(house).keeper):
        with pytest.raises(TaskError, match="cancelled since"):
            await keeper.add(task)
    await kept.keeper.cancel(task)  # read again after a crash: it is so already
    assert kept.changes == 2
    with pytest.raises(TaskError, match="is gone"):
        await kept.keeper.change(task, lambda each: replace(each, title="Late"))


async def test_two_editors_both_have_their_say(house: House) -> None:
    one, group = Kept(house), await house.group("editors")
    task = (await one.keeper.add(a_task(group))).task
    other = Kept(house)
    await other.book.load()
    await one.keeper.change(task, lambda each: replace(each, title="Mine"))
    after = await other.keeper.change(task, lambda each: replace(each, prompt="/say theirs"))
    assert (after.task.title, after.task.prompt) == ("Mine", "/say theirs")


async def test_who_is_never_quick_enough_is_told(house: House) -> None:
    kept, other = Kept(house), TaskBook(house.author)
    task = (await kept.keeper.add(a_task(await house.group("contested")))).task
    await other.load()
    kept.keeper._book = Contested(house, other)
    await kept.keeper._book.load()
    with pytest.raises(TaskError, match="Try again in a moment"):
        await kept.keeper.change(task, lambda each: replace(each, title="Mine"))
    assert other.all[task.name].task.title == f"Theirs {MAX_TRIES}"


class Contested(TaskBook):
    """Whoever puts something finds that somebody else was quicker."""

    def __init__(self, house: House, other: TaskBook) -> None:
        super().__init__(house.author)
        self._other, self._n = other, 0

    async def put(self, task: Task, old: object) -> object:  # type: ignore[override]
        self._n += 1
        theirs = replace(task, title=f"Theirs {self._n}")
        await self._other.put(theirs, self._other.all[task.name])
        return await super().put(task, old)  # type: ignore[arg-type]


async def test_a_change_that_changes_nothing_writes_nothing(house: House) -> None:
    kept = Kept(house)
    made = await kept.keeper.add(a_task(await house.group("unchanged")))
    assert await kept.keeper.change(made.task, lambda each: each) == made


async def test_the_51st_is_refused(house: House) -> None:
    """Attack: a thousand tasks from one group."""
    kept, group = Kept(house), await house.group("many")
    for _ in range(bounds.MAX_OF_A_GROUP):
        await kept.keeper.add(a_task(group))
    for _ in range(2):
        with pytest.raises(TaskError, match="at most 50 tasks"):
            await kept.keeper.add(a_task(group))
    last = kept.keeper.all(group)[-1].task
    await kept.keeper.change(last, lambda each: replace(each, status="done"))
    await kept.keeper.add(a_task(group))
    with pytest.raises(TaskError, match="at most 50 tasks"):
        await kept.keeper.change(last, lambda each: replace(each, status="active"))
    await kept.keeper.add(a_task(await house.group("another")))


async def test_what_was_done_long_ago_makes_room(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bounds, "MAX_DONE", 2)
    kept, group = Kept(house), await house.group("done")
    for number in range(4):
        old = replace(a_task(group), status="done", start=START + number)
        await kept.book.put(old, None)
    await kept.keeper.add(a_task(group))
    left = [planned.task.start for planned in kept.keeper.all(group)]
    assert left == [START, START + 2, START + 3]


async def test_a_run_besides_its_times_is_one_however_often_it_is_asked_for(house: House) -> None:
    kept = Kept(house)
    task = (await kept.keeper.add(a_task(await house.group("at once")))).task
    for once in ("a", "a", "b"):
        await kept.keeper.run_now(task, once)
    one, same, other = kept.performed
    assert one == same != other
    assert one.task == task.address(house.author.pubkey)
    kept.why = "20 of 20 runs"
    with pytest.raises(TaskError, match="It cannot run now: 20 of 20 runs"):
        await kept.keeper.run_now(task, "c")


async def test_found_by_id_or_title_and_in_ones_own_group_alone(house: House) -> None:
    kept = Kept(house)
    mine, other = await house.group("mine"), await house.group("theirs")
    plants = (await kept.keeper.add(a_task(mine, "Water the plants"))).task
    secret = (await kept.keeper.add(a_task(other, "A secret"))).task
    for word in (plants.id, plants.id[:8], plants.id[:4].upper(), "water  the PLANTS"):
        assert kept.keeper.find(word).task == plants
        assert kept.keeper.find(word, mine).task == plants
    # Attack: a task of that title, which the owner pauses or cancels in the place of the other.
    for title in (plants.id, plants.id[:8]):
        await kept.keeper.add(a_task(other, title))
        assert kept.keeper.find(title).task == plants
    # Attack: another conversation's task, told from one that is not there.
    said = set()
    for word in (secret.id, secret.id[:8], "A secret", "no task"):
        with pytest.raises(TaskError) as error:
            kept.keeper.find(word, mine)
        said.add(str(error.value).replace(repr(word), "X"))
    assert said == {"There is no task X."}
    with pytest.raises(TaskError, match=f"Did you mean {plants.id[:8]}"):
        kept.keeper.find("Water the plant", mine)
    again = (await kept.keeper.add(a_task(mine, "Water the plants"))).task
    with pytest.raises(TaskError, match="more than one") as error:
        kept.keeper.find("water the plants")
    assert plants.id[:8] in str(error.value)
    assert again.id[:8] in str(error.value)
