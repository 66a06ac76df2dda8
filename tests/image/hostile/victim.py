"""Shell: the program of the other group, which does its work while the hostile one tries."""

from __future__ import annotations

import asyncio
import ctypes
import json
import socket
import sys
import time
from pathlib import Path
from typing import Any

from nips.filter import Filter
from nips.key import SecretKey
from nips.refusal import Refused
from relay_local.client import Caller, Delivery, Link

GROUP = Path("/workspace/group")
IPC_CREATE = 0o1000
SHMGET = 29


async def own_job(link: Link, key: SecretKey) -> str:
    """The id of the job that this session was started for."""
    wanted = Filter.from_json({"kinds": [43_002], "#p": [key.public]})
    async with link.subscribe([wanted]) as stream:
        async for item in stream:
            if isinstance(item, Delivery):
                return item.event.tag("e") or ""
    raise AssertionError("a subscription ends by an exception only")


async def suffer(link: Link, key: SecretKey, known: dict[str, Any]) -> None:
    """Say something, be there in every way that can be reached for, say the next thing when the
    host says that it is over."""
    signer = Caller(link, key, known["signer"])
    job = await own_job(link, key)

    async def speak(once: str, content: str) -> str:
        template = {
            "created_at": int(time.time()),
            "kind": 9,
            "tags": [["h", known["own"]], ["job", job], ["o", once]],
            "content": content,
        }
        try:
            return await signer.call("sign_event", json.dumps(template), deadline_s=20)
        except Refused as error:
            return str(error.refusal)

    said = await speak(known["said_once"], known["secret_word"])
    abstract = socket.socket(socket.AF_UNIX)
    abstract.bind("\0" + known["other_abstract"])
    abstract.listen()
    server = socket.create_server(("127.0.0.1", known["other_port"]))
    shared = ctypes.CDLL(None).syscall(SHMGET, known["shm_key"], 16, IPC_CREATE | 0o666)
    program = "import sys; sys.stdin.read()"
    marked = await asyncio.create_subprocess_exec(
        sys.executable, "-c", program, known["other_mark"], stdin=asyncio.subprocess.PIPE
    )
    write("ready.json", {"key": key.raw.hex(), "job": job, "said": said, "shared": shared})
    wanted = Filter.from_json({"kinds": [9], "#h": [known["own"]]})
    async with link.subscribe([wanted]) as stream:
        async for item in stream:
            if isinstance(item, Delivery) and item.event.content == known["over"]:
                break
    next_said = await speak(known["next_once"], "and this was said")
    marked.kill()
    await marked.wait()
    server.close()
    abstract.close()
    write("report.json", {"next": next_said})


def write(name: str, value: dict[str, Any]) -> None:
    part = GROUP / f"{name}.part"
    part.write_text(json.dumps(value))
    part.rename(GROUP / name)
