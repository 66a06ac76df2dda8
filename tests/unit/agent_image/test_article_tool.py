"""agent_image/agent/article_tool.py: the program against a real relay, a real signer and the
router's own methods: an article after the owner's yes, edited under its name."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from agent_image.agent.asking import Asking
from agent_image.agent.backends import Call
from agent_image.agent.speech import Speaker
from agent_image.agent.tools import Toolbox
from bot.author import Author
from bot.jobs import Job
from bot.requests.callers import Session
from bot.requests.methods import Method, table
from bot.requests.published_requests import PublishedRequests
from bot.requests.reception import Reception
from nips.event import Event
from nips.filter import Filter
from nips.nip19 import Naddr, decode
from relay_local.client import Caller, Delivery, Link
from tests.unit.agent_image.stage import Stage, a_stage

KINDS = (9, 30_023, 30_024)


@pytest.fixture(scope="module")
async def stage() -> AsyncIterator[Stage]:
    async with a_stage() as made:
        yield made


@asynccontextmanager
async def a_router(stage: Stage, *, is_main: bool = True) -> AsyncIterator[None]:
    """The router's answer to where an article stands, for whoever asks."""
    handler = PublishedRequests(Author(stage.link, stage.router), stage.roles).find_published
    methods = table([Method(handler.__name__, (Session,), handler)])
    job = Job("a" * 64, stage.group, ("b" * 64,), 0)
    reception = Reception(stage.link, stage.router, lambda key: Session(key, job, is_main), methods)
    serving = asyncio.create_task(reception.serve())
    await asyncio.wait_for(reception.ready.wait(), 20)
    try:
        yield
    finally:
        serving.cancel()
        await asyncio.gather(serving, return_exceptions=True)


async def approved(stage: Stage, title: str) -> Event:
    """The owner says yes to the question about this title; the article, once it is there."""
    await stage.approve(title)
    async with (
        asyncio.timeout(30),
        stage.link.subscribe([Filter(kinds=frozenset({30_023}))]) as stream,
    ):
        async for item in stream:
            if isinstance(item, Delivery) and item.event.tag("title") == title:
                return item.event
    raise AssertionError("the subscription ended")


async def drafted(stage: Stage, text: str) -> list[Event]:
    """What the agent says of a draft with this text, and the draft."""
    said = await stage.answers(f"/draft On bitterns\n{text}", kinds=KINDS)
    return sorted(said, key=lambda event: event.kind)


async def kept(stage: Stage, kind: int) -> list[Event]:
    return await stage.link.fetch([Filter(kinds=frozenset({kind}))])


async def test_an_article_is_published_after_the_owners_yes_and_keeps_its_first_date(
    stage: Stage,
) -> None:
    async with a_router(stage):
        (reply,) = await stage.answers("/article Why herons wait\n# Why\nIt *works*.", kinds=KINDS)
        assert reply.content.startswith("I asked the owner: ")
        address = re.search(r"nostr:(naddr1\w+)", reply.content)
        assert address
        assert decode(address[1]) == Naddr("why-herons-wait", stage.roles.bot, 30_023)
        assert await stage.link.fetch([Filter(kinds=frozenset({30_023}))]) == []
        first = await approved(stage, "Why herons wait")
        first.verify()
        assert first.content == "# Why\nIt *works*."
        assert first.values("d") == ["why-herons-wait"]
        assert first.values("published_at") == [str(first.created_at)]
        (reply,) = await stage.answers("/article Why, herons, wait\nMore.", kinds=KINDS)
        assert "a new version of the article" in reply.content
        second = await approved(stage, "Why, herons, wait")
        assert second.values("d") == first.values("d")
        assert second.values("published_at") == first.values("published_at")
        assert second.created_at > first.created_at
        (kept,) = await stage.link.fetch([Filter(kinds=frozenset({30_023}))])
        assert kept == second


async def test_a_draft_is_asked_about_by_nobody_and_published_as_it_is(stage: Stage) -> None:
    async with a_router(stage):
        n_asked = len(await kept(stage, 46_010))
        reply, draft = await drafted(stage, "They *boom*.")
        assert (draft.kind, draft.content) == (30_024, "They *boom*.")
        assert draft.values("d") == ["on-bitterns"]
        assert draft.values("published_at") == []
        assert "kept for the owner alone, the draft on-bitterns" in reply.content
        reply, again = await drafted(stage, "They boom.")
        assert "a new version of the draft" in reply.content
        assert again.created_at > draft.created_at
        assert await kept(stage, 30_024) == [again]
        assert len(await kept(stage, 46_010)) == n_asked
        (reply,) = await stage.answers("/publish on-bitterns", kinds=KINDS)
        assert reply.content.startswith("I asked the owner: ")
        article = await approved(stage, "On bitterns")
        assert (article.content, article.tag("d")) == ("They boom.", "on-bitterns")
        assert article.values("published_at") == [str(article.created_at)]
        # A draft of what is published keeps its date, and the article stays what it is.
        _, later = await drafted(stage, "Still.")
        assert later.values("published_at") == article.values("published_at")
        assert article in await kept(stage, 30_023)
        (reply,) = await stage.answers("/publish nothing-here", kinds=KINDS)
        assert reply.content == (
            "That did not work: there is no draft called nothing-here: give the text."
        )


async def test_a_session_without_the_kind_publishes_none(stage: Stage) -> None:
    async with a_router(stage):
        (reply,) = await stage.answers("/article Not mine\nto publish", kinds=(9,))
    assert reply.content.startswith("The signer refused: ")


async def test_another_groups_agent_is_told_nothing_of_what_was_published(stage: Stage) -> None:
    async with a_router(stage, is_main=False):
        (reply,) = await stage.answers("/article Why herons wait\nx", kinds=KINDS)
    assert reply.content == (
        "That did not work: what the assistant publishes is the owner's own conversation's only."
    )


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"title": "日本語", "text": "x"}, "no slug can be made"),
        ({"title": "two\nlines", "text": "x"}, "a title has 1 to 200 characters"),
        ({"title": "x", "text": " "}, "an article has 1 to 60000 bytes"),
        ({"title": "x", "text": "é" * 40_000}, "an article has 1 to 60000 bytes"),
        ({"title": "x", "text": "x", "image": "file:///etc/passwd"}, "an image is an https"),
        ({"title": "x", "text": "x", "slug": "../x"}, "a slug has 1 to 80"),
        ({"title": "x", "text": "x", "tags": " ".join(map(str, range(21)))}, "at most 20 tags"),
    ],
)
async def test_what_is_no_article_is_answered_without_asking_anybody(
    scene: Any, tmp_path: Path, arguments: dict[str, str], sentence: str
) -> None:
    nowhere = Link("unix:/nowhere", [], None)
    toolbox = Toolbox(
        scene.job(scene.message("hello")),
        Speaker(Caller(nowhere, scene.session, scene.signer.public), time.time, 60.0),
        Asking(Caller(nowhere, scene.session, scene.router.public)),
        tmp_path,
    )
    answer = await toolbox.execute(Call("publish_article", arguments))
    assert not answer.ok
    assert sentence in answer.text
