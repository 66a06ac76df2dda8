"""Shell: which language models an installation has, and the process that calls them.

The signer's room knows; it is asked only where a provider was ever configured.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from bot.backends import ConfiguredModel
from bot.operate.plan import Program

READY = "model-proxy: ready"


class ModelsError(Exception):
    """What is configured cannot be read; the message says why and what to do."""


def configured(signer: Path) -> tuple[ConfiguredModel, ...]:
    """The models of all providers. signer: its folder. Raises ModelsError."""
    if not (signer / "models.toml").exists():
        return ()
    argv = [sys.executable, "-m", "signer", "model", "list", "--json", "--data", str(signer)]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise ModelsError(f"The models cannot be read: {done.stderr.strip()}")
    return tuple(
        ConfiguredModel(name, provider["style"])
        for provider in json.loads(done.stdout)
        for name in provider["models"]
    )


def proxy(signer: Path, key: Path, roles: Path, relay: str, sessions: Path) -> Program:
    """The process that calls them. sessions: the folder of the sessions' sockets."""
    return Program(
        "model-proxy",
        (
            sys.executable, "-m", "signer", "model-proxy",
            "--data", str(signer),
            "--key", str(key),
            "--roles", str(roles),
            "--relay", relay,
            "--sessions", str(sessions),
        ),
        READY,
    )  # fmt: skip


def arguments_for_signer(data: Path, given: list[str]) -> list[str]:
    """`nostrclaw model ACTION …` as the signer's own command has it."""
    action = given[:1]
    if not action or {"-h", "--help"} & set(given):
        return ["model", *(given or ["--help"])]
    return ["model", *action, "--data", str(data / "signer"), *given[1:]]
