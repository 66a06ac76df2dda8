"""The names of backends."""

from __future__ import annotations

import pytest

from nips.own.backend_name import BUILTIN, MAX_BACKENDS, BackendName, parse, parse_all
from nips.refusal import Malformed


@pytest.mark.parametrize(
    ("given", "read"),
    [
        ("builtin", BUILTIN),
        ("claude", BackendName("claude")),
        ("claude:claude-sonnet-4-5", BackendName("claude", "claude-sonnet-4-5")),
        ("openai:library/qwen3:4b", BackendName("openai", "library/qwen3:4b")),
    ],
)
def test_what_is_read_is_written_the_same(given: str, read: BackendName) -> None:
    assert parse(given) == read
    assert str(read) == given


@pytest.mark.parametrize(
    "given",
    [
        "", "Claude", "gemini", "builtin:", "builtin:x", "claude:", "openai:" + "x" * 201,
        "openai:a\nb", "openai:\u202e", None, 7, ["claude"],
    ],
)  # fmt: skip
def test_what_is_no_backend_is_refused(given: object) -> None:
    with pytest.raises(Malformed):
        parse(given)


def test_a_list_is_in_order_and_names_each_once() -> None:
    assert parse_all(["openai:a", "openai:b", "builtin"]) == (
        BackendName("openai", "a"),
        BackendName("openai", "b"),
        BUILTIN,
    )
    assert parse_all([]) == ()
    for wrong in ("claude", None, ["claude", "claude"], [f"openai:{n}" for n in range(9)]):
        with pytest.raises(Malformed):
            parse_all(wrong)
    assert len(parse_all([f"openai:{n}" for n in range(MAX_BACKENDS)])) == MAX_BACKENDS
