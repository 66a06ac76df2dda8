"""Shell: a server of files, honest or not, as a process: FOLDER PORT [CERTIFICATE KEY].

Says its port, then serves FOLDER/<name> as /<manner>/<name>. What is asked for is written, a line
each, to FOLDER/requests.
"""

from __future__ import annotations

import asyncio
import gzip
import ssl
import sys
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

ENDLESS_MIB = 60  # so far a file without end comes
Writer = asyncio.StreamWriter
FOLDER = Path(sys.argv[1])
asked: Counter[str] = Counter()


@dataclass(frozen=True, slots=True)
class Asked:
    """What was asked for, how often, with which header fields; and what is stored under the name.
    number: behind the manner, as in `busy-2`."""

    name: str
    number: str
    n_times: int
    fields: dict[str, str]
    body: bytes


def head(status: str, **fields: object) -> bytes:
    lines = [f"{name.replace('_', '-')}: {value}" for name, value in fields.items()]
    return "\r\n".join([f"HTTP/1.1 {status}", "Connection: close", *lines, "", ""]).encode()


def whole(body: bytes, status: str = "200 OK") -> bytes:
    return head(status, Content_Length=len(body)) + body


def moved(to: str, **fields: object) -> bytes:
    return head("302 Found", Location=to, Content_Length=0, **fields)


def clean(asked: Asked) -> bytes:
    is_clean = not {"cookie", "authorization"} & set(asked.fields)
    return whole(asked.body, "200 OK" if is_clean else "400 Bad Request")


def busy(asked: Asked) -> bytes:
    is_busy = asked.n_times <= int(asked.number)
    return whole(asked.body, "503 Service Unavailable" if is_busy else "200 OK")


def packed(asked: Asked) -> bytes:
    body = gzip.compress(asked.body)
    return head("200 OK", Content_Length=len(body), Content_Encoding="gzip") + body


def missing(_: Asked) -> bytes:
    return whole(b"", "404 Not Found")


ANSWERS: dict[str, Callable[[Asked], bytes]] = {
    "ok": lambda asked: whole(asked.body),
    "clean": clean,
    "cookie": lambda asked: moved(f"/clean/{asked.name}", Set_Cookie="a=b; Path=/"),
    "busy": busy,
    "status": lambda asked: whole(b"", f"{asked.number} Whatever"),
    "to": lambda asked: moved(asked.body.decode()),
    "round": lambda asked: moved(f"/round/{asked.name}"),
    "huge": lambda asked: head("200 OK", Content_Length=10 << 30) + asked.body,
    "more": lambda asked: head("200 OK", Content_Length=16) + asked.body,
    "less": lambda asked: head("200 OK", Content_Length=len(asked.body) + 1) + asked.body,
    "gzip": packed,
}


async def drip(asked: Asked, out: Writer) -> None:
    out.write(head("200 OK", Content_Length=len(asked.body)))
    for byte in asked.body:
        out.write(bytes([byte]))
        await out.drain()
        await asyncio.sleep(0.1)


async def endless(asked: Asked, out: Writer) -> None:
    out.write(head("200 OK", Transfer_Encoding="chunked"))
    for _ in range(ENDLESS_MIB):
        out.write(b"100000\r\n" + bytes(0x100000) + b"\r\n")
        await out.drain()
    out.write(b"0\r\n\r\n")


async def unbounded(asked: Asked, out: Writer) -> None:
    """No length at all: the body is over when the connection is."""
    out.write(head("200 OK"))
    for _ in range(ENDLESS_MIB):
        out.write(bytes(0x100000))
        await out.drain()


async def wait(asked: Asked, out: Writer) -> None:
    """Until there is FOLDER/go."""
    while not (FOLDER / "go").exists():
        await asyncio.sleep(0.02)
    out.write(whole(asked.body))


STREAMS = {"drip": drip, "endless": endless, "unbounded": unbounded, "wait": wait}


async def answer(reader: asyncio.StreamReader, out: Writer) -> None:
    try:
        first, *rest = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
        fields = dict(line.lower().split(": ", 1) for line in rest if line)
        path = first.split(" ")[1]
        asked[path] += 1
        with (FOLDER / "requests").open("a") as log:
            log.write(f"{path} {fields['host']}\n")
        _, manner, name = path.split("/", 2)
        manner, _, number = manner.partition("-")
        file = FOLDER / name
        body = file.read_bytes() if file.is_file() else b""
        request = Asked(name, number, asked[path], fields, body)
        if manner in STREAMS:
            await STREAMS[manner](request, out)
        else:
            out.write(ANSWERS.get(manner, missing)(request))
        await out.drain()
    except (OSError, asyncio.IncompleteReadError):
        pass  # the client has gone
    finally:
        out.close()


async def main() -> None:
    tls = None
    if len(sys.argv) > 3:
        tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        tls.load_cert_chain(sys.argv[3], sys.argv[4])
    server = await asyncio.start_server(answer, "127.0.0.1", int(sys.argv[2]), ssl=tls)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


asyncio.run(main())
