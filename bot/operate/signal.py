"""Shell: `nostrclaw signal …`: the assistant's Signal account: linked, looked at, let out of a rate
limit."""

from __future__ import annotations

from typing import Annotated

import typer

from bot.operate.terminal import Data, Json, default_data, explained

app = typer.Typer(
    help="Signal: link an account, see how it is, list its groups.", no_args_is_help=True
)

DEVICE = "nostrclaw"


@app.command()
def link(
    data: Data = default_data(),
    name: Annotated[str, typer.Option(help="What your phone lists this device as.")] = DEVICE,
    url: Annotated[
        str | None, typer.Option(help="Where the Signal service is, instead of the setting.")
    ] = None,
    number: Annotated[
        str | None, typer.Option(help="Which account, where the service has several: +49…")
    ] = None,
    another: Annotated[
        bool, typer.Option("--another", help="Link one though the service has one already.")
    ] = False,
    start: Annotated[
        bool | None,
        typer.Option(
            "--start/--no-start", help="Start the service with Docker; else you are asked."
        ),
    ] = None,
) -> None:
    """Link a Signal account: shows a code for your phone, and waits."""
    from bot.operate import signal_link

    with explained():
        signal_link.link(data, signal_link.Wish(name, url, start, number, another))


@app.command()
def status(data: Data = default_data(), json: Json = False) -> None:
    """The Signal service, the account, and what the assistant says of both."""
    from bot.operate import signal_facts

    with explained():
        raise typer.Exit(signal_facts.status(data, as_json=json))


@app.command()
def groups(data: Data = default_data(), json: Json = False) -> None:
    """The account's Signal groups, each with the id by which a conversation is bound to it."""
    from bot.operate import signal_facts

    with explained():
        raise typer.Exit(signal_facts.groups(data, as_json=json))


@app.command()
def challenge(
    token: Annotated[str, typer.Argument(help="As the assistant told you.")],
    captcha: Annotated[
        str | None, typer.Argument(help="signalcaptcha://…; without it you are told how to get it.")
    ] = None,
    data: Data = default_data(),
) -> None:
    """Answer Signal when it takes no more messages until a captcha is solved."""
    from bot.operate import signal_facts

    with explained():
        raise typer.Exit(signal_facts.challenge(data, token, captcha))
