"""bot/operate/publisher.py: what the router says of the bot's own is believed by its signature."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from types import SimpleNamespace

import pytest

from bot.operate import publisher
from bot.operate.assembly import AssemblyError
from bot.operate.publisher import Outcome, Publisher
from nips import nip23
from nips.event import Event, Tag, Template
from nips.key import SecretKey
from nips.refusal import Malformed

BOT, ANN = (SecretKey(bytes([n]) * 32) for n in (1, 2))


@dataclass
class Router:
    """Answers everything with one event."""

    event: Event
    salt: str = ""

    @property
    def roles(self) -> SimpleNamespace:
        return SimpleNamespace(bot=BOT.public)

    async def ask(self, method: str, *params: str) -> str:
        return json.dumps({"event": self.event.to_json(), "relays": []})


def made(by: SecretKey, kind: int, content: str, *tags: Tag) -> Event:
    return Template(by.public, 1_000, kind, tags, content).sign(by, bytes(32))


DRAFT = made(BOT, 30_024, "Mine.", ("d", "trip"), ("title", "Trip"))
NOTE = made(ANN, 1, "Hi.")

Do = Callable[[Publisher], Awaitable[Outcome]]


@pytest.mark.parametrize(
    ("answer", "do", "error"),
    [
        # Attack: a router that was taken over has its own words published, as a draft of mine.
        (replace(DRAFT, content="Theirs."), lambda one: one.from_draft("trip"), Malformed),
        (
            made(ANN, 30_024, "Theirs.", ("d", "trip"), ("title", "Trip")),
            lambda one: one.from_draft("trip"),
            AssemblyError,
        ),
        (
            made(BOT, 30_024, "Another.", ("d", "other"), ("title", "Other")),
            lambda one: one.from_draft("trip"),
            AssemblyError,
        ),
        # And another event is liked than was meant.
        (NOTE, lambda one: one.reaction("ab" * 32, "+"), AssemblyError),
    ],
)
async def test_another_answer_than_was_asked_for_is_not_published(
    answer: Event, do: Do, error: type[Exception], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[Template] = []

    async def signed(there: object, template: Template) -> Event:
        asked.append(template)
        return template.sign(BOT, bytes(32))

    monkeypatch.setattr(publisher, "signed", signed)
    with pytest.raises(error):
        await do(Publisher(Router(answer)))  # type: ignore[arg-type]
    assert asked == []


async def test_a_draft_that_an_agent_wrote_last_is_published_by_its_version(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Attack: an agent keeps drafts without a question, under a name of its owner's too."""
    theirs = made(BOT, 30_024, "Theirs.", ("d", "trip"), ("title", "Trip"), ("job", "ab" * 32))
    with pytest.raises(AssemblyError, match=r"An agent wrote this draft last.*nevent1") as told:
        await Publisher(Router(theirs)).from_draft("trip")  # type: ignore[arg-type]
    version = str(told.value).split()[-1]
    brought: list[nip23.Article] = []

    async def bring_out(self: Publisher, given: nip23.Article, *, draft: bool) -> Outcome:
        brought.append(given)
        return Outcome("published", theirs)

    monkeypatch.setattr(Publisher, "_bring_out", bring_out)
    await Publisher(Router(theirs)).from_draft(version)  # type: ignore[arg-type]
    await Publisher(Router(DRAFT)).from_draft("trip")  # type: ignore[arg-type]
    assert [one.text for one in brought] == ["Theirs.", "Mine."]
