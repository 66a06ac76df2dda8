"""agent_image/agent/schema.py: descriptions for a model, and arguments from one."""

from __future__ import annotations

from typing import Annotated, Any

import pytest

from agent_image.agent.schema import BadArguments, check, describe


class Tools:
    async def fetch(
        self,
        name: Annotated[str, "its name"],
        n_times: Annotated[int, "how often"] = 1,
        loud: Annotated[bool, "whether to shout"] = False,
    ) -> str:
        """Fetch a thing."""
        return f"{name}{n_times}{loud}"


def test_a_method_becomes_a_json_schema() -> None:
    described = describe(Tools().fetch)
    assert (described.name, described.description) == ("fetch", "Fetch a thing.")
    assert described.parameters == {
        "type": "object",
        "properties": {
            "name": {"type": "string", "description": "its name"},
            "n_times": {"type": "integer", "description": "how often"},
            "loud": {"type": "boolean", "description": "whether to shout"},
        },
        "required": ["name"],
        "additionalProperties": False,
    }


@pytest.mark.parametrize(
    "arguments",
    [{"name": "a"}, {"name": "", "n_times": 3}, {"name": "ü", "n_times": -1, "loud": True}],
)
def test_fitting_arguments_pass(arguments: dict[str, Any]) -> None:
    check(Tools().fetch, arguments)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({}, "needs the argument 'name'"),
        ({"name": 1}, "must be a string"),
        ({"name": None}, "must be a string"),
        ({"name": "a", "n_times": True}, "must be a integer"),
        ({"name": "a", "n_times": 1.0}, "must be a integer"),
        ({"name": "a", "loud": 1}, "must be a boolean"),
        ({"name": "a", "self": "b"}, "no argument 'self'"),
        ({"name": "a", "volume": 11}, "no argument 'volume'"),
        ({"name": "\ud800"}, "lone surrogate"),
    ],
)
def test_other_arguments_are_refused(arguments: dict[str, Any], sentence: str) -> None:
    with pytest.raises(BadArguments, match=sentence):
        check(Tools().fetch, arguments)
