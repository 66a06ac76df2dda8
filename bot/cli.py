"""Shell: the `nostrclaw` command. Starts the other rooms' programs and imports none of them."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(
    name="nostrclaw",
    help="A personal assistant on Nostr: a private relay, a signer, an agent in a container.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
PASS_ON = {"allow_extra_args": True, "ignore_unknown_options": True, "help_option_names": []}

Data = Annotated[
    Path,
    typer.Option(envvar="NOSTRCLAW_DATA", help="The folder that holds everything of yours."),
]


def default_data() -> Path:
    """Where an installation lives when nobody says otherwise."""
    home = Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local/share")
    return home / "nostrclaw"


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
        _fail(f"--owner: {error}", 2)
    for name, given in (("RELAYS", relay and " ".join(relay)), ("LISTEN", listen)):
        if given:  # the parts read the settings themselves
            os.environ[f"NOSTRCLAW_{name}"] = given
    with _explained():
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

    with _explained():
        raise typer.Exit(asyncio.run(command.chat(data, text, wait_s=wait, as_json=json)))


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


def _become(room: str, arguments: list[str]) -> None:
    argv = [sys.executable, "-m", room, *arguments]
    os.execv(argv[0], argv)  # noqa: S606 - a program of ours, no shell


@contextmanager
def _explained() -> Iterator[None]:
    """Turn what the user can mend into one sentence and exit status 1."""
    from bot.engine.host import EngineUnavailable
    from bot.operate.assembly import AssemblyError
    from bot.operate.image import ImageError
    from config.roles import RolesError
    from config.runtime import RuntimeFolderError
    from config.settings import SettingsError
    from nips.refusal import Refused

    try:
        yield
    except (
        AssemblyError,
        EngineUnavailable,
        ImageError,
        RolesError,
        RuntimeFolderError,
        SettingsError,
        Refused,
    ) as error:
        _fail(str(error), 1)
    except KeyboardInterrupt:
        _fail("stopped", 130)


def _fail(sentence: str, status: int) -> None:
    sys.stderr.write(f"nostrclaw: {sentence}\n")
    raise typer.Exit(status)


def main() -> None:
    """The console script."""
    app()


if __name__ == "__main__":
    main()
