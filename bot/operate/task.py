"""Shell: `nostrclaw task …`: scheduled tasks, at the terminal."""

from __future__ import annotations

from typing import Annotated

import typer

from bot.operate.terminal import Json, fail
from nips.refusal import Malformed

app = typer.Typer(help="Scheduled tasks: when they run.", no_args_is_help=True)


@app.callback()
def task() -> None:
    """Scheduled tasks: when they run."""


@app.command()
def preview(
    when: Annotated[
        list[str],
        typer.Argument(help='Such as "0 16 * * 1-5", @daily, every 15m, 2026-12-24T18:00.'),
    ],
    tz: Annotated[
        str | None, typer.Option("--tz", help="The time zone, such as Europe/Berlin; else yours.")
    ] = None,
    since: Annotated[
        str | None, typer.Option("--from", help="As if it were then: 2026-12-24T18:00.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Show the next ten times at which something would run."""
    from bot.operate import preview as command

    try:
        command.preview(" ".join(when), tz, since, as_json=as_json)
    except Malformed as error:
        fail(str(error), 2)
