"""Shell: the machine's command line as a client of the running installation: it asks the router,
with the console's key, over the private relay's socket.

Who can read that key's file is the owner of the machine, and so of the assistant.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from bot.operate.assembly import AssemblyError, Installation
from bot.operate.signers import is_listening
from config.roles import load, read_key
from nips.own.once import once_key
from nips.own.roles import Roles
from nips.refusal import Refused
from relay_local.client import Caller, Link, Unanswered, connect

DEADLINE_S = 40.0  # longer than the router gives a command


@dataclass(frozen=True, slots=True)
class Console:
    """A connection to what runs. link: authenticated with the console's key, which may ask. salt:
    made of that key, known to nobody else, and the same each time."""

    place: Installation
    roles: Roles
    link: Link
    router: Caller
    salt: str

    async def ask(self, method: str, *params: str) -> str:
        """The router's answer. Raises AssemblyError with what the user can do."""
        try:
            return await self.router.call(method, *params, deadline_s=DEADLINE_S)
        except Unanswered:
            raise AssemblyError(
                f"The assistant did not answer within {DEADLINE_S:g} s. `nostrclaw up` shows "
                "whether all its parts run; before an owner has paired it takes no commands."
            ) from None
        except Refused as error:
            raise AssemblyError(f"Not done: {error.refusal.sentence}.") from error


@asynccontextmanager
async def console(place: Installation) -> AsyncIterator[Console]:
    """Connect. Raises AssemblyError where nothing runs."""
    socket = Path(place.relay_address.removeprefix("unix:"))
    if not place.key("console").exists() or not is_listening(socket):
        raise AssemblyError(
            f"Nothing runs with {place.data}. Start it first: nostrclaw up --data {place.data}"
        )
    key, roles = read_key(place.key("console")), load(place.roles_file)
    async with connect(place.relay_address, [key]) as link:
        salt = once_key("console", key.raw.hex())
        yield Console(place, roles, link, Caller(link, key, roles.router), salt)
