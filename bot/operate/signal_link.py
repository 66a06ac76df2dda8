"""Shell: `nostrclaw signal link`: a Signal account made known to the assistant, step by step.

the service ─► its version ─► an account that is there, or a code ─► the phone ─► the settings
                                                       ▲     │
                                                       └─────┘ after a minute a new one
"""

from __future__ import annotations

import asyncio
import os
import sys
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import segno
import typer

from bot.bridges.signal.service.rest import About, Service, ServiceError, Unreachable
from bot.engine.host import of_machine
from bot.engine.output import harmless
from bot.operate import assembly, signal_service
from bot.operate.assembly import AssemblyError, Installation
from bot.operate.signal_service import BY_HAND, NotStarted
from bot.operate.signal_versions import in_words, judged, read_version
from bot.operate.signers import is_listening
from bot.operate.steps import Steps
from config import settings
from config.settings import E164
from config.settings_file import set_in_table

CODE_LIVES_S = 60.0  # Signal lets go of a code soon after
CODES = 5
LOOK_S = 1.0  # between two looks at the accounts
START_S = 60.0
FOLDER = "signal"

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Wish:
    """What the person said. device: what the phone will call us. start: the service, where none
    answers: None asks. number: which account. another: link one though there are some."""

    device: str
    url: str | None = None
    start: bool | None = None
    number: str | None = None
    another: bool = False


def link(data: Path, wish: Wish) -> None:
    """Do it all, asking at the terminal. Raises AssemblyError, SettingsError, EngineUnavailable."""
    place, steps = assembly.installation(data), Steps()
    chosen = settings.load(place.data).signal
    if wish.url is not None:
        chosen = settings.with_url(chosen, wish.url)
    if wish.number is not None and not E164.fullmatch(wish.number):
        raise AssemblyError("--number is written in full, such as +491701234567.")
    try:
        number = _link(place, chosen.url, wish, steps)
    except (ServiceError, NotStarted) as error:
        raise AssemblyError(str(error)) from error
    except typer.Abort:  # Ctrl-C at a question
        raise KeyboardInterrupt from None
    file = set_in_table(place.data, "signal", {"url": chosen.url, "number": number})
    _next_step(place, file, number)


def _link(place: Installation, url: str, wish: Wish, steps: Steps) -> str:
    about = _found(place, url, wish, steps)
    verdict = judged(about.mode, about.version, about.versions)
    if verdict.refusal:
        raise AssemblyError(harmless(verdict.refusal))
    version = in_words(read_version(about.version))
    steps.fact("Signal service", f"version {version}, mode {about.mode}")
    for warning in verdict.warnings:
        steps.announce(warning)
    known = frozenset(filter(E164.fullmatch, _ask(url, lambda service: service.accounts())))
    there = None if wish.another else _there(known, wish.number)
    return there or _ask(url, lambda service: _linked(service, known, wish, steps))


def _ask(url: str, question: Callable[[Service], Awaitable[T]]) -> T:
    """Ask the service. The person is never asked inside of this: there, Ctrl-C would wait for the
    answer. Raises ServiceError."""

    async def ask() -> T:
        async with Service(url) as service:
            return await question(service)

    return asyncio.run(ask())


# The service


def _found(place: Installation, url: str, wish: Wish, steps: Steps) -> About:
    try:
        return _ask(url, lambda service: service.about())
    except Unreachable:
        port = signal_service.port_of(url)
    except ServiceError as error:  # something else listens there
        raise AssemblyError(
            f"At {url} answers what is no Signal service. {error} Give its address with --url."
        ) from error
    if not _may_start(url, wish.start):
        raise AssemblyError(
            f"No Signal service answers at {url}. Start one, in the folder of this program: "
            f"{BY_HAND} – or have it done here: nostrclaw signal link --start"
        )
    engine = of_machine(os.environ)
    if engine is None:
        raise AssemblyError(
            "No Docker engine of this machine answers, and the one that agents run in has no "
            f"network. Start the service where there is one, in the folder of this program: "
            f"{BY_HAND} – then run this again, with --url where it is another machine."
        )
    with steps.step(f"{signal_service.IMAGE} in a container"):
        name = signal_service.start(engine, place.data / FOLDER, port, steps.announce)
    with steps.step("it answers"):
        return _ask(url, lambda service: _answering(service, name))


def _may_start(url: str, said: bool | None) -> bool:
    if said is not None:
        return said
    if not sys.stdin.isatty():
        return False
    return typer.confirm(
        f"No Signal service answers at {url}. Start one with Docker, on this machine only?",
        default=True,
    )


async def _answering(service: Service, name: str) -> About:
    until_s = time.monotonic() + START_S
    while True:
        try:
            return await service.about()
        except ServiceError as error:
            if time.monotonic() > until_s:
                raise NotStarted(
                    f"The Signal service was started and does not answer after {START_S:g} s. "
                    f"Read what it says: docker logs {name}"
                ) from error
        await asyncio.sleep(LOOK_S / 2)


# The account


def _there(known: frozenset[str], number: str | None) -> str | None:
    """An account that the service has already, where the person wants it; None to link one."""
    if number is not None:
        return number if number in known else None
    at_terminal, some = sys.stdin.isatty(), ", ".join(sorted(known))
    match sorted(known):
        case []:
            return None
        case [one]:
            wanted = not at_terminal or typer.confirm(
                f"The service has the account {one}. Use it?", default=True
            )
            return one if wanted else None
        case _ if not at_terminal:
            raise AssemblyError(f"The service has the accounts {some}. Say which with --number.")
        case every:
            given = typer.prompt(f"The service has the accounts {some}. Which one?").strip()
            if given not in every:
                raise AssemblyError(f"That is none of them: {some}. --another links one more.")
            return str(given)


async def _linked(service: Service, known: frozenset[str], wish: Wish, steps: Steps) -> str:
    """The number of an account that was not there, once a phone has let us in."""
    for nth in range(CODES):
        try:
            uri = await service.link_uri(wish.device)
        except ServiceError as error:
            raise AssemblyError(
                f"There is no code to scan. {error} Look whether the service reaches Signal, then "
                "run this again."
            ) from error
        _show(uri, again=nth > 0)
        until_s = time.monotonic() + CODE_LIVES_S
        with steps.waiting("waiting for the phone") as left:
            while (left_s := until_s - time.monotonic()) > 0:
                left(left_s)
                if new := await _new(service, known):
                    return _wanted(new, wish.number)
                await asyncio.sleep(LOOK_S)
    raise AssemblyError(
        f"No phone has scanned the code in {CODES * CODE_LIVES_S / 60:g} minutes. Run this again "
        "when the phone is at hand."
    )


async def _new(service: Service, known: frozenset[str]) -> str | None:
    try:
        found = frozenset(filter(E164.fullmatch, await service.accounts()))
    except ServiceError:  # busy with the linking itself
        return None
    return min(found - known, default=None)


def _wanted(new: str, number: str | None) -> str:
    if number not in (None, new):
        raise AssemblyError(
            f"The phone that scanned the code has {new}, not {number}. It is linked; to take it: "
            f"nostrclaw signal link --number {new}"
        )
    return new


def _show(uri: str, *, again: bool) -> None:
    out = sys.stdout
    out.write("\nThat code is too old now; here is a new one.\n\n" if again else "\n")
    segno.make(uri, error="l").terminal(out=out, compact=True)
    # Attack: a service, or who stands in its place, whose words the terminal obeys.
    out.write(f"{harmless(uri)}\n\n")
    out.write(
        "On the phone: Signal, Settings, Linked devices, then the + or “Link a new device”; scan "
        "the code.\nWhat is written to its number is read here from then on.\n"
    )
    out.flush()


def _next_step(place: Installation, file: Path, number: str) -> None:
    runs = is_listening(Path(place.relay_address.removeprefix("unix:")))
    sys.stdout.write(
        f"✓ {number} is the assistant's Signal account, as {file} says.\n"
        + (
            "Next: start the assistant anew, so that it takes part: Ctrl-C where `nostrclaw up` "
            "runs, and up again.\n"
            if runs
            else f"Next: nostrclaw up --data {place.data}\n"
        )
        + "Who writes to that number is shown to you, once; /allow CODE lets them in.\n"
    )
