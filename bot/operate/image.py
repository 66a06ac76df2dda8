"""Shell: the engine and the agent's image, brought up with their progress shown."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from bot.engine.host import Engine

Announce = Callable[[str], None]


class ImageError(Exception):
    """The image could not be had; the message says why and what to do."""


def ensure_image(engine: Engine, announce: Announce) -> str:
    """Return the tag of the agent's image, built first where the engine lacks it.

    The image's room has its own command; each line it says is announced. Raises ImageError.
    """
    process = subprocess.Popen(
        [sys.executable, "-m", "agent_image.build"],
        env=os.environ | {"DOCKER_HOST": engine.url},
        cwd=Path(__file__).resolve().parents[2],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stderr is not None
    last = ""
    try:
        for line in process.stderr:
            last = line.strip() or last
            announce(line.rstrip())
        tag = process.stdout.read().strip()
    finally:
        if process.poll() is None and sys.exc_info()[0] is not None:
            process.terminate()
        status = process.wait()
    if status != 0:
        raise ImageError(last or "The agent's image could not be built.")
    return tag.splitlines()[-1]
