"""Shell: the owner's commands from the machine's command line: asked of the router, with the
console's key, over the private relay's socket.

Who can read that key's file is the owner of the machine, and so of the assistant.
"""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path
from typing import Any

from bot.engine.output import harmless
from bot.operate.assembly import AssemblyError, Installation, installation
from bot.operate.signers import is_listening
from config.roles import load, read_key
from nips.refusal import Refused
from relay_local.client import Caller, Unanswered, connect

METHOD = "command"
DEADLINE_S = 40.0  # longer than the router gives a command


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
    socket = Path(place.relay_address.removeprefix("unix:"))
    if not place.key("console").exists() or not is_listening(socket):
        raise AssemblyError(_nothing_runs(place))
    key, roles = read_key(place.key("console")), load(place.roles_file)
    async with connect(place.relay_address, [key]) as link:
        try:
            answer = await Caller(link, key, roles.router).call(METHOD, text, deadline_s=DEADLINE_S)
        except Unanswered:
            raise AssemblyError(
                f"The assistant did not answer within {DEADLINE_S:g} s. `nostrclaw up` shows "
                "whether all its parts run; before an owner has paired it takes no commands."
            ) from None
        except Refused as error:
            raise AssemblyError(f"Not done: {error.refusal.sentence}.") from error
    return dict(json.loads(answer))


def _nothing_runs(place: Installation) -> str:
    return f"Nothing runs with {place.data}. Start it first: nostrclaw up --data {place.data}"
