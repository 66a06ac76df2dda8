"""Pure: a change to a program as an event, kind 1617. Source: NIP-34 "Patches".

The content is a patch as `git diff` writes it. Which changes it makes, and whether it may make
them, is for whoever applies it to say.
"""

from __future__ import annotations

from dataclasses import dataclass

from nips.event import Event, Tags, Template
from nips.kinds import Kind
from nips.own.fields import hex32, of_kind, only_tag
from nips.refusal import Malformed

MAX_TITLE_CHARS = 200
MAX_PATCH_BYTES = 60_000
REPOSITORY = "nostrclaw"  # the name (`d`) under which the 30617 of this program would stand


@dataclass(frozen=True, slots=True)
class Patch:
    """A change that somebody proposes. group: in which; job: that it came of."""

    id: str
    author: str
    group: str
    job: str
    created_at: int
    title: str
    text: str


def checked(title: str, text: str) -> None:
    """Raise Malformed for what cannot be proposed."""
    if not 1 <= len(title) <= MAX_TITLE_CHARS or not all(c.isprintable() for c in title):
        raise Malformed(f"a title has 1 to {MAX_TITLE_CHARS} characters, on one line")
    n_bytes = len(text.encode(errors="replace"))
    if not text.strip() or n_bytes > MAX_PATCH_BYTES:
        raise Malformed(f"a patch has 1 to {MAX_PATCH_BYTES} bytes, and this has {n_bytes}")


def template(
    author: str, group: str, job: str, title: str, text: str, created_at: int, more: Tags = ()
) -> Template:
    """The unsigned event of `author` (hex) in a group. Raises Malformed."""
    checked(title, text)
    tags: Tags = (
        ("h", group),
        ("job", job),
        # NIP-34: `["a", "30617:<base-repo-owner-pubkey>:<base-repo-id>"]`
        ("a", f"30617:{author}:{REPOSITORY}"),
        ("t", "root"),
        ("subject", title),
        ("alt", "A change to the program is proposed"),
    )
    return Template(author, created_at, Kind.PATCH, (*tags, *more), text)


def parse(event: Event, author: str, group: str) -> Patch:
    """Read a change that `author` (hex) put into a group. The relay is transport, not authority:
    id and signature are checked here. Raises Malformed."""
    what = "patch"
    of_kind(what, event, Kind.PATCH)
    if event.pubkey != author:
        raise Malformed("patch: by somebody else")
    event.verify()
    if only_tag(what, event, "h") != group:
        raise Malformed("patch: in another group")
    title = only_tag(what, event, "subject")
    checked(title, event.content)
    job = hex32("patch: job", only_tag(what, event, "job"))
    return Patch(event.id, event.pubkey, group, job, event.created_at, title, event.content)
