"""Shell: the `nostrclaw` command. Starts the other rooms' programs and imports none of them."""

from __future__ import annotations

import asyncio
import os
import sys
from typing import Annotated

import typer

from bot.operate import changes, groups, publish, signal, task
from bot.operate.terminal import Data, Json, default_data, explained, fail

app = typer.Typer(
    name="nostrclaw",
    help="A personal assistant on Nostr: a private relay, a signer, an agent in a container.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
PASS_ON = {"allow_extra_args": True, "ignore_unknown_options": True, "help_option_names": []}

app.add_typer(groups.app, name="group")
app.add_typer(changes.app, name="changes")
app.add_typer(publish.app, name="publish")
app.add_typer(task.app, name="task")
app.add_typer(signal.app, name="signal")


@app.command()
def up(
    data: Data = default_data(),
    owner: Annotated[
        str | None, typer.Option(help="Your own public key, npub1… or hex; else you pair by code.")
    ] = None,
    relay: Annotated[
        list[str] | None,
        typer.Option(help="A public relay, instead of the configured ones; may be repeated."),
    ] = None,
    listen: Annotated[
        str | None, typer.Option(help="Where the private relay answers: 127.0.0.1:PORT.")
    ] = None,
) -> None:
    """Start the assistant and stay. Prints what you do next."""
    from bot.operate import up as command
    from nips.nip19 import public_key_of
    from nips.refusal import Malformed

    try:
        key = public_key_of(owner) if owner is not None else None
    except Malformed as error:
        fail(f"--owner: {error}", 2)
    for name, given in (("RELAYS", relay and " ".join(relay)), ("LISTEN", listen)):
        if given:  # the parts read the settings themselves
            os.environ[f"NOSTRCLAW_{name}"] = given
    with explained():
        command.up(data, key)


@app.command()
def chat(
    text: Annotated[str | None, typer.Argument(help="One message; without it, a dialogue.")] = None,
    data: Data = default_data(),
    wait: Annotated[
        float, typer.Option(help="Seconds to wait for the answer to one message.")
    ] = 120,
    json: Annotated[bool, typer.Option("--json", help="Print the answer as JSON.")] = False,
) -> None:
    """Talk to the assistant from this terminal. It may talk and not approve."""
    from bot.operate import chat as command

    with explained():
        raise typer.Exit(asyncio.run(command.chat(data, text, wait_s=wait, as_json=json)))


@app.command("do")
def do_(
    command: Annotated[str, typer.Argument(help='One of your commands, such as "/status".')],
    data: Data = default_data(),
    json: Json = False,
) -> None:
    """Give the running assistant one of your commands; "/help" lists them."""
    from bot.operate.order import order

    with explained():
        raise typer.Exit(order(data, command, as_json=json))


@app.command()
def published(
    count: Annotated[int | None, typer.Argument(help="How many, the newest first.")] = None,
    data: Data = default_data(),
    json: Json = False,
) -> None:
    """What the assistant has published, and on which relays it is."""
    from bot.operate import published as command

    with explained():
        raise typer.Exit(command.published(data, count, as_json=json))


@app.command()
def relays(
    data: Data = default_data(),
    once: Annotated[bool, typer.Option("--once", help="Show them once and end.")] = False,
    json: Json = False,
) -> None:
    """How the public relays are doing: a live table, until Ctrl-C."""
    from bot.operate import relays as command

    with explained():
        raise typer.Exit(command.show(data, once=once, as_json=json))


@app.command()
def demo(
    json: Annotated[bool, typer.Option("--json", help="Print each step as JSON.")] = False,
) -> None:
    """Show the whole path on this machine, with real parts, and clean up."""
    from bot.operate import demo as command

    command.exit_at_once(command.run(as_json=json))


@app.command(context_settings=PASS_ON, add_help_option=False)
def relay(context: typer.Context) -> None:
    """Run the relay alone; `nostrclaw relay --help` lists its options."""
    _become("relay_local", context.args)


@app.command(context_settings=PASS_ON, add_help_option=False)
def signer(context: typer.Context) -> None:
    """Run the signer alone; `nostrclaw signer --help` lists its commands."""
    _become("signer", context.args)


@app.command(context_settings=PASS_ON, add_help_option=False)
def bunker(context: typer.Context, data: Data = default_data()) -> None:
    """Log in as the bot from any Nostr client, narrowly; `nostrclaw bunker --help`."""
    from bot.operate.signers import of_bunker

    with explained():
        arguments = of_bunker(data, context.args)
    _become("signer", arguments)


@app.command(context_settings=PASS_ON, add_help_option=False)
def audit(context: typer.Context, data: Data = default_data()) -> None:
    """What was asked of the bot's key: show, verify; `nostrclaw audit --help`."""
    from bot.operate.signers import of_audit

    with explained():
        arguments = of_audit(data, context.args)
    _become("signer", arguments)


@app.command(context_settings=PASS_ON, add_help_option=False)
def key(context: typer.Context, data: Data = default_data()) -> None:
    """The bot's key: export, import, passphrase, rotate, unlock, lock; `nostrclaw key --help`."""
    from bot.operate import rotation

    if context.args[:1] == ["rotate"] and not {"-h", "--help"} & set(context.args):
        with explained():
            raise typer.Exit(rotation.rotate(data, context.args[1:]))
    _become("signer", rotation.arguments_for_signer(data, context.args))


@app.command(context_settings=PASS_ON, add_help_option=False)
def model(context: typer.Context, data: Data = default_data()) -> None:
    """Providers of language models: add, list, remove, test; `nostrclaw model --help`."""
    from bot.operate.models import arguments_for_signer

    _become("signer", arguments_for_signer(data, context.args))


def _become(room: str, arguments: list[str]) -> None:
    argv = [sys.executable, "-m", room, *arguments]
    os.execv(argv[0], argv)  # noqa: S606 - a program of ours, no shell


def main() -> None:
    """The console script."""
    app()


if __name__ == "__main__":
    main()
