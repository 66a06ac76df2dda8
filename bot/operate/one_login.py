"""Shell: one event signed as the assistant, by a login that is made for it alone.

    python -m signer bunker ─► an address, through a pipe ─► connect ─► sign_event ─► logout
      one kind, one use, two minutes                          with a key made for it

The signer puts the event on the private relay before it answers (`--publish`), so there is no
moment at which it is signed and nowhere. The address's secret is in this process's memory and the
child's, and nowhere else: not in arguments, not in the environment, not on the disk.
Source: NIP-46.
"""

from __future__ import annotations

import asyncio
import json
import secrets
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from urllib.parse import parse_qs, urlsplit

import orjson

from bot.operate.assembly import SOURCE_TREE, AssemblyError
from bot.operate.console import Console
from bot.operate.signers import of_bunker
from nips.event import Event, Template
from nips.key import SecretKey
from nips.nip46 import Request
from nips.refusal import Malformed, Prefix, Refused
from relay_local.client import Caller, Unanswered

TTL, TTL_OF_QUESTIONS = "2m", "15m"
NAME = "nostrclaw publish"
DEADLINE_S = 30.0
LOGOUT_S = 5.0
POLL_S = 2.0
QUESTION_LIFE_S = 600.0
# The relay takes 128 KiB from a client that reads nothing; NIP-44 pads, base64 adds a third.
MAX_REQUEST_BYTES = 81_000

# Called once when the owner has been asked, with the unix second at which silence is a no.
OnAsked = Callable[[float], None]


async def signed(there: Console, template: Template, on_asked: OnAsked | None = None) -> Event:
    """The event, on the private relay; where it was published before, that one.

    on_asked: where the owner is asked about this kind first; this then waits for the answer.
    Raises AssemblyError with what the user can do, Malformed where it is too long.
    """
    text = orjson.dumps(_without_author(template)).decode()
    if len(Request("0" * 32, "sign_event", (text,)).to_json().encode()) > MAX_REQUEST_BYTES:
        raise Malformed("with all its escapes it is too long for one request to the signer")
    secret = await _invitation(there, template.kind, TTL if on_asked is None else TTL_OF_QUESTIONS)
    caller = Caller(there.link, SecretKey.generate(secrets.token_bytes), there.roles.signer)
    try:
        metadata = json.dumps({"name": NAME})
        signer = there.roles.signer
        await caller.call("connect", signer, secret, "", metadata, deadline_s=DEADLINE_S)
        answer = await _sign(caller, text, on_asked)
        with suppress(Unanswered, Refused):
            await caller.call("logout", deadline_s=LOGOUT_S)  # its time would end it too
    except Unanswered:
        raise AssemblyError(
            f"The signer did not answer within {DEADLINE_S:g} s; `nostrclaw up` shows whether it "
            "runs. Ask again: what was published meanwhile is not published twice."
        ) from None
    except Refused as error:
        raise AssemblyError(f"Not done: {error.refusal.sentence}.") from error
    event = Event.from_json(orjson.loads(answer))
    event.verify()
    return event


async def _sign(caller: Caller, text: str, on_asked: OnAsked | None) -> str:
    request_id = secrets.token_hex(16)  # the same each time: it is one question
    until_s: float | None = None
    while True:
        try:
            return await caller.call(
                "sign_event", text, deadline_s=DEADLINE_S, request_id=request_id
            )
        except Unanswered:
            if until_s is None or time.time() > until_s:
                raise
        except Refused as error:
            waits = error.refusal.prefix is Prefix.PENDING
            if until_s is None and waits and on_asked is not None:
                until_s = time.time() + QUESTION_LIFE_S
                on_asked(until_s)
            # A signer that restarts says `error:`, and knows the question afterwards.
            passing = waits or error.refusal.prefix is Prefix.ERROR
            if until_s is None or not passing or time.time() > until_s + DEADLINE_S:
                raise
        await asyncio.sleep(POLL_S)


async def _invitation(there: Console, kind: int, ttl: str) -> str:
    narrow = ["--kinds", str(kind), "--ttl", ttl, "--uses", "1", "--publish", "--json"]
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "signer", *of_bunker(there.place.data, narrow),
        cwd=SOURCE_TREE,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    out, err = await process.communicate()
    if process.returncode != 0:
        lines = err.decode(errors="replace").strip().splitlines()
        why = lines[-1].removeprefix("signer: ") if lines else "the signer gave no login"
        raise AssemblyError(f"Not done: {why}.")
    uri = str(json.loads(out)["uri"])
    [secret] = parse_qs(urlsplit(uri).query)["secret"]
    return secret


def _without_author(template: Template) -> dict[str, object]:
    value = template.to_json()
    del value["id"], value["pubkey"]  # NIP-46: the signer's to say
    return value
