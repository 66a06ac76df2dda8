"""The house rules, checked by reading the code: who imports whom, what is pure, what is said."""

from __future__ import annotations

import ast
import re
import sys
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

from config.settings import AgentSettings, Settings
from nips.kinds import Kind

ROOT = Path(__file__).resolve().parents[1]
ROOMS = ("nips", "relay_local", "signer", "bot", "agent_image", "config")
DOOR = "relay_local.client"
# Touching any of these is I/O, a clock, randomness or concurrency.
IMPURE = {
    "aiosqlite", "asyncio", "docker", "httpx", "nostr_sdk", "os", "pathlib", "random", "secrets",
    "shutil", "signal", "socket", "sqlite3", "structlog", "subprocess", "tempfile", "threading",
    "time", "websockets",
}  # fmt: skip
COMPOSITION_ROOTS = re.compile(
    r"^(relay_local|signer|bot)\.__main__$|^signer\.commands\.\w+$|^bot\.cli$"
    r"|^bot\.operate\.\w+$|^config(\.|$)"
)


def modules() -> dict[str, ast.Module]:
    """Every module of ours by its dotted name."""
    found = {}
    for room in ROOMS:
        for path in sorted((ROOT / room).rglob("*.py")):
            name = ".".join(path.relative_to(ROOT).with_suffix("").parts)
            found[name.removesuffix(".__init__")] = ast.parse(path.read_text("utf-8"))
    return found


MODULES = modules()
FILES = {name: bool((ROOT / name.replace(".", "/")).is_dir()) for name in MODULES}


def imports(name: str) -> set[str]:
    """What a module imports, `from a import b` as `a.b` where that is a module of ours."""
    found: set[str] = set()
    for node in ast.walk(MODULES[name]):
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{name}: relative import"
            source = node.module or ""
            for alias in node.names:
                full = f"{source}.{alias.name}"
                found.add(full if full in MODULES else source)
    return found


def ours(name: str) -> set[str]:
    """The first-party modules that a module imports."""
    return {used for used in imports(name) if used.split(".")[0] in ROOMS}


def is_below(name: str, package: str) -> bool:
    """Say whether a module is a package's or in it."""
    return name == package or name.startswith(f"{package}.")


def may_import(name: str, used: str) -> bool:
    """The drawing in ARCHITECTURE.md: nips ← relay_local.client ← the siblings; config by roots."""
    if is_below(used, "nips"):
        return True
    if is_below(name, "nips"):
        return False
    if is_below(name, DOOR):
        return is_below(used, DOOR)
    if is_below(used, "config"):
        return bool(COMPOSITION_ROOTS.match(name))
    if is_below(used, DOOR):
        return not is_below(name, "config")
    if is_below(name, "agent_image.agent"):  # what the image holds
        return is_below(used, "agent_image.agent")
    return name.split(".")[0] == used.split(".")[0]


def doc(name: str) -> str:
    """A module's docstring."""
    return ast.get_docstring(MODULES[name]) or ""


@pytest.mark.parametrize("name", MODULES)
def test_imports_go_one_way(name: str) -> None:
    wrong = {used for used in ours(name) if not may_import(name, used)}
    assert not wrong, f"{name} may not import {sorted(wrong)}"


def test_the_rule_itself_refuses_siblings() -> None:
    assert not may_import("bot.router", "signer.policy")
    assert not may_import("signer.service", "relay_local.store")
    assert not may_import("agent_image.agent.tools", "config.settings")
    assert not may_import("nips.event", "relay_local.client")
    assert not may_import("bot.router", "config.settings")


@pytest.mark.parametrize("name", [n for n in MODULES if not FILES[n]])
def test_every_module_says_pure_or_shell(name: str) -> None:
    assert doc(name).startswith(("Pure: ", "Shell: ")), f"{name}: docstring"


@pytest.mark.parametrize("name", [n for n in MODULES if doc(n).startswith("Pure")])
def test_pure_stays_pure(name: str) -> None:
    used = imports(name)
    impure = {module for module in used if module.split(".")[0] in IMPURE}
    assert not impure, f"{name} is pure and imports {sorted(impure)}"
    shells = {m for m in used if m in MODULES and doc(m).startswith("Shell")}
    assert not shells, f"{name} is pure and imports the shell {sorted(shells)}"


def test_nips_is_pure_as_a_whole() -> None:
    assert all(doc(n).startswith("Pure: ") for n in MODULES if is_below(n, "nips") and not FILES[n])


def test_no_room_is_without_a_name() -> None:
    nameless = {"util", "utils", "helper", "helpers", "common", "base_", "misc", "manager"}
    assert not nameless & {name.split(".")[-1] for name in MODULES}


def log_calls_with_a_second_event() -> list[str]:
    """Where a log line is given a value called `event`, which is structlog's name for its text."""
    return [
        f"{name}:{node.lineno}"
        for name, tree in modules().items()
        for node in ast.walk(tree)
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and isinstance(node.func.value, ast.Name)
        and node.func.value.id == "log"
        and any(keyword.arg == "event" for keyword in node.keywords)
    ]


def test_no_log_line_has_a_value_called_event() -> None:
    """It raises TypeError, and only when the line is said: on what should have been survived."""
    assert log_calls_with_a_second_event() == []


def test_our_top_level_names_are_ours_alone() -> None:
    owners = packages_distributions()
    for room in ROOMS:
        assert set(owners.get(room, ["nostrclaw"])) == {"nostrclaw"}
        assert room not in sys.stdlib_module_names


@pytest.mark.parametrize("kind", Kind)
def test_every_kind_is_documented(kind: Kind) -> None:
    text = (ROOT / "PROTOCOL.md").read_text("utf-8")
    assert re.search(rf"(?<!\d){int(kind)}(?!\d)", text), f"PROTOCOL.md does not name {kind!r}"


@pytest.mark.parametrize("name", [*Settings.model_fields, *AgentSettings.model_fields])
def test_every_setting_has_a_default_that_is_explained(name: str) -> None:
    text = (ROOT / "config/defaults.toml").read_text("utf-8")
    assert re.search(rf"^(\[{name}\]|{name} = )", text, re.MULTILINE), name


def test_no_address_of_a_registry_and_no_path_of_a_machine() -> None:
    lock = (ROOT / "requirements.lock").read_text("utf-8")
    assert "://" not in lock
    assert "index-url" not in lock
    assert lock.count("--hash=sha256:") > 100
