"""Shell: what this session works with, as the router put it next to the job.

`backends.json` in a run's `in` folder: `{"backends":["claude:claude-sonnet-4-5","builtin"],
"main":true}`, the backends in order of preference, and whether the conversation is the owner's own.
Models stand there by name. What cannot be read is the built-in one, in anybody's conversation.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from agent_image.agent.backends import Prepared, Ready, builtin
from agent_image.agent.model import Models
from nips.own import backend_name
from nips.own.backend_name import BUILTIN, BackendName
from nips.refusal import Malformed

FILE = "backends.json"
MAX_BYTES = 64 * 1024


@dataclass(frozen=True, slots=True)
class Choice:
    """backends: in order of preference, at least one. is_main: its tools are described too; whether
    they do anything the relay, the signer and the router decide."""

    backends: tuple[BackendName, ...] = (BUILTIN,)
    is_main: bool = False


def read(folder: Path) -> Choice:
    """What lies in a run's `in` folder."""
    try:
        with (folder / FILE).open("rb") as file:
            value = json.loads(file.read(MAX_BYTES))
        backends = backend_name.parse_all(value["backends"]) or (BUILTIN,)
        return Choice(backends, value.get("main") is True)
    except (OSError, ValueError, KeyError, TypeError, AttributeError, Malformed):
        return Choice()


def make(name: BackendName, models: Models, wrote: Callable[[str], None]) -> Prepared:
    """The backend of that name. Its import is left to whoever chose it: it costs time.

    wrote: is called with what the model writes, as it comes; returns at once, never raises.
    """
    match name:
        case BackendName("claude", str(model)):
            from agent_image.agent.backends.claude import Claude

            return Claude(models, model, wrote)
        case BackendName("openai", str(model)):
            from agent_image.agent.backends.openai import OpenAI

            return OpenAI(models, model, wrote)
        case _:
            return Ready(builtin.work)
