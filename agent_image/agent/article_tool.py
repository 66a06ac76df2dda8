"""Shell: the tool that publishes an article, or keeps a draft of one.

The docstrings and hints below are what a model is told (schema.py), so they speak to it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Annotated

from agent_image.agent import utterance
from agent_image.agent.asking import ASKED, NotDone
from agent_image.agent.job import Job
from agent_image.agent.public_events import PublicEvents
from agent_image.agent.speech import LONGEST_STEP_S, Speaker
from nips import nip23
from nips.event import Event
from nips.kinds import Kind
from nips.nip19 import encode_naddr
from nips.nip23 import Article
from nips.refusal import Malformed, Prefix, Refused


class ArticleTool:
    """call_key: names the call that is being carried out."""

    def __init__(
        self, job: Job, speaker: Speaker, events: PublicEvents, call_key: Callable[[], str]
    ) -> None:
        self._job, self._speaker, self._events, self._call_key = job, speaker, events, call_key

    async def publish_article(
        self,
        title: Annotated[str, "its title, on one line"] = "",
        text: Annotated[
            str, "the whole article, in Markdown, without the title; if empty, the slug's draft's"
        ] = "",
        summary: Annotated[str, "one or two sentences about it, if any"] = "",
        image: Annotated[str, "https address of a picture to show with it, if any"] = "",
        slug: Annotated[
            str, "its lasting name, as my-trip; made of the title if empty; the same is an edit"
        ] = "",
        tags: Annotated[str, "topics, apart by spaces, if any"] = "",
        draft: Annotated[bool, "only keep it for the owner to read; nobody is asked"] = False,
    ) -> str:
        """Publish an article for everybody (kind 30023), or a new version of one. The owner is
        asked first."""
        name = slug or nip23.slug_of(title)
        if not name:
            raise NotDone("no slug can be made of this title: give one")
        given = Article(name, title, text, None, summary, image, nip23.topics_of(tags))
        kept = None
        if not text:
            kept = await self._version(Kind.DRAFT, name)
            given = _filled(given, kept)
        article = _checked(given)
        published = await self._version(Kind.ARTICLE, name)
        before = published
        if draft:
            before = kept or await self._version(Kind.DRAFT, name)
        now_s = self._speaker.created_at()
        first_s = now_s if not draft else None
        if published is not None:
            first_s = nip23.parse(published).published_at
        if before is not None:
            # Two versions in one second tie, and the lower id wins.
            now_s = max(now_s, min(before.created_at, now_s + LONGEST_STEP_S) + 1)
        return await self._publish(
            replace(article, published_at=first_s), now_s, draft=draft, again=before is not None
        )

    async def _publish(self, article: Article, at_s: int, *, draft: bool, again: bool) -> str:
        more = utterance.marks(self._job, self._call_key())
        template = nip23.template(article, self._job.bot, at_s, more, draft=draft)
        address = f"nostr:{encode_naddr(article.slug, self._job.bot, template.kind, ())}"
        what = f"the {'draft' if draft else 'article'}"
        what = f"a new version of {what}" if again else what
        try:
            event = await self._speaker.publish(template)
        except Refused as error:
            if error.refusal.prefix is Prefix.PENDING:
                return f"{ASKED} Then {what} is at {address}"
            raise
        done = "kept for the owner alone" if draft else "published"
        return f"signed and {done}, {what} {event.tag('d')}, id {event.id}, at {address}"

    async def _version(self, kind: Kind, slug: str) -> Event | None:
        found = await self._events.own(f"{int(kind)}:{self._job.bot}:{slug}")
        if found is not None and (found.kind != kind or found.tag("d") != slug):
            raise NotDone("another event was found than was asked for")
        return found


def _filled(given: Article, kept: Event | None) -> Article:
    """The draft, with whatever of it is given otherwise."""
    if kept is None:
        raise NotDone(f"there is no draft called {given.slug}: give the text")
    draft = nip23.parse(kept)
    return Article(
        given.slug,
        given.title or draft.title,
        draft.text,
        None,
        given.summary or draft.summary,
        given.image or draft.image,
        given.topics or draft.topics,
    )


def _checked(article: Article) -> Article:
    try:
        return nip23.checked(article)
    except Malformed as error:
        raise NotDone(str(error)) from error
