"""Shell: which backends this session may use, as the router put them next to the job.

`backends.json` in a run's `in` folder: `{"backends":["claude:claude-sonnet-4-5","builtin"]}`, in
order of preference. Models stand there by name; what cannot be read is the built-in one.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from agent_image.agent.backends import Prepared, Ready, builtin
from agent_image.agent.model import Models
from nips.own import backend_name
from nips.own.backend_name import BUILTIN, BackendName
from nips.refusal import Malformed

FILE = "backends.json"
MAX_BYTES = 64 * 1024


def read(folder: Path) -> tuple[BackendName, ...]:
    """The backends that lie in a run's `in` folder, the built-in one where there are none."""
    try:
        with (folder / FILE).open("rb") as file:
            value = json.loads(file.read(MAX_BYTES))
        return backend_name.parse_all(value["backends"]) or (BUILTIN,)
    except (OSError, ValueError, KeyError, TypeError, Malformed):
        return (BUILTIN,)


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
