"""Shell: the owner's commands from the machine's command line, asked of the router."""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path
from typing import Any

from bot.engine.output import harmless
from bot.operate.assembly import Installation, installation
from bot.operate.console import console

METHOD = "command"


def order(data: Path, text: str, *, as_json: bool) -> int:
    """Have a command carried out, and print its answer. Returns the exit status: 0, or 1 where
    it was not carried out. Raises AssemblyError, Refused."""
    answer = ask(data, text)
    if as_json:
        sys.stdout.write(json.dumps(answer, ensure_ascii=False) + "\n")
    else:
        # Attack: a name that a stranger gave themselves, which the terminal obeys.
        sign = "✅" if answer["ok"] else "❌"
        sys.stdout.write(harmless(f"{sign} {answer['text']}") + "\n")
    return 0 if answer["ok"] else 1


def ask(data: Path, text: str) -> dict[str, Any]:
    """A command's answer: `ok`, `text`, and `data` for programs. Raises AssemblyError, Refused."""
    return asyncio.run(_ask(installation(data), text))


async def _ask(place: Installation, text: str) -> dict[str, Any]:
    async with console(place) as there:
        return dict(json.loads(await there.ask(METHOD, text)))
