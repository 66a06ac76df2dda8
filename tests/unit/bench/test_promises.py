"""bench/promises.py held against the tests that it names."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from bench.promises import NAMES, PROMISES, Promise, promise_of

ROOT = Path(__file__).resolve().parents[3]
# Where a test asks for its figure.
ASKED = re.compile(r"\b(?:figure|rounds)\(\"([\w-]+)\"\)|\bfigure\('([\w-]+)'\)")
promises = pytest.mark.parametrize("promise", PROMISES, ids=NAMES)


def asked_in(path: Path) -> set[str]:
    return {first or second for first, second in ASKED.findall(path.read_text("utf-8"))}


def functions_in(path: Path) -> set[str]:
    body = ast.parse(path.read_text("utf-8")).body
    functions = [node for node in body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]
    return {node.name for node in functions if node.name.startswith("test_")}


@promises
def test_what_shows_a_promise_exists(promise: Promise) -> None:
    assert promise.tests
    for named in promise.tests:
        file, _, test = named.partition("::")
        found = functions_in(ROOT / file)
        assert found
        assert not test or test in found, named


@promises
def test_what_shows_a_promise_asks_for_its_figure(promise: Promise) -> None:
    files = {ROOT / named.partition("::")[0] for named in promise.tests}
    asked = {name for file in files for name in asked_in(file)}
    assert (promise.name in asked) == (promise.short != promise.full)
    assert 1 <= promise.short <= promise.full
    assert bool(promise.unit) == (promise.short != promise.full)


def test_no_test_asks_for_another_figure() -> None:
    files = set((ROOT / "tests").rglob("*.py")) - set(Path(__file__).parent.iterdir())
    asked = {name for path in files for name in asked_in(path)}
    assert "frames" in asked
    assert asked <= set(NAMES)


def test_names_are_short_and_different() -> None:
    assert len(set(NAMES)) == len(NAMES)
    assert all(re.fullmatch(r"[a-z]+(-[a-z]+)*", name) for name in NAMES)
    assert all(promise.sentence.endswith(".") for promise in PROMISES)
    assert promise_of("frames").unit == "frames"
    with pytest.raises(KeyError):
        promise_of("nothing")
