"""Shell: `nostrclaw changes …`: what main's agent has proposed: listed, shown, applied."""

from __future__ import annotations

import asyncio
import json
import sys
from typing import Annotated

import typer

from bot.operate.terminal import Data, Json, default_data, explained

app = typer.Typer(help="What the agent proposes to change in this program.", no_args_is_help=True)

Id = Annotated[str, typer.Argument(help="The beginning of its id, as `list` shows it.")]


@app.command("list")
def list_(data: Data = default_data(), as_json: Json = False) -> None:
    """What was proposed, the newest first."""
    from bot.operate import proposals
    from bot.operate.assembly import installation

    with explained():
        found = asyncio.run(proposals.proposed(installation(data)))
    if as_json:
        listed = [{"id": one.id, "title": one.title, "at": one.created_at} for one in found]
        sys.stdout.write(json.dumps(listed) + "\n")
        return
    for one in found:
        sys.stdout.write(f"{proposals.line(one)}\n")
    if not found:
        sys.stdout.write("Nothing was proposed.\n")


@app.command()
def show(change: Id, data: Data = default_data()) -> None:
    """One of them whole, with everything visible."""
    from bot.operate import proposals
    from bot.operate.assembly import installation

    with explained():
        found = proposals.pick(asyncio.run(proposals.proposed(installation(data))), change)
    sys.stdout.write(proposals.shown(found) + "\n")


@app.command()
def apply(
    change: Id,
    data: Data = default_data(),
    no_tests: Annotated[
        bool, typer.Option("--no-tests", help="Do not run the tests of the changed copy first.")
    ] = False,
) -> None:
    """Change this program so, if it fits and its tests pass; restart it yourself."""
    from bot.operate import proposals
    from bot.operate.assembly import SOURCE_TREE, installation

    with explained():
        found = proposals.pick(asyncio.run(proposals.proposed(installation(data))), change)
        test = None if no_tests else proposals.run_tests
        touched = proposals.apply_to(SOURCE_TREE, found.text, test)
    sys.stdout.write(f"Applied: {', '.join(touched)}. It counts from the next `nostrclaw up`.\n")
