"""Shell: `python -m bot.engine start|stop|release FOLDER`: a private engine, by hand."""

from __future__ import annotations

import sys
from pathlib import Path

from bot.engine import dockerd, host
from bot.engine.layout import layout


def main(arguments: list[str]) -> int:
    """`start` prints the engine's address and leaves it running until `stop`; `release` ends one
    that was left behind by a user that died, unless somebody works with it."""
    match arguments:
        case ["start", folder]:
            return _start(Path(folder))
        case ["stop", folder]:
            was_running = dockerd.stop(layout(Path(folder).absolute()))
            _say("stopped" if was_running else "no engine runs there")
            return 0
        case ["release", folder]:
            dockerd.release(layout(Path(folder).absolute()))
            return 0
        case _:
            _say("usage: python -m bot.engine start|stop|release FOLDER")
            return 2


def _start(folder: Path) -> int:
    try:
        found = host.find(folder, install=True, announce=_say)
    except host.EngineUnavailable as unavailable:
        _say(str(unavailable))
        return 1
    if found.place is not None:
        found.place.keep.touch()
    host.close(found)
    sys.stdout.write(f"DOCKER_HOST={found.url}\n")
    return 0


def _say(text: str) -> None:
    sys.stderr.write(text + "\n")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
