"""Pure: long-form articles in Markdown, kind 30023, and their drafts, 30024. Source: NIP-23.

An article's name (`d`, here the slug) stays when it is edited, and so does `published_at`: the new
event takes the old one's place.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass

from nips.event import Event, Tags, Template
from nips.kinds import Kind
from nips.refusal import Malformed

MAX_TITLE_CHARS = 200
MAX_SUMMARY_CHARS = 1_000
MAX_IMAGE_CHARS = 2_000
MAX_SLUG_CHARS = 80
MAX_TOPICS = 20
MAX_TOPIC_CHARS = 64
MAX_TEXT_BYTES = 60_000
SLUG = re.compile(r"[a-z0-9]+(?:-[a-z0-9]+)*")
_SECONDS = re.compile(r"[0-9]{1,11}")


@dataclass(frozen=True, slots=True)
class Article:
    """slug: its name among its author's. text: Markdown. published_at: unix seconds of the first
    version; None for a draft of what was not published yet. summary, image (an https address) and
    topics may be empty."""

    slug: str
    title: str
    text: str
    published_at: int | None
    summary: str = ""
    image: str = ""
    topics: tuple[str, ...] = ()


def slug_of(title: str) -> str:
    """A name made of a title: ASCII letters and digits, hyphens between; "" where it has none."""
    plain = unicodedata.normalize("NFKD", title).encode("ascii", "ignore").decode().lower()
    return re.sub(r"[^a-z0-9]+", "-", plain)[:MAX_SLUG_CHARS].strip("-")


def topics_of(words: str) -> tuple[str, ...]:
    """The topics in a row of words, `#` before them or not, each once, in lower case (NIP-24)."""
    found = (word.lstrip("#").lower() for word in re.split(r"[\s,]+", words))
    return tuple(dict.fromkeys(word for word in found if word))


def checked(article: Article) -> Article:
    """The same article. Raises Malformed, in words, for what cannot be one."""
    if len(article.slug) > MAX_SLUG_CHARS or not SLUG.fullmatch(article.slug):
        raise Malformed(
            f"a slug has 1 to {MAX_SLUG_CHARS} of a-z and 0-9, with single hyphens between"
        )
    for name, value, least, most in (
        ("title", article.title, 1, MAX_TITLE_CHARS),
        ("summary", article.summary, 0, MAX_SUMMARY_CHARS),
    ):
        if not least <= len(value) <= most or not all(c.isprintable() for c in value):
            raise Malformed(f"a {name} has {least} to {most} characters, on one line")
    if article.image and not _is_address(article.image):
        raise Malformed(f"an image is an https address of at most {MAX_IMAGE_CHARS} characters")
    if len(article.topics) > MAX_TOPICS or not all(map(_is_topic, article.topics)):
        raise Malformed(f"at most {MAX_TOPICS} tags, each a word of up to {MAX_TOPIC_CHARS}")
    n_bytes = len(article.text.encode())
    if not article.text.strip() or n_bytes > MAX_TEXT_BYTES:
        raise Malformed(f"an article has 1 to {MAX_TEXT_BYTES} bytes, and this has {n_bytes}")
    return article


def template(
    article: Article, author: str, created_at: int, more: Tags = (), *, draft: bool = False
) -> Template:
    """The unsigned event of `author` (hex). more: further tags. Raises Malformed."""
    checked(article)
    tags: list[tuple[str, ...]] = [("d", article.slug), ("title", article.title)]
    tags += [("summary", article.summary)] if article.summary else []
    tags += [("image", article.image)] if article.image else []
    # NIP-23: "`published_at`, for the timestamp in unix seconds (stringified)"
    tags += [] if article.published_at is None else [("published_at", str(article.published_at))]
    tags += [("t", topic) for topic in article.topics]
    kind = Kind.DRAFT if draft else Kind.ARTICLE  # NIP-23: "same format as `kind:30023`"
    return Template(author, created_at, kind, (*tags, *more), article.text)


def parse(event: Event | Template) -> Article:
    """Read an article or a draft of anybody's. Where an article has no `published_at` it is the
    event's own time.

    Raises Malformed for another kind, or without a name.
    """
    slug = event.tag("d")
    if event.kind not in (Kind.ARTICLE, Kind.DRAFT) or slug is None:
        raise Malformed(f"an article has kind {int(Kind.ARTICLE)} and a d tag")
    published = event.tag("published_at") or ""
    unknown = event.created_at if event.kind == Kind.ARTICLE else None
    return Article(
        slug,
        event.tag("title") or "",
        event.content,
        int(published) if _SECONDS.fullmatch(published) else unknown,
        event.tag("summary") or "",
        event.tag("image") or "",
        tuple(event.values("t")),
    )


def _is_address(text: str) -> bool:
    # Only what clients fetch anyway; never a file: or data: address.
    is_plain = text.isascii() and text.isprintable() and " " not in text
    return is_plain and len(text) <= MAX_IMAGE_CHARS and re.match(r"https://[^/]", text) is not None


def _is_topic(text: str) -> bool:
    return 1 <= len(text) <= MAX_TOPIC_CHARS and all(c.isprintable() and c != " " for c in text)
