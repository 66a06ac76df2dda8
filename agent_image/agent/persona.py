"""Shell: who the assistant is in this conversation, as the router put it next to the job."""

from __future__ import annotations

import json
from pathlib import Path

from nips.own.persona import MAX_TEXT_BYTES, Persona
from nips.refusal import Malformed

FILE = "persona.json"
MAX_BYTES = 8 * MAX_TEXT_BYTES  # as JSON has it, and the other fields


def read(folder: Path) -> Persona:
    """The persona that lies in a run's `in` folder; an empty one where there is none to read."""
    try:
        with (folder / FILE).open("rb") as file:
            value = json.loads(file.read(MAX_BYTES))
        return Persona.from_json(value) if isinstance(value, dict) else Persona()
    except (OSError, ValueError, Malformed):
        return Persona()
