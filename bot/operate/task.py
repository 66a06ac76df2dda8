"""Shell: `nostrclaw task …`: scheduled tasks, at the terminal.

What changes something is the owner's command of the same name (`/task …`), put together here.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from bot.operate.groups import quoted
from bot.operate.terminal import Data, Json, default_data, explained, fail
from nips.refusal import Malformed

app = typer.Typer(
    help="Scheduled tasks: make, show, change, run them; when they run.", no_args_is_help=True
)

WHEN_HELP = (
    'Such as "0 16 * * 1-5", @daily, "every 15m", "in 20m", 2026-12-24T18:00, "on mention", '
    '"on call".'
)
Named = Annotated[str, typer.Argument(help="A task's id, the beginning of it, or its title.")]
Title = Annotated[str | None, typer.Option(help="What people call it.")]
Zone = Annotated[
    str | None, typer.Option("--tz", help="The time zone whose clock counts: Europe/Berlin.")
]
Late = Annotated[
    str | None, typer.Option(help="How late a missed run is made up for: 2h, or no. Else a day.")
]
Until = Annotated[
    str | None, typer.Option(help="No run is later: 2026-12-24T18:00, in 30d, or none.")
]
Times = Annotated[str | None, typer.Option(help="How many runs from now on: 5, or none.")]
Gate = Annotated[
    str | None,
    typer.Option(help="A command in the conversation's folder: run only if it ends well. Or none."),
]


@app.command()
def new(
    when: Annotated[str, typer.Argument(help=WHEN_HELP)],
    prompt: Annotated[
        list[str], typer.Argument(help="What is to be done. A - alone reads it from stdin.")
    ],
    group: Annotated[
        str | None, typer.Option(help="In which conversation. Your own, if nothing is said.")
    ] = None,
    title: Title = None,
    tz: Zone = None,
    late: Late = None,
    until: Until = None,
    times: Times = None,
    gate: Gate = None,
    data: Data = default_data(),
    json: Json = False,
) -> None:
    """Plan something: `task new "0 16 * * 1-5" Remind me to water the plants`."""
    said = _said(title=title, tz=tz, late=late, until=until, times=times, gate=gate)
    _order(data, new_command(when, _text(prompt), group, said), json)


@app.command("list")
def list_(
    group: Annotated[str | None, typer.Argument(help="Of one conversation. Else all.")] = None,
    data: Data = default_data(),
    json: Json = False,
) -> None:
    """What is planned, the next first."""
    _order(data, f"/tasks {quoted(group)}" if group else "/tasks", json)


@app.command()
def show(task: Named, data: Data = default_data(), json: Json = False) -> None:
    """Everything of one task: its times, its prompt, its version."""
    _order(data, f"/task show {quoted(task)}", json)


@app.command()
def edit(
    task: Named,
    when: Annotated[str | None, typer.Option(help=WHEN_HELP)] = None,
    prompt: Annotated[
        str | None, typer.Option(help="What is to be done instead. A - reads it from stdin.")
    ] = None,
    title: Title = None,
    tz: Zone = None,
    late: Late = None,
    until: Until = None,
    times: Times = None,
    gate: Gate = None,
    version: Annotated[
        str | None,
        typer.Option(help="The version you have seen: refused if somebody was quicker."),
    ] = None,
    data: Data = default_data(),
    json: Json = False,
) -> None:
    """Change what you name; the rest stays, and what has run stays counted."""
    said = _said(
        when=when,
        title=title,
        tz=tz,
        late=late,
        until=until,
        times=times,
        gate=gate,
        version=version,
    )
    text = None if prompt is None else _text([prompt])
    if text is None and not set(said) - {"version"}:
        options = "--when, --prompt, --title, --tz, --late, --until, --times, --gate"
        fail(f"Say what is to change: {options}.", 2)
    _order(data, edit_command(task, text, said), json)


@app.command()
def pause(task: Named, data: Data = default_data(), json: Json = False) -> None:
    """Run it no more until it is resumed."""
    _order(data, f"/task pause {quoted(task)}", json)


@app.command()
def resume(task: Named, data: Data = default_data(), json: Json = False) -> None:
    """Run it again, from its next time on."""
    _order(data, f"/task resume {quoted(task)}", json)


@app.command()
def cancel(task: Named, data: Data = default_data(), json: Json = False) -> None:
    """Take it away for good; what runs of it goes on."""
    _order(data, f"/task cancel {quoted(task)}", json)


@app.command()
def run(task: Named, data: Data = default_data(), json: Json = False) -> None:
    """Run it now, besides its times."""
    _order(data, f"/task run {quoted(task)}", json)


@app.command()
def runs(
    task: Named,
    count: Annotated[int, typer.Argument(help="How many, 1 to 50.")] = 10,
    data: Data = default_data(),
    json: Json = False,
) -> None:
    """Its last runs: for which time, how late, how long, how it ended, what it cost."""
    _order(data, f"/task runs {quoted(task)} {count}", json)


@app.command()
def hook(task: Named, data: Data = default_data(), json: Json = False) -> None:
    """Make a new secret by which programs call a task (on call), and show it this once."""
    from bot.operate import hook as command

    with explained():
        raise typer.Exit(command.renew(data, task, as_json=json))


@app.command()
def preview(
    when: Annotated[list[str], typer.Argument(help=WHEN_HELP)],
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


def new_command(when: str, prompt: str, group: str | None, said: dict[str, str]) -> str:
    """The owner's command that plans it. said: the options."""
    place = f"for {quoted(group)} " if group else ""
    return f"/task new {place}{_options(said)}{quoted(when)}\n{prompt}"


def edit_command(task: str, prompt: str | None, said: dict[str, str]) -> str:
    """The owner's command that changes it. said: the options, `when` and `version` among them."""
    text = "" if prompt is None else f"prompt\n{prompt}"
    return f"/task edit {quoted(task)} {_options(said)}{text}"


def _options(said: dict[str, str]) -> str:
    return "".join(f"{name} {quoted(value)} " for name, value in said.items())


def _said(**given: str | None) -> dict[str, str]:
    return {name: value for name, value in given.items() if value is not None}


def _text(words: list[str]) -> str:
    return sys.stdin.read() if words == ["-"] else " ".join(words)


def _order(data: Path, text: str, as_json: bool) -> None:
    from bot.operate.order import order

    with explained():
        raise typer.Exit(order(data, text, as_json=as_json))
