"""agent_image/agent/persona.py: who the agent is, and what is none."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from agent_image.agent.backends.builtin import plan_of
from agent_image.agent.backends.commands import Help
from agent_image.agent.persona import FILE, read
from bot.attempt import PERSONA_FILE
from bot.run_folders import Layout
from nips.own.persona import MAX_TEXT_BYTES, Persona


@pytest.mark.parametrize(
    "persona",
    [Persona(), Persona("Ada Ö", None, "Brief."), Persona(text="\u0001" * MAX_TEXT_BYTES)],
)
def test_what_the_router_hands_in_is_read(tmp_path: Path, persona: Persona) -> None:
    session = "0a" * 32
    Layout(tmp_path, tmp_path / "run").hand_in(session, FILE, json.dumps(persona.to_json()))
    assert read(tmp_path / "ipc" / session[:16] / "in") == persona
    assert FILE == PERSONA_FILE


@pytest.mark.parametrize("text", ["", "[]", "{", '{"nick":"x"}', '{"name":"@x"}', "\udcff"])
def test_what_is_none_is_nobody(tmp_path: Path, text: str) -> None:
    (tmp_path / FILE).write_bytes(text.encode(errors="surrogateescape"))
    assert read(tmp_path) == Persona()
    assert read(tmp_path / "nowhere") == Persona()


def test_it_says_its_name() -> None:
    assert plan_of(Help(), "Ada").words("").startswith("I am Ada. I answer plain commands:")
    assert plan_of(Help()).words("").startswith("I answer plain commands:")
