"""Pure: a file's text as an article: what stands above it, its title, its Markdown.

    ---
    title: My trip
    slug: my-trip
    summary: Three days by boat.
    image: https://example.com/boat.png
    tags: travel, boats
    ---
    The text.

What is said beside the file (options) counts more than what stands in it. Without either the title
is the first heading; where that is the first line it is not repeated in the text.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from nips import nip23
from nips.nip23 import Article
from nips.refusal import Malformed

FIELDS = ("title", "slug", "summary", "image", "tags")
_FENCE = "---"
_FIELD = re.compile(r"([A-Za-z][A-Za-z_-]*)\s*:(?:\s+(.*))?")
_HEADING = re.compile(r"#[ \t]+(.+?)[ \t]*#*[ \t]*")
_CODE = re.compile(r" {0,3}(```+|~~~+)")


@dataclass(frozen=True, slots=True)
class Manuscript:
    """fields: what stands above the text, by the names of `FIELDS`. text: Markdown."""

    fields: Mapping[str, str]
    text: str


def read(text: str) -> Manuscript:
    """A file's text in its two parts. Raises Malformed for a line above it that is no field."""
    lines = text.removeprefix("\ufeff").replace("\r\n", "\n").split("\n")
    end = _end_of_fields(lines)
    if end is None:
        return Manuscript({}, "\n".join(lines).strip("\n"))
    fields: dict[str, str] = {}
    for number, line in enumerate(lines[1:end], 2):
        if not line.strip():
            continue
        found = _FIELD.fullmatch(line.strip())
        name = found[1].lower() if found else ""
        # Better than to publish for good what the author believes to have said otherwise.
        if found is None or name not in FIELDS or name in fields:
            raise Malformed(
                f"line {number}, above the text between ---, is no line that begins with one of "
                f"{', '.join(f'{name}:' for name in FIELDS)}, each once"
            )
        fields[name] = _plain(found[2] or "")
    return Manuscript(fields, "\n".join(lines[end + 1 :]).strip("\n"))


def article(manuscript: Manuscript, options: Mapping[str, str]) -> Article:
    """The article that is meant, without its `published_at`. options: as `FIELDS`, where one was
    said. Raises Malformed."""
    said = {**manuscript.fields, **options}
    text, heading = manuscript.text, first_heading(manuscript.text)
    title = said.get("title") or (heading or "")
    if not title:
        raise Malformed(
            "an article needs a title: a line `# Title`, `title: …` between --- lines, or --title"
        )
    first, _, rest = text.partition("\n")
    if title == heading and _heading(first) == heading:
        text = rest.strip("\n")
    slug = said.get("slug") or nip23.slug_of(title)
    if not slug:
        raise Malformed("no slug can be made of this title; give one with --slug")
    return nip23.checked(
        Article(
            slug,
            title,
            text,
            None,
            said.get("summary", ""),
            said.get("image", ""),
            nip23.topics_of(said.get("tags", "")),
        )
    )


def first_heading(text: str) -> str | None:
    """The first `# heading` that is not inside a block of code."""
    fence = ""
    for line in text.split("\n"):
        if found := _CODE.match(line):
            mark = found[1]
            if not fence:
                fence = mark
            elif mark.startswith(fence):
                fence = ""
        elif not fence and (heading := _heading(line)):
            return heading
    return None


def _heading(line: str) -> str | None:
    found = _HEADING.fullmatch(line)
    return found[1] if found else None


def _end_of_fields(lines: list[str]) -> int | None:
    """The line that ends what stands above the text; None where nothing does: a file may begin
    with a line of its own."""
    if lines[0].rstrip() != _FENCE or len(lines) < 2 or not _FIELD.fullmatch(lines[1].strip()):
        return None
    return next((n for n, line in enumerate(lines[1:], 1) if line.rstrip() == _FENCE), None)


def _plain(value: str) -> str:
    """Without the marks that other programs put around a value, or around a list."""
    value = value.strip()
    if value[:1] == "[" and value[-1:] == "]":
        value = " ".join(part.strip().strip("\"'") for part in value[1:-1].split(","))
    if len(value) > 1 and value[0] == value[-1] and value[0] in "\"'":
        value = value[1:-1]
    return value
