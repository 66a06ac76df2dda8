"""`nostrclaw do` and `nostrclaw group`, as processes, with a real router on a real relay."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import typer

from bot.commands import asked
from bot.commands.grammar import parse
from bot.operate.groups import SETTINGS, quoted, setting_command
from bot.operate.order import METHOD
from nips.key import SecretKey
from nips.nip19 import encode_npub
from nips.refusal import Refused
from relay_local.client import Caller, Unanswered, connect
from tests.command_line import nostrclaw
from tests.unit.bot.commands.stage import Stage, a_stage

ANN = encode_npub(SecretKey(bytes([1]) * 32).public)


@pytest.fixture(scope="module")
async def stage() -> AsyncIterator[Stage]:
    async with a_stage() as made, made.router(("qwen3",)):
        yield made


async def test_any_command(stage: Stage) -> None:
    status, said = await nostrclaw(stage.place.data, "do", "/help")
    assert (status, said.splitlines()[0]) == (0, "✅ Your commands. No model is asked for them:")
    status, said = await nostrclaw(stage.place.data, "do", "/status", "--json")
    answer = json.loads(said)
    assert status == 0
    assert answer["ok"] is True
    assert answer["data"]["models"] == 1


async def test_a_wrong_command_ends_with_status_1(stage: Stage) -> None:
    status, said = await nostrclaw(stage.place.data, "do", "/grup")
    assert status == 1
    assert "Did you mean /group?" in said
    status, said = await nostrclaw(stage.place.data, "do", "status")
    assert status == 1
    assert "begins with /" in said


async def test_groups_from_the_shell(stage: Stage) -> None:
    data = stage.place.data
    for arguments, words in (
        (("new", "Our family", "--trigger", "none", "--with", ANN), "Made our-family."),
        (("list",), "our-family"),
        (("show", "Our family"), ANN),
        (("set", "our-family", "quiet", "22:00-07:00", "Europe/Berlin"), "22:00 to 07:00"),
        (("set", "our-family", "runs", "50"), "50 runs"),
        (("set", "our-family", "models", "qwen3"), "may use qwen3"),
        (("set", "our-family", "paused", "on"), "paused"),
        (("unbind", "our-family", ANN), "no more"),
        (("bind", "our-family", ANN), "bound to"),
        (("rename", "our-family", 'The "kin"'), 'It is called The "kin" now.'),
        (("archive", "our-family"), "archived"),
        (("restore", "our-family"), "taken up again"),
        (("delete", 'The "kin"', "--wipe"), "Its files are gone too."),
    ):
        status, said = await nostrclaw(data, "group", *arguments)
        assert status == 0, said
        assert said.startswith("✅ ")
        assert words in said
    status, said = await nostrclaw(data, "group", "show", "our-family", "--json")
    assert status == 1
    assert json.loads(said)["ok"] is False


async def test_nothing_runs(tmp_path: Path) -> None:
    data = tmp_path / "data"
    status, said = await nostrclaw(data, "do", "/status")
    assert status == 1
    assert said == (
        f"nostrclaw: Nothing runs with {data}. Start it first: nostrclaw up --data {data}\n"
    )


@pytest.mark.parametrize("role", ["chat", "bridge-nostr", "model"])
async def test_no_other_key_has_a_command_carried_out(stage: Stage, role: str) -> None:
    key = stage.role(role)
    async with connect(stage.place.relay_address, [key]) as link:
        with pytest.raises((Refused, Unanswered)):
            await Caller(link, key, stage.roles.router).call(METHOD, "/status", deadline_s=3)


async def test_a_request_that_is_repeated_is_carried_out_once(stage: Stage) -> None:
    key = stage.role("console")
    await stage.ask("/group new Again trigger none")
    async with connect(stage.place.relay_address, [key]) as link:
        caller = Caller(link, key, stage.roles.router)
        text = "/budget again runs +10"
        first = await caller.call(METHOD, text, request_id="one", deadline_s=20)
        assert await caller.call(METHOD, text, request_id="one", deadline_s=20) == first
    await stage.ask("/budget again runs 5")
    assert "of 15 runs" in await stage.ask("/budget again")


def test_every_setting_becomes_a_command_that_is_one() -> None:
    values = {
        "trigger": ["claw"], "senders": ["members"], "agents": ["on"], "quiet": ["off"],
        "mute": [ANN], "unmute": [ANN], "runs": ["5"], "tokens": ["+200k"], "usd": ["off"],
        "name": ["Claw"], "picture": ["https://x.example/a.png"], "text": ["Be", "brief."],
        "models": ["none"], "backend": ["claude", "builtin"], "paused": ["off"],
    }  # fmt: skip
    assert set(values) == {*SETTINGS, "paused"}
    for setting, value in values.items():
        read = parse(setting_command('Our "best" family', setting, value))
        assert not isinstance(read, asked.Bad | None), setting
        assert getattr(read, "group", None) == 'Our "best" family'


def test_settings_that_there_are_not() -> None:
    for setting, value in (("colour", ["red"]), ("paused", ["maybe"])):
        with pytest.raises(typer.Exit):
            setting_command("Ann", setting, value)


def test_names_are_one_word_of_a_command() -> None:
    for name in ("Ann", "Our family", "delete", 'The "kin"'):
        assert parse(f"/group {quoted(name)}") == asked.ShowGroup(name)
