"""Shell: the agent's program in a hostile group: it makes every attempt and writes a report.

What it knows and should not know is in `known.json` in its folder; the report is `report.json`.
In the other group, whose people are innocent, the same program is the victim (`victim.py`).
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import sys
import traceback
from pathlib import Path

from nips.key import SecretKey
from relay_local.client import Caller, connect
from tests.image.hostile import files, machine, reading, signing, writing
from tests.image.hostile.attempt import ATTEMPTS, CONTROLS, SOCKET, Scene, make
from tests.image.hostile.victim import own_job, suffer, write

GROUP = Path("/workspace/group")
PARTS = (reading, writing, signing, files, machine)


async def main() -> None:
    key = SecretKey(bytes.fromhex(sys.stdin.readline().strip()))
    known = json.loads((GROUP / "known.json").read_text())
    async with connect(f"unix:{SOCKET}", [key]) as link:
        await link.connected()
        if known["part"] == "victim":
            await suffer(link, key, known)
            return
        known |= {"self": key.public, "job": await own_job(link, key)}
        scene = Scene(
            link, key, Caller(link, key, known["signer"]), Caller(link, key, known["router"]), known
        )
        order = random.Random(known["seed"] + os.getpid())
        attempts = order.sample(ATTEMPTS, len(ATTEMPTS))
        controls = {one.name: await make(scene, one) for one in CONTROLS}
        seen = {one.name: await make(scene, one) for one in attempts if not one.alone}
    seen |= {one.name: await make(scene, one) for one in attempts if one.alone}
    report = {"controls": controls, "attempts": seen}
    write("report.json", report)


if __name__ == "__main__":
    try:
        asyncio.run(main())
    except BaseException:
        write("crash.json", {"traceback": traceback.format_exc()})
        raise
