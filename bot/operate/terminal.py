"""Shell: what commands at the terminal share: the data folder, errors in a sentence."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, NoReturn

import typer

Data = Annotated[
    Path,
    typer.Option(envvar="NOSTRCLAW_DATA", help="The folder that holds everything of yours."),
]
Json = Annotated[bool, typer.Option("--json", help="Print the answer as JSON.")]


def default_data() -> Path:
    """Where an installation lives when nobody says otherwise."""
    home = Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local/share")
    return home / "nostrclaw"


@contextmanager
def explained() -> Iterator[None]:
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
        fail(str(error), 1)
    except KeyboardInterrupt:
        fail("stopped", 130)


def fail(sentence: str, status: int) -> NoReturn:
    """Say it and end."""
    sys.stderr.write(f"nostrclaw: {sentence}\n")
    raise typer.Exit(status)
