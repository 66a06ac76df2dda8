"""agent_image/agent/backends/task_commands.py: what a message has the agent plan."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent_image.agent.backends import task_commands
from agent_image.agent.backends.commands import Command, parse
from agent_image.agent.backends.house_commands import Incomplete
from agent_image.agent.backends.task_commands import USAGE, CancelTask, ListTasks, Schedule
from bot.commands.table import AGENTS, TABLE


@pytest.mark.parametrize(
    ("text", "command"),
    [
        ('/schedule "0 16 * * 1-5" Water them', Schedule("0 16 * * 1-5", "Water them")),
        ("/schedule “every 15m” /say hi", Schedule("every 15m", "/say hi")),
        ("/schedule „@daily“ One\n\n“two”", Schedule("@daily", "One\n\n“two”")),
        ("/schedule 0 16 * * 1-5 Water them", Incomplete(USAGE["schedule"])),
        ('/schedule "@daily"', Incomplete(USAGE["schedule"])),
        ("/schedule", Incomplete(USAGE["schedule"])),
        ("/tasks", ListTasks("")),
        ("/tasks Water the plants", ListTasks("Water the plants")),
        ("/untask 3f2a", CancelTask("3f2a")),
        ("/untask", Incomplete(USAGE["untask"])),
    ],
)
def test_what_it_plans(text: str, command: Command) -> None:
    assert parse(text) == command


def test_none_of_them_is_the_owners_command_but_the_list() -> None:
    assert set(USAGE) <= set(AGENTS)
    assert set(USAGE).isdisjoint(TABLE)
    # In main the router answers it, elsewhere the agent: with the same.
    assert "tasks" in TABLE


@given(st.sampled_from([*USAGE, "tasks", "other"]), st.text(max_size=80))
def test_whatever_follows_is_read(name: str, rest: str) -> None:
    found = task_commands.parse(name, rest.strip())
    assert (found is None) == (name == "other")
