"""A scheduler as a process, to be killed: it makes jobs, and nobody does them.

python -m tests.unit.bot.scheduler_process DATA
"""

from __future__ import annotations

import asyncio
import random
import sys
import time
from pathlib import Path

import structlog

from bot.alarm import Alarm
from bot.author import Author
from bot.directory import Directory
from bot.intake import Intake
from bot.jobs import Job
from bot.open_job import Open
from bot.operate import assembly
from bot.scheduler import Doing, Scheduler
from bot.task_book import TaskBook
from config.roles import load, read_key
from nips.own.task_run import TaskRun
from relay_local.client import connect

LONGEST_PAUSE_S = 0.05  # between a claim and its job, that a kill may come there


class NoLine:
    """Jobs are made, and lie there."""

    def last_open(self, group: str, not_before: int | None) -> Open | None:
        return None

    def find(self, job: str) -> Open | None:
        return None

    def take(self, job: Job) -> None:
        pass

    async def resolve(self, job: Job) -> None:
        pass

    def show(self, group: str, messages: tuple[str, ...], sign: str) -> None:
        pass


async def main(data: Path) -> None:
    place = assembly.installation(data)
    roles, key = load(place.roles_file), read_key(place.key("router"))
    async with connect(place.relay_address, [key]) as link:
        author = Author(link, key)
        directory, book = Directory(author), TaskBook(author)
        await directory.load()
        await book.load()
        intake = Intake(author, roles, NoLine())

        async def perform(group: str, run: TaskRun, *_: object) -> None:
            await asyncio.sleep(random.uniform(0, LONGEST_PAUSE_S))
            await intake.perform(group, run)

        async def tell(_group: str) -> None:
            raise AssertionError("nothing is over a budget")

        doing = Doing(perform, directory.group, lambda _group: None, tell, frozenset)
        print("scheduler: ready", flush=True)
        await Scheduler(author, roles, book, doing, Alarm(), time.time).run()


if __name__ == "__main__":
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))
    asyncio.run(main(Path(sys.argv[1])))
