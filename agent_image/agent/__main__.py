"""Shell: the container's program: `python -m agent_image.agent --signer HEX [OPTION VALUE]…`.

    --signer HEX   public key of the signer, which is asked to sign
    --socket PATH  the relay's, /run/nanoclaw/relay.sock without it
    --folder DIR   the group's, /workspace/group without it

The session's secret key, 64 hex digits and a newline, comes on stdin. It ends with

    0   the job is done and its 43003 `done` is on the relay
    64  the arguments or the key on stdin are wrong
    65  the job's events are not what they should be
    69  the relay or the signer stayed away
    75  the relay refused the key, or the signer every word of the answer

and one sentence on stderr where it is not 0.
"""

from __future__ import annotations

import asyncio
import os
import sys
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path

from agent_image.agent import lean  # noqa: F401 - the next line imports websockets
from agent_image.agent.session import serve
from nips.key import SecretKey, is_hex, is_public_key
from nips.refusal import Malformed, Refused
from relay_local.client import Unanswered

SOCKET = "/run/nanoclaw/relay.sock"
FOLDER = "/workspace/group"
KEY_CHARS = 64


class Exit(IntEnum):
    """The exit codes, named as in sysexits.h where they are there."""

    DONE = 0
    USAGE = 64
    BAD_JOB = 65
    UNAVAILABLE = 69
    REFUSED = 75


class BadInput(Exception):
    """Whoever started us did it wrongly; the sentence says how to do it right."""


@dataclass(frozen=True, slots=True)
class Arguments:
    """What the command line says."""

    signer: str
    socket: str
    folder: Path


def arguments(given: list[str]) -> Arguments:
    """Read the command line. Raises BadInput.

    By hand: argparse takes 8 ms of the time in which a person waits for the answer.
    """
    options = {"--signer": "", "--socket": SOCKET, "--folder": FOLDER}
    while given:
        match given:
            case [name, value, *rest] if name in options and value:
                options[name], given = value, rest
            case _:
                known = ", ".join(options)
                raise BadInput(
                    f"cannot use {given[0]!r}; the options are {known}, each with a value"
                )
    if not is_public_key(options["--signer"]):
        raise BadInput("--signer must be followed by the signer's public key in hex")
    return Arguments(options["--signer"], options["--socket"], Path(options["--folder"]))


def session_key() -> SecretKey:
    """Read the key from stdin, which is then closed. Raises BadInput."""
    line = sys.stdin.buffer.readline(KEY_CHARS + 2)
    # What we start must not read on, and no file that we open may become its stdin.
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    os.close(null)
    text = line.decode("ascii", "replace").strip()
    if not is_hex(text, KEY_CHARS // 2):
        raise BadInput("stdin must begin with the session's secret key: 64 hex digits, a newline")
    try:
        return SecretKey(bytes.fromhex(text))
    except Malformed as error:
        raise BadInput(f"the key on stdin is {error}") from error


def main(given: list[str]) -> Exit:
    """Run one session; the exit code says how it ended."""
    try:
        wanted = arguments(given)
        key = session_key()
        asyncio.run(serve(f"unix:{wanted.socket}", key, wanted.signer, wanted.folder))
    except BadInput as error:
        return _end(Exit.USAGE, str(error))
    except Malformed as error:
        return _end(Exit.BAD_JOB, str(error))
    except Unanswered as error:
        return _end(Exit.UNAVAILABLE, str(error))
    except Refused as error:
        return _end(Exit.REFUSED, f"refused: {error.refusal}")
    return Exit.DONE


def _end(code: Exit, sentence: str) -> Exit:
    sys.stderr.write(f"agent: {sentence}\n")
    return code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
