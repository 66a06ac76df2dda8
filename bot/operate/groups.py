"""Shell: `nostrclaw group …`: the owner's commands about conversations, with a shell's words."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from bot.operate.terminal import Data, Json, default_data, explained, fail

app = typer.Typer(help="Conversations: list, show, make, change them.", no_args_is_help=True)

Name = Annotated[str, typer.Argument(help="A conversation's name, its folder, or its id.")]
People = Annotated[list[str], typer.Argument(help="npub1… or hex, one or more.")]
# A setting's name to the command that sets it; {} is the conversation.
SETTINGS = {
    **{name: f"/group {{}} {name}" for name in ("trigger", "senders", "agents", "quiet")},
    **{name: f"/group {{}} {name}" for name in ("mute", "unmute")},
    **{name: f"/budget {{}} {name}" for name in ("runs", "tokens", "usd")},
    **{name: f"/persona {{}} {name}" for name in ("name", "picture", "text")},
    "models": "/model {}",
    "backend": "/group {} backend",
}


@app.command("list")
def list_(data: Data = default_data(), json: Json = False) -> None:
    """Every conversation."""
    _order(data, "/groups", json)


@app.command()
def show(name: Name, data: Data = default_data(), json: Json = False) -> None:
    """Everything of one conversation."""
    _order(data, f"/group {quoted(name)}", json)


@app.command()
def new(
    name: Annotated[str, typer.Argument(help="What people call it.")],
    trigger: Annotated[
        str | None, typer.Option(help="The word that wakes the assistant, or: none.")
    ] = None,
    with_: Annotated[
        list[str] | None, typer.Option("--with", help="Somebody's npub; may be repeated.")
    ] = None,
    data: Data = default_data(),
    json: Json = False,
) -> None:
    """Make a conversation."""
    words = f"/group new {quoted(name)}"
    words += f" trigger {_trigger(trigger)}" if trigger else ""
    words += f" with {' '.join(with_)}" if with_ else ""
    _order(data, words, json)


@app.command()
def rename(
    name: Name,
    to: Annotated[str, typer.Argument(help="Its new name.")],
    data: Data = default_data(),
    json: Json = False,
) -> None:
    """Call it otherwise; its folder stays."""
    _order(data, f"/group {quoted(name)} rename {quoted(to)}", json)


@app.command()
def bind(name: Name, people: People, data: Data = default_data(), json: Json = False) -> None:
    """Let people of other networks belong to it."""
    _order(data, f"/group {quoted(name)} bind {' '.join(people)}", json)


@app.command()
def unbind(name: Name, people: People, data: Data = default_data(), json: Json = False) -> None:
    """Let people belong to it no more."""
    _order(data, f"/group {quoted(name)} unbind {' '.join(people)}", json)


@app.command()
def archive(name: Name, data: Data = default_data(), json: Json = False) -> None:
    """Take no more messages of it, and keep all it has."""
    _order(data, f"/group {quoted(name)} archive", json)


@app.command()
def restore(name: Name, data: Data = default_data(), json: Json = False) -> None:
    """Take an archived one's messages again."""
    _order(data, f"/group {quoted(name)} restore", json)


@app.command()
def delete(
    name: Name,
    wipe: Annotated[bool, typer.Option("--wipe", help="Remove its files too.")] = False,
    data: Data = default_data(),
    json: Json = False,
) -> None:
    """End it; its files stay, unless --wipe is said."""
    _order(data, f"/group {quoted(name)} delete{' wipe' if wipe else ''}", json)


@app.command("set")
def set_(
    name: Name,
    setting: Annotated[str, typer.Argument(help=f"One of: {', '.join([*SETTINGS, 'paused'])}.")],
    value: Annotated[list[str], typer.Argument(help="As after the command of the same name.")],
    data: Data = default_data(),
    json: Json = False,
) -> None:
    """Change a setting of one conversation: `set Family runs 50`, `set Family quiet 22-7`."""
    _order(data, setting_command(name, setting, value), json)


def setting_command(name: str, setting: str, value: list[str]) -> str:
    """The owner's command that sets it."""
    if setting == "paused":
        if value not in (["on"], ["off"]):
            fail("paused is on or off", 2)
        return f"/{'pause' if value == ['on'] else 'resume'} {quoted(name)}"
    if setting not in SETTINGS:
        fail(f"There is no setting {setting}. There are: {', '.join([*SETTINGS, 'paused'])}.", 2)
    return f"{SETTINGS[setting].format(quoted(name))} {' '.join(value)}"


def quoted(name: str) -> str:
    """A name as one word of a command."""
    name = " ".join(name.split())
    return f"“{name}”" if '"' in name else f'"{name}"'


def _trigger(word: str) -> str:
    return word if word in ("none", "default") else quoted(word)


def _order(data: Path, text: str, as_json: bool) -> None:
    from bot.operate.order import order

    with explained():
        raise typer.Exit(order(data, text, as_json=as_json))
