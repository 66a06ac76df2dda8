"""A group, its people and their events, signed with fixed keys: values for the tables here."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import pytest

from agent_image.agent.job import Job, read_attempt, read_job, read_request
from nips.event import Event, Tag, Template
from nips.key import SecretKey
from nips.own import job

GROUP = "6f9619ff-8b86-4d01-b42d-00cf4fc964ff"
NOW = 1_800_000_000


def key(number: int) -> SecretKey:
    return SecretKey(number.to_bytes(32, "big"))


@dataclass
class Scene:
    """The events of one job and the keys that sign them."""

    router: SecretKey = field(default_factory=lambda: key(1))
    bot: SecretKey = field(default_factory=lambda: key(2))
    signer: SecretKey = field(default_factory=lambda: key(3))
    session: SecretKey = field(default_factory=lambda: key(4))
    person: SecretKey = field(default_factory=lambda: key(5))
    group: str = GROUP
    now: int = NOW

    def sign(
        self, author: SecretKey, kind: int, *tags: Tag, content: str = "", at: int = 0
    ) -> Event:
        return Template(author.public, self.now + at, kind, tags, content).sign(author, bytes(32))

    def message(self, text: str, *, at: int = 0, group: str | None = None, kind: int = 9) -> Event:
        return self.sign(self.person, kind, ("h", group or self.group), content=text, at=at)

    def request(self, message: Event, *, author: SecretKey | None = None) -> Event:
        router = author or self.router
        return job.request(router.public, self.group, message.id, self.bot.public, self.now).sign(
            router, bytes(32)
        )

    def attempt(self, request: Event) -> Event:
        return job.attempt(
            self.router.public, self.group, request.id, 1, self.session.public, self.now
        ).sign(self.router, bytes(32))

    def job(self, asked: Event, *others: Event) -> Job:
        started = self.attempt(request := self.request(asked))
        read = read_request(request, started, read_attempt(started, self.session.public))
        return read_job(read, [asked, *others])


@pytest.fixture
def scene() -> Scene:
    return Scene()


@pytest.fixture
def clock() -> Callable[[], float]:
    return lambda: float(NOW)
