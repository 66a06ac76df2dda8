"""Shell: the tool that publishes an article.

The docstrings and hints below are what a model is told (schema.py), so they speak to it.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Annotated

from agent_image.agent import utterance
from agent_image.agent.asking import ASKED, Asking, NotDone
from agent_image.agent.job import Job
from agent_image.agent.speech import LONGEST_STEP_S, Speaker
from nips import nip23
from nips.kinds import Kind
from nips.nip19 import encode_naddr
from nips.nip23 import Article
from nips.refusal import Malformed, Prefix, Refused


@dataclass(frozen=True, slots=True)
class _Stored:
    """When an article came out first, and its version that is there: unix seconds."""

    published_at: int
    created_at: int


class ArticleTool:
    """call_key: names the call that is being carried out."""

    def __init__(
        self, job: Job, speaker: Speaker, asking: Asking, call_key: Callable[[], str]
    ) -> None:
        self._job, self._speaker, self._asking, self._call_key = job, speaker, asking, call_key

    async def publish_article(
        self,
        title: Annotated[str, "its title, on one line"],
        text: Annotated[str, "the whole article, in Markdown, without the title"],
        summary: Annotated[str, "one or two sentences about it, if any"] = "",
        image: Annotated[str, "https address of a picture to show with it, if any"] = "",
        slug: Annotated[
            str, "its lasting name, as my-trip; made of the title if empty; the same is an edit"
        ] = "",
        tags: Annotated[str, "topics, apart by spaces, if any"] = "",
    ) -> str:
        """Publish an article for everybody (kind 30023), or a new version of one. The owner is
        asked first."""
        name = slug or nip23.slug_of(title)
        if not name:
            raise NotDone("no slug can be made of this title: give one")
        now_s = self._speaker.created_at()
        topics = nip23.topics_of(tags)
        try:
            article = nip23.checked(Article(name, title, text, now_s, summary, image, topics))
        except Malformed as error:
            raise NotDone(str(error)) from error
        before = await self._stored(name)
        if before is not None:
            article = replace(article, published_at=before.published_at)
            # Two versions in one second tie, and the lower id wins.
            now_s = max(now_s, min(before.created_at, now_s + LONGEST_STEP_S) + 1)
        template = utterance.article(self._job, article, self._call_key(), now_s)
        address = f"nostr:{encode_naddr(name, self._job.bot, Kind.ARTICLE, ())}"
        what = "a new version of the article" if before is not None else "the article"
        try:
            event = await self._speaker.publish(template)
        except Refused as error:
            if error.refusal.prefix is Prefix.PENDING:
                return f"{ASKED} Then {what} is at {address}"
            raise
        return f"signed and published, {what} {event.tag('d')}, id {event.id}, at {address}"

    async def _stored(self, slug: str) -> _Stored | None:
        # The router's answer is asked for under the call's own key: an attempt after this one asks
        # again, for by then there may be an article.
        key = f"{self._call_key()} find"
        answer = await self._asking.ask(self._job, key, "find_article", slug)
        try:
            match json.loads(answer):
                case {"published_at": int(published_at), "created_at": int(created_at)}:
                    return _Stored(published_at, created_at)
        except ValueError as error:
            raise NotDone("the router's answer was not understood") from error
        return None
