"""Shell: what `nostrclaw signal` says of the service and the account, and a captcha handed in."""

from __future__ import annotations

import asyncio
import json
import re
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, TypeVar

import typer
from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from bot.bridges.signal.service.rest import Group, Service, ServiceError
from bot.engine.output import harmless
from bot.operate.assembly import AssemblyError, installation
from bot.operate.order import ask
from bot.operate.signal_versions import in_words, judged, read_version
from config import settings
from config.settings import SignalSettings
from nips.refusal import Refused

ORDER = "/signal"
CAPTCHA_PAGE = "https://signalcaptchas.org/challenge/generate.html"
CAPTCHA = "signalcaptcha://"
# Attack: what begins with - is read as an option by the program behind the service.
_WORD = re.compile(r"[A-Za-z0-9_.:/+=-]{1,8192}")

T = TypeVar("T")


def status(data: Path, *, as_json: bool) -> int:
    """Print how the service and the account are. Returns the exit status: 1 where messages do not
    come and go. Raises SettingsError, AssemblyError."""
    chosen = settings.load(installation(data).data).signal
    facts = asyncio.run(_look(chosen))
    if chosen.number:
        facts |= _told(data, facts)
    if as_json:
        sys.stdout.write(json.dumps(facts, ensure_ascii=False) + "\n")
    else:
        for name, value in _lines(facts):
            sys.stdout.write(harmless(f"{name:<11}{value}") + "\n")
    return 0 if facts["ok"] else 1


async def _look(chosen: SignalSettings) -> dict[str, Any]:
    facts: dict[str, Any] = {"ok": False, "url": chosen.url, "number": chosen.number}
    try:
        async with Service(chosen.url) as service:
            about = await service.about()
            verdict = judged(about.mode, about.version, about.versions)
            accounts = await service.accounts()
    except ServiceError as error:
        return facts | {"service": None, "trouble": [str(error)]}
    trouble = [verdict.refusal] if verdict.refusal else []
    if not chosen.number:
        trouble.append("No account is set: nostrclaw signal link")
    elif chosen.number not in accounts:
        trouble.append(f"The service has no account {chosen.number}: nostrclaw signal link")
    return facts | {
        "ok": not trouble,
        "service": {"version": in_words(read_version(about.version)), "mode": about.mode},
        "accounts": list(accounts),
        "trouble": trouble,
        "advice": list(verdict.warnings),
    }


def _told(data: Path, facts: dict[str, Any]) -> dict[str, Any]:
    """What the assistant says of it, where it runs."""
    try:
        answer = ask(data, ORDER)
    except (AssemblyError, Refused) as error:
        return {"ok": False, "assistant": None, "trouble": [*facts["trouble"], str(error)]}
    found, trouble = answer["data"], list(facts["trouble"])
    if not found:
        trouble.append("The assistant runs without this account. Start it anew: nostrclaw up")
    elif not found["well"]:
        trouble.append("The assistant does not hear what comes there.")
    said = answer["text"].splitlines()
    return {"ok": not trouble, "assistant": found, "trouble": trouble, "says": said}


def _lines(facts: dict[str, Any]) -> list[tuple[str, str]]:
    service = facts["service"]
    said = f"version {service['version']}, mode {service['mode']}" if service else "not there"
    return [
        ("service", f"{said} ({facts['url']})"),
        ("account", facts["number"] or "none"),
        *(("assistant", each.removeprefix("Signal: ")) for each in facts.get("says", ())[:1]),
        *(("", each) for each in facts.get("says", ())[1:]),
        *(("❌", each) for each in facts["trouble"]),
        *(("note", each) for each in facts.get("advice", ())),
    ]


def groups(data: Path, *, as_json: bool) -> int:
    """Print the account's groups. Returns the exit status. Raises AssemblyError, SettingsError."""
    found = _asked(data, lambda service, number: service.groups(number))
    if as_json:
        rows = [
            {"name": each.name, "counterpart": counterpart(each), "members": len(each.members)}
            for each in found
        ]
        sys.stdout.write(json.dumps(rows, ensure_ascii=False) + "\n")
        return 0
    if not found:
        sys.stdout.write("The account is in no group that the service knows of.\n")
        return 0
    table = Table(box=box.SIMPLE_HEAD)
    table.add_column("group", overflow="fold")
    table.add_column("members", justify="right")
    table.add_column("to bind it by", no_wrap=True)
    for each in found:
        # Attack: a group's name, which any of its members gives it, that the terminal obeys.
        table.add_row(Text(harmless(each.name)), str(len(each.members)), counterpart(each))
    Console().print(table)
    sys.stdout.write(
        f"To make a conversation of one: nostrclaw group new NAME --with {counterpart(found[0])}\n"
    )
    return 0


def counterpart(group: Group) -> str:
    """A group as a binding names it."""
    return f"signal:{group.internal_id}"


def challenge(data: Path, token: str, captcha: str | None) -> int:
    """Hand in a captcha. Returns the exit status. Raises AssemblyError, SettingsError."""
    if captcha is None:
        sys.stdout.write(
            f"Signal takes no more messages until somebody has solved a captcha:\n"
            f"1. Open {CAPTCHA_PAGE}, on this machine's own network, and solve it.\n"
            f"2. Copy the address of the link “Open Signal”; it begins with {CAPTCHA}\n"
            f"3. Within a few minutes: nostrclaw signal challenge {harmless(token)} '{CAPTCHA}…'\n"
        )
        if not sys.stdin.isatty():
            return 1
        try:
            captcha = typer.prompt("or paste that address here")
        except typer.Abort:
            raise KeyboardInterrupt from None
    word = captcha.strip()
    for name, given in (("token", token), ("captcha", word)):
        if given.startswith("-") or not _WORD.fullmatch(given):
            raise AssemblyError(f"That is no {name}. Copy it whole, and put it between quotes: '…'")
    _asked(data, lambda service, number: service.solve_challenge(number, token, word))
    sys.stdout.write("Signal has taken it. What waits is sent within two minutes.\n")
    return 0


def _asked(data: Path, question: Callable[[Service, str], Awaitable[T]]) -> T:
    """Ask the service about the account."""
    chosen = settings.load(installation(data).data).signal
    if not chosen.number:
        raise AssemblyError("There is no Signal account yet: nostrclaw signal link")

    async def ask() -> T:
        async with Service(chosen.url) as service:
            return await question(service, chosen.number)

    try:
        return asyncio.run(ask())
    except ServiceError as error:
        raise AssemblyError(str(error)) from error
