"""Which backends lie next to the job, and what they are made into."""

from __future__ import annotations

import json
from pathlib import Path
from secrets import token_bytes

import pytest

from agent_image.agent import choice
from agent_image.agent.backends import Ready
from agent_image.agent.backends.openai import OpenAI
from agent_image.agent.model import Models
from nips.key import SecretKey
from nips.own.backend_name import BUILTIN, BackendName


def test_the_names_are_read_in_their_order(tmp_path: Path) -> None:
    names = ["claude:sonnet", "openai:qwen", "builtin"]
    for is_main in (True, False):
        text = json.dumps({"backends": names, "main": is_main})
        (tmp_path / choice.FILE).write_text(text)
        found = choice.read(tmp_path)
        assert [str(name) for name in found.backends] == names
        assert found.is_main is is_main


@pytest.mark.parametrize(
    "text",
    [
        None, "", "[]", "{}", '{"backends":"claude"}', '{"backends":[]}', '{"backends":["x"]}',
        '{"backends":["claude","claude"],"main":true}', "\xff",
        '{"backends":["builtin"]' + " " * 70_000 + "}",
    ],
)  # fmt: skip
def test_what_cannot_be_read_is_the_one_that_needs_nothing(
    tmp_path: Path, text: str | None
) -> None:
    if text is not None:
        (tmp_path / choice.FILE).write_bytes(text.encode("latin-1"))
    assert choice.read(tmp_path) == choice.Choice((BUILTIN,), is_main=False)


async def test_each_name_is_made_into_its_backend() -> None:
    models = Models(SecretKey.generate(token_bytes), lambda: 0.0)
    assert isinstance(choice.make(BackendName("openai", "qwen"), models, print), OpenAI)
    assert isinstance(choice.make(BUILTIN, models, print), Ready)
    made = choice.make(BackendName("claude", "sonnet"), models, print)
    assert type(made).__name__ == "Claude"
    await made.close()  # unprepared, it has nothing to end
