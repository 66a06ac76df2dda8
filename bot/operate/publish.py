"""Shell: `nostrclaw publish …`: what the assistant says in public, from this machine."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bot.operate.terminal import Data, Json, default_data, explained, fail

if TYPE_CHECKING:
    from bot.operate.publisher import Outcome, Publisher

app = typer.Typer(help="Publish as the assistant; takes back what is out.", no_args_is_help=True)

STDIN = "-"
MAX_FILE_BYTES = 1 << 20
File = Annotated[str, typer.Argument(help="A file of text, or - for what comes on stdin.")]
On = Annotated[str, typer.Argument(help="nevent1…, naddr1…, note1…, an id, or one of its slugs.")]
Again = Annotated[
    bool, typer.Option("--again", help="The same words once more, as a new publication.")
]


@app.command()
def note(file: File, again: Again = False, data: Data = default_data(), json: Json = False) -> None:
    """A short note (kind 1)."""
    text = text_of(file)
    _run(data, json, again, lambda publisher: publisher.note(text))


@app.command()
def article(
    file: Annotated[
        str | None, typer.Argument(help="A Markdown file, or - for what comes on stdin.")
    ] = None,
    title: Annotated[
        str | None, typer.Option(help="Its title; else as the file says, or its first heading.")
    ] = None,
    slug: Annotated[
        str | None, typer.Option(help="Its lasting name: the same again is a new version.")
    ] = None,
    summary: Annotated[str | None, typer.Option(help="A sentence or two about it.")] = None,
    image: Annotated[str | None, typer.Option(help="An https address of a picture.")] = None,
    tag: Annotated[list[str] | None, typer.Option(help="A topic; may be repeated.")] = None,
    draft: Annotated[
        bool, typer.Option("--draft", help="Keep it on the private relay, sent to nobody.")
    ] = False,
    from_draft: Annotated[
        str | None,
        typer.Option(
            metavar="DRAFT", help="Publish a draft, by its slug or an nevent1…, instead of a file."
        ),
    ] = None,
    again: Again = False,
    data: Data = default_data(),
    json: Json = False,
) -> None:
    """An article in Markdown (kind 30023), or a new version of one."""
    from bot.operate import manuscript

    given = {"title": title, "slug": slug, "summary": summary, "image": image}
    given["tags"] = " ".join(tag) if tag else None
    options = {name: value for name, value in given.items() if value is not None}
    if (file is None) == (from_draft is None):
        fail("say which: a file, or --from-draft DRAFT", 2)
    if from_draft is not None:
        if options or draft:
            fail("--from-draft publishes the draft as it is; change that first, with --draft", 2)
        _run(data, json, again, lambda publisher: publisher.from_draft(from_draft))
        return
    with _in_words():
        read = manuscript.read(text_of(file or STDIN))
    _run(data, json, again, lambda publisher: publisher.article(read, options, draft=draft))


@app.command()
def comment(
    on: On, file: File, again: Again = False, data: Data = default_data(), json: Json = False
) -> None:
    """A comment on an article, or on anything but a note (kind 1111)."""
    text = text_of(file)
    _run(data, json, again, lambda publisher: publisher.comment(on, text))


@app.command()
def reply(
    to: On, file: File, again: Again = False, data: Data = default_data(), json: Json = False
) -> None:
    """An answer to a note (kind 1)."""
    text = text_of(file)
    _run(data, json, again, lambda publisher: publisher.reply(to, text))


@app.command()
def reaction(
    on: On,
    sign: Annotated[str, typer.Argument(help="+, - or an emoji.")],
    again: Again = False,
    data: Data = default_data(),
    json: Json = False,
) -> None:
    """A reaction (kind 7)."""
    _run(data, json, again, lambda publisher: publisher.reaction(on, sign))


@app.command()
def retract(
    what: Annotated[str, typer.Argument(help="What to take back: a slug, a link, an id.")],
    data: Data = default_data(),
    json: Json = False,
) -> None:
    """Ask all relays to delete what was published (kind 5), once the owner says yes."""
    from bot.operate.waiting_for_owner import Waiting

    with Waiting() as waiting:
        _run(data, json, False, lambda publisher: publisher.retract(what, waiting.asked))


def text_of(file: str) -> str:
    """What a file holds, or stdin; ends the program with a sentence where that is no text."""
    named = "stdin" if file == STDIN else file
    try:
        raw = (
            sys.stdin.buffer.read(MAX_FILE_BYTES + 1)
            if file == STDIN
            else _beginning_of(Path(file).expanduser())
        )
    except FileNotFoundError:
        fail(f"There is no file {file}.", 2)
    except OSError as error:
        fail(f"{file} cannot be read: {error.strerror}.", 2)
    if len(raw) > MAX_FILE_BYTES:
        fail(f"{named} is too long: more than {MAX_FILE_BYTES:,} bytes.", 2)
    try:
        text = raw.decode()
    except UnicodeDecodeError:
        fail(f"{named} is no text in UTF-8.", 2)
    if not text.strip():
        fail(f"{named} is empty: there is nothing to publish.", 2)
    return text


def _beginning_of(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(MAX_FILE_BYTES + 1)


def _run(
    data: Path, as_json: bool, again: bool, do: Callable[[Publisher], Awaitable[Outcome]]
) -> None:
    from bot.operate.assembly import installation
    from bot.operate.console import console
    from bot.operate.publisher import Publisher

    async def run() -> Outcome:
        async with console(installation(data)) as there:
            return await do(Publisher(there, again=again))

    with explained(), _in_words():
        outcome = asyncio.run(run())
    _tell(outcome, as_json=as_json)


@contextmanager
def _in_words() -> Iterator[None]:
    from nips.refusal import Malformed

    try:
        yield
    except Malformed as error:
        fail(f"{str(error)[:1].upper()}{str(error)[1:]}.", 2)


def _tell(outcome: Outcome, *, as_json: bool) -> None:
    from bot.commands.facts import as_data
    from bot.commands.published import facts_of
    from bot.engine.output import harmless
    from bot.operate.publisher import ALREADY, KEPT, PUBLISHED, RETRACTED
    from bot.publication import Publication
    from nips.own.delivery import Delivery

    event = outcome.event
    facts = facts_of(Publication(event, Delivery(event.id, relays=outcome.relays)))
    if as_json:
        said = {"state": outcome.state, **as_data(facts)}
        sys.stdout.write(json.dumps(said, ensure_ascii=False) + "\n")
        return
    begins, ends = {
        PUBLISHED: (
            "Published", "Your assistant brings it to the public relays: nostrclaw published"
        ),
        ALREADY: ("Already published" if not facts.draft else "Kept as a draft already", ""),
        KEPT: (
            "Kept as a draft, on your private relay alone",
            f"To publish it: nostrclaw publish article --from-draft {facts.slug}",
        ),
        RETRACTED: ("Retracted", "Relays that have it are asked to delete it."),
    }[outcome.state]  # fmt: skip
    lines = [f"{begins}: {facts.what} “{facts.words}”", facts.link, *([ends] if ends else [])]
    sys.stdout.write(harmless("\n".join(lines)) + "\n")
