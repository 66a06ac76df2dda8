"""Shell: `nostrclaw up`: prepares the installation, tells the owner what to do, and becomes the
supervisor, which is light enough to stay."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import segno
from rich.console import Console

from bot.engine.host import close, find
from bot.operate import assembly
from bot.operate.assembly import SOURCE_TREE, Installation
from bot.operate.image import ensure_image
from bot.operate.steps import Steps
from config import settings
from nips.nip19 import encode_nprofile, encode_npub
from nips.own.roles import Roles

ENGINE_ROOT = SOURCE_TREE / ".engine"


def up(data: Path, owner: str | None) -> int:
    """Start the installation in `data` and stay; returns only when it could not start.

    owner: hex, or None: then the first person who sends the one-time code is the owner.
    Raises AssemblyError, SettingsError, EngineUnavailable, ImageError.
    """
    steps = Steps()
    place = assembly.installation(data)
    assembly.claim(place)
    chosen = settings.load(place.data)
    with steps.step("the keys, the identity, the roles"):
        roles = assembly.prepare(place, chosen, owner)
    found = find(ENGINE_ROOT, install=True, announce=steps.announce)
    try:
        with steps.step("a docker engine and the agent's image"):
            image = ensure_image(found, steps.announce)
    except BaseException:
        close(found)
        raise
    made = assembly.plan(place, chosen, roles, image=image, engine_root=ENGINE_ROOT)
    plan_file = assembly.write_plan(place, made, greeting="nostrclaw is up. Ctrl-C stops it.")
    _next_step(Console(highlight=False), place, roles, chosen.relays, chosen.listen)
    sys.stdout.flush()
    os.chdir(SOURCE_TREE)
    argv = [sys.executable, "-m", "bot.operate.supervisor", str(plan_file)]
    os.execv(argv[0], argv)  # noqa: S606 - it takes over this process and the data folder's lock


def _next_step(
    console: Console, place: Installation, roles: Roles, relays: tuple[str, ...], listen: str
) -> None:
    npub = encode_npub(roles.bot)
    profile = encode_nprofile(roles.bot, relays)
    segno.make(f"nostr:{profile}", error="l").terminal(compact=True)
    console.print(f"The bot is [bold]{npub}[/]")
    console.print(f"  nostr:{profile}", soft_wrap=True)
    code = None if roles.owner else assembly.pairing_code(place)
    if code is not None:
        console.print(
            f"Next: send it the code [bold]{code}[/] as a private message (NIP-17) from your own "
            "Nostr client. It is good for ten minutes and five tries; whoever sends it is the "
            "owner."
        )
    else:
        console.print("Next: write to it, as a private message (NIP-17) from your Nostr client,")
        console.print(f"or here with [bold]nostrclaw chat --data {place.data}[/].")
    if not (place.signer / "passphrase").exists() and "CREDENTIALS_DIRECTORY" not in os.environ:
        console.print(
            "You keep the passphrase of the bot's key. Until the signer has it everything"
        )
        console.print(f"waits: [bold]nostrclaw key unlock --data {place.data}[/]", soft_wrap=True)
    console.print(f"Your Nostr client may also connect to [bold]ws://{listen}[/].")
