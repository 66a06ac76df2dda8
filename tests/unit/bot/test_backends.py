"""Which backends a conversation's agents work with."""

from __future__ import annotations

import pytest

from bot.backends import Backends, ConfiguredModel, model
from nips.own.backend_name import parse_all

SONNET, QWEN, MINI = (
    ConfiguredModel("sonnet", "anthropic"),
    ConfiguredModel("qwen", "openai"),
    ConfiguredModel("mini", "openai"),
)
ALL = ("sonnet", "qwen", "mini")


@pytest.mark.parametrize(
    ("chosen", "own", "usable", "found"),
    [
        # Nothing chosen: the first that may be used, by the program that speaks its dialect.
        ((), None, ALL, ("claude:sonnet",)),
        ((), None, ("mini", "qwen"), ("openai:mini",)),
        ((), None, (), ("builtin",)),
        ((), (), ALL, ("claude:sonnet",)),
        # For all, unless the conversation chooses itself.
        (("builtin",), None, ALL, ("builtin",)),
        (("builtin",), ("openai",), ALL, ("openai:qwen",)),
        # A name without a model is the first of its dialect that may be used.
        ((), ("openai", "claude", "builtin"), ("mini", "sonnet"),
         ("openai:mini", "claude:sonnet", "builtin")),
        ((), ("openai:qwen", "openai"), ("qwen",), ("openai:qwen",)),
        # What cannot be used is left out, and the built-in one is always there.
        ((), ("claude:opus", "openai:mini"), ALL, ("openai:mini",)),
        ((), ("claude",), ("qwen",), ("builtin",)),
        ((), ("openai:qwen",), ("mini",), ("builtin",)),
        # A model under another's dialect is none of its own.
        ((), ("claude:qwen",), ALL, ("builtin",)),
    ],
)  # fmt: skip
def test_what_was_chosen_and_what_there_is(
    chosen: tuple[str, ...],
    own: tuple[str, ...] | None,
    usable: tuple[str, ...],
    found: tuple[str, ...],
) -> None:
    backends = Backends(parse_all(chosen), (SONNET, QWEN, MINI))
    assert tuple(map(str, backends.of(own, usable))) == found


def test_what_is_missing_is_named() -> None:
    backends = Backends(models=(QWEN,))
    assert backends.missing(["openai", "claude", "openai:mini", "builtin"]) == (
        "claude", "openai:mini",
    )  # fmt: skip
    assert backends.every() == ("openai:qwen", "builtin")


def test_a_model_is_given_with_its_dialect() -> None:
    assert model("openai:qwen3:4b") == ConfiguredModel("qwen3:4b", "openai")
    assert model(str(SONNET)) == SONNET
    for wrong in ("sonnet", "anthropic:", "gemini:x", ""):
        with pytest.raises(ValueError, match="anthropic:NAME"):
            model(wrong)
