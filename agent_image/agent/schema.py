"""Pure: a tool's JSON Schema from its function's type hints, and arguments checked against it.

A tool is an async method whose docstring is its description and whose parameters are
`Annotated[str | int | bool, "what it is"]`; one with a default may be left out.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Collection, Mapping
from typing import Any, get_args

from agent_image.agent.backends import ToolDescription

JSON_TYPES = {str: "string", int: "integer", bool: "boolean"}


class BadArguments(Exception):
    """The arguments do not fit the tool; the sentence says which one and why."""


def describe(tool: Callable[..., object], without: Collection[str] = ()) -> ToolDescription:
    """Describe a tool. without: names of parameters that are not told of, if it has them.

    Raises KeyError for a parameter of a type JSON Schema has no name for.
    """
    parameters = {n: p for n, p in _parameters(tool).items() if n not in without}
    properties = {}
    for name, parameter in parameters.items():
        kind, meaning = get_args(parameter.annotation)
        properties[name] = {"type": JSON_TYPES[kind], "description": meaning}
    required = [n for n, p in parameters.items() if p.default is inspect.Parameter.empty]
    return ToolDescription(
        tool.__name__,
        inspect.getdoc(tool) or "",
        {
            "type": "object",
            "properties": properties,
            "required": required,
            "additionalProperties": False,
        },
    )


def check(tool: Callable[..., object], arguments: Mapping[str, object]) -> None:
    """Raise BadArguments unless `arguments` fit `tool`: a model's arguments are anybody's text."""
    parameters = _parameters(tool)
    if unknown := sorted(set(arguments) - set(parameters)):
        raise BadArguments(f"{tool.__name__} has no argument {unknown[0][:40]!r}")
    for name, parameter in parameters.items():
        kind = get_args(parameter.annotation)[0]
        if name not in arguments:
            if parameter.default is inspect.Parameter.empty:
                raise BadArguments(f"{tool.__name__} needs the argument {name!r}")
        elif type(arguments[name]) is not kind:  # True is an int to isinstance
            raise BadArguments(f"{tool.__name__}: {name!r} must be a {JSON_TYPES[kind]}")
        elif not _has_utf8(arguments[name]):
            raise BadArguments(f"{tool.__name__}: {name!r} holds a lone surrogate")


def _has_utf8(value: object) -> bool:
    """A model's JSON may hold a lone surrogate, which no event and no file can."""
    try:
        str(value).encode()
    except UnicodeEncodeError:
        return False
    return True


def _parameters(tool: Callable[..., object]) -> dict[str, inspect.Parameter]:
    parameters: dict[str, Any] = dict(inspect.signature(tool, eval_str=True).parameters)
    parameters.pop("self", None)
    return parameters
