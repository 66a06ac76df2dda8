"""bot/operate/models.py: the plan with a provider of models, and without."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from shutil import rmtree

import pytest

from bot.__main__ import models_of_a_job
from bot.backends import ConfiguredModel
from bot.operate import assembly
from bot.operate.assembly import AssemblyError, Installation
from bot.operate.models import arguments_for_signer, configured
from bot.operate.plan import Plan
from config import settings
from nips.own.model_scope import ModelScope


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Installation]:
    made = assembly.installation(tmp_path / "data")
    yield made
    rmtree(made.run, ignore_errors=True)


def planned(place: Installation) -> Plan:
    chosen = settings.load(place.data)
    roles = assembly.prepare(place, chosen, None)
    return assembly.plan(place, chosen, roles, image="i", engine_root=place.data / "engine")


def add(place: Installation, *models: str) -> None:
    named = [part for name in models for part in ("--model", name)]
    argv = [sys.executable, "-m", "bot.cli", "model", "--data", str(place.data), "add", "local"]
    done = subprocess.run(
        [*argv, "--url", "http://127.0.0.1:9", "--no-key", *named],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr


def test_without_a_provider_there_is_no_proxy(place: Installation) -> None:
    assert [one.name for one in planned(place).programs] == ["relay", "signer", "bot"]
    assert "--model" not in planned(place).programs[-1].argv


def test_with_one_its_models_reach_the_grants(place: Installation) -> None:
    planned(place)
    add(place, "small", "large")
    known = tuple(ConfiguredModel(name, "openai") for name in ("small", "large"))
    assert configured(place.signer) == known
    plan = planned(place)
    assert [one.name for one in plan.programs] == ["relay", "signer", "model-proxy", "bot"]
    assert plan.programs[-1].argv[-4:] == (
        "--model", "openai:small", "--model", "openai:large",
    )  # fmt: skip
    roles = assembly.prepare(place, settings.load(place.data), None)
    assert roles.model is not None
    assert roles.role_of(roles.model) == "model"


def test_what_cannot_be_read_stops_the_start_in_words(place: Installation) -> None:
    planned(place)
    (place.signer / "models.toml").write_text("[one]\nurl = 1\n")
    with pytest.raises(AssemblyError, match=r"models\.toml.*style"):
        planned(place)


def test_a_job_may_use_what_the_settings_say(tmp_path: Path) -> None:
    agent = settings.load(tmp_path).agent
    assert models_of_a_job(agent, []) is None
    known = [ConfiguredModel("a", "anthropic"), ConfiguredModel("b", "openai")]
    assert models_of_a_job(agent, known) == ModelScope(("a", "b"), 200, 2_000_000, 2_000_000)
    settings.write(tmp_path, {"agent": {"model_names": ["b"], "model_usd": 0.5}})
    fewer = settings.load(tmp_path).agent
    assert models_of_a_job(fewer, known) == ModelScope(("b",), 200, 2_000_000, 500_000)


@pytest.mark.parametrize(
    ("given", "found"),
    [
        ([], ["model", "--help"]),
        (["add", "--help"], ["model", "add", "--help"]),
        (["list"], ["model", "list", "--data", "D/signer"]),
        (["remove", "x"], ["model", "remove", "--data", "D/signer", "x"]),
    ],
)
def test_the_command_finds_the_signers_folder(given: list[str], found: list[str]) -> None:
    assert arguments_for_signer(Path("D"), given) == found
