"""`nostrclaw signal status`, `groups`, `challenge`, with the stand-in of Signal's service."""

from __future__ import annotations

import asyncio
import json
import shutil
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from bot.cli import app
from bot.operate import assembly
from bot.operate.assembly import Installation
from bot.operate.signal_facts import CAPTCHA_PAGE
from bot.operate.stand_ins.signal_envelopes import Group
from bot.operate.stand_ins.signal_faults import challenge, rejects_captcha
from bot.operate.stand_ins.signal_service import SignalService
from config import settings
from nips.event import Template
from nips.kinds import Kind
from relay_local.client import connect
from tests.signal_service import ALICE, FRIENDS, NUMBER, a_service
from tests.unit.bot.commands.stage import a_stage
from tests.unit.bot.operate.terminal import at_terminal

TOKEN = "b9ee2dd0-1b8b-4ec8-9c0e-55e4a0a0a0a0"


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Installation]:
    made = assembly.installation(tmp_path / "data")
    yield made
    shutil.rmtree(made.run, ignore_errors=True)


@pytest.fixture
async def service(place: Installation) -> AsyncIterator[SignalService]:
    """It has the account that the installation has."""
    async with a_service("native") as made:
        settings.write(place.data, {"signal": {"url": made.url, "number": NUMBER}})
        yield made


async def signal(place: Installation, *words: str) -> Result:
    argv = ["signal", *words, "--data", str(place.data)]
    return await asyncio.to_thread(CliRunner().invoke, app, argv)


async def test_how_it_is(place: Installation, service: SignalService) -> None:
    """While the assistant does not run."""
    done = await signal(place, "status")
    assert done.exit_code == 1
    assert "mode native" in done.output
    assert f"account    {NUMBER}" in done.output
    assert f"Start it first: nostrclaw up --data {place.data}" in done.output
    facts = json.loads((await signal(place, "status", "--json")).output)
    assert facts["service"]["mode"] == "native"
    assert facts["accounts"] == [NUMBER]
    assert (facts["ok"], facts["assistant"], len(facts["trouble"])) == (False, None, 1)
    assert facts["advice"] == []

    await service.stop()
    done = await signal(place, "status")
    assert done.exit_code == 1
    assert "service    not there" in done.output
    assert json.loads((await signal(place, "status", "--json")).output)["service"] is None


async def test_what_the_assistant_says_of_it() -> None:
    async with a_stage() as stage, stage.router(), a_service("native") as service:
        place, bridge = stage.place, stage.role("bridge-signal")
        settings.write(place.data, {"signal": {"url": service.url, "number": NUMBER}})
        done = await signal(place, "status")
        assert done.exit_code == 1
        assert "assistant  There is no Signal account." in done.output
        assert "The assistant runs without this account." in done.output
        for state, status, said in (
            ("away", 1, "Signal cannot be reached for 1 min"),
            ("listening", 0, "listening (native)"),
        ):
            content = {
                "service": {
                    "state": state, "reason": "", "since_s": int(time.time()) - 61,
                    "mode": "native", "version": "",
                },
                "counts": {"forwarded": 7},
                "outgoing": {"pending": 2, "uncertain": 0, "failed": 0},
            }  # fmt: skip
            made = Template(
                bridge.public, int(time.time()) + 1 - status, Kind.APP_DATA, (("d", "health"),),
                json.dumps(content),
            )  # fmt: skip
            async with connect(place.relay_address, [bridge]) as link:
                ok = await link.publish(made.sign(bridge, bytes(32)), deadline_s=10)
                assert ok.accepted, ok.message
            done = await signal(place, "status")
            assert done.exit_code == status, done.output
            assert f"assistant  {said}" in done.output
            assert "           To Signal: 2 on their way" in done.output
            assert ("does not hear what comes" in done.output) is (status == 1)
        # The router logs in this process too.
        facts = json.loads((await signal(place, "status", "--json")).output.splitlines()[-1])
        assert facts["ok"]
        assert facts["assistant"]["pending"] == 2


@pytest.mark.parametrize(
    ("number", "words"),
    [("", "No account is set"), ("+4915199999999", "has no account +4915199999999")],
)
async def test_an_account_that_is_not_there(
    place: Installation, service: SignalService, number: str, words: str
) -> None:
    settings.write(place.data, {"signal": {"url": service.url, "number": number}})
    done = await signal(place, "status")
    assert done.exit_code == 1
    assert words in done.output
    assert "nostrclaw signal link" in done.output


async def test_groups_are_named_as_a_conversation_is_bound_to_them(
    place: Installation, service: SignalService
) -> None:
    done = await signal(place, "groups")
    assert (done.exit_code, done.output) == (
        0, "The account is in no group that the service knows of.\n",
    )  # fmt: skip
    assert (await signal(place, "groups", "--json")).output == "[]\n"
    await service.add_group(FRIENDS)
    # Attack: a member calls a group by what the terminal obeys.
    await service.add_group(Group("AAAA" * 10 + "AAA=", "Mine\x1b[2J", (ALICE,)))
    done = await signal(place, "groups")
    assert done.exit_code == 0, done.output
    assert f"signal:{FRIENDS.id}" in done.output
    assert f"nostrclaw group new NAME --with signal:{FRIENDS.id}" in done.output
    assert "\x1b" not in done.output
    rows = json.loads((await signal(place, "groups", "--json")).output)
    assert rows[0] == {"name": "Friends", "counterpart": f"signal:{FRIENDS.id}", "members": 2}


async def test_a_captcha_lifts_the_limit(place: Installation, service: SignalService) -> None:
    await service.faults(challenge(TOKEN))
    done = await signal(place, "challenge", TOKEN)
    assert done.exit_code == 1
    assert CAPTCHA_PAGE in done.output
    assert f"nostrclaw signal challenge {TOKEN} 'signalcaptcha://" in done.output
    done = await signal(place, "challenge", TOKEN, "signalcaptcha://signal-hcaptcha.x.y")
    assert done.exit_code == 0, done.output
    assert "Signal has taken it." in done.output
    (taken,) = await service.sent("captcha")
    assert TOKEN in taken.values()


async def test_a_captcha_is_pasted_at_a_terminal(
    place: Installation, service: SignalService
) -> None:
    await service.faults(challenge(TOKEN))
    argv = ("-m", "bot.cli", "signal", "challenge", TOKEN, "--data", str(place.data))
    async with at_terminal(*argv, env={}) as terminal:
        await terminal.until("or paste that address here")
        terminal.type("signalcaptcha://signal-hcaptcha.x.y\n")
        assert await terminal.end() == 0
    assert len(await service.sent("captcha")) == 1


async def test_signal_does_not_take_it(place: Installation, service: SignalService) -> None:
    await service.faults(challenge(TOKEN), rejects_captcha())
    done = await signal(place, "challenge", TOKEN, "signalcaptcha://x")
    assert done.exit_code == 1
    assert "The Signal service says: " in done.output


@pytest.mark.parametrize(
    ("token", "captcha"),
    [("--help=x", "signalcaptcha://x"), (TOKEN, "-x"), (TOKEN, "a b"), (TOKEN, "x\x1b[2J")],
)
async def test_what_is_neither_goes_nowhere(
    place: Installation, service: SignalService, token: str, captcha: str
) -> None:
    """Attack: words that the program behind the service takes for options."""
    argv = ["signal", "challenge", "--data", str(place.data), "--", token, captcha]
    done = await asyncio.to_thread(CliRunner().invoke, app, argv)
    assert done.exit_code == 1
    assert "Copy it whole" in done.output
    assert await service.calls("/v1/accounts") == []


@pytest.mark.parametrize("words", [("groups",), ("challenge", TOKEN, "signalcaptcha://x")])
async def test_without_an_account_the_way_to_one_is_named(
    place: Installation, words: tuple[str, ...]
) -> None:
    done = await signal(place, *words)
    assert done.exit_code == 1
    assert "There is no Signal account yet: nostrclaw signal link" in done.output
