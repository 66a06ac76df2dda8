"""Main's agent reads the assistant's own source in its container, and cannot change it there."""

from __future__ import annotations

import json

import docker

from bot.engine.host import Engine
from bot.engine.project import TREE
from tests.image.stage import a_stage

PROGRAM = """
import json, os
from pathlib import Path
top = Path("/workspace/project")
found = {"router": (top / "bot/router.py").read_text(), "names": sorted(os.listdir(top))}
for name, act in {
    "changed": lambda: (top / "bot/router.py").write_text("x"),
    "made": lambda: (top / "bot/new.py").write_text("x"),
    "removed": lambda: (top / "README.md").unlink(),
    "opened up": lambda: (top / "bot").chmod(0o777),
}.items():
    try:
        act()
        found[name] = "done"
    except OSError as error:
        found[name] = error.strerror
Path("/workspace/group/found.json").write_text(json.dumps(found))
"""


async def test_main_reads_the_source_and_changes_nothing_of_it(
    engine: Engine, docker_client: docker.DockerClient, agent_image: str
) -> None:
    async with a_stage(engine, docker_client, agent_image) as stage, stage.router(PROGRAM):
        await stage.end(await stage.say("read yourself"))
        found = json.loads((stage.place.data / "groups/main/found.json").read_text())
    assert found["router"] == (TREE / "bot/router.py").read_text()
    assert {"bot", "nips", "signer", "README.md"} <= set(found["names"])
    assert not [name for name in found["names"] if name.startswith(".")]
    for attempt in ("changed", "made", "removed", "opened up"):
        assert found[attempt] == "Read-only file system"
