"""Shell: the container's program: `python -m agent_image.agent --signer HEX [OPTION VALUE]…`.

    --signer HEX   public key of the signer, which is asked to sign
    --socket PATH  the relay's, /run/nanoclaw/relay.sock without it
    --folder DIR   the group's, /workspace/group without it
    --seconds N    how long it may work on its job before it is ended, 600 without it

The session's secret key, 64 hex digits and a newline, comes on stdin. Where its job is not there
yet it writes the line "waiting" when it is ready for it. It ends with

    0   the job is done and its 43003 `done` is on the relay
    64  the arguments or the key on stdin are wrong
    65  the job's events are not what they should be
    68  the signer signed nothing until the time was over
    69  the relay stayed away
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
from agent_image.agent.speech import SignerAway
from nips.key import SecretKey, is_hex, is_public_key
from nips.refusal import Malformed, Refused
from relay_local.client import Unanswered

SOCKET = "/run/nanoclaw/relay.sock"
FOLDER = "/workspace/group"
SECONDS = "600"
MAX_SECONDS, MAX_DIGITS = 10**6, 10
# Kept of the time it may run, for its last words: an answer that did not come is an end of its own.
END_SHARE, LONGEST_END_S = 0.15, 10.0
KEY_CHARS = 64


class Exit(IntEnum):
    """The exit codes, named as in sysexits.h where they are there."""

    DONE = 0
    USAGE = 64
    BAD_JOB = 65
    SIGNER_AWAY = 68
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
    seconds: int

    @property
    def patience_s(self) -> float:
        """How long an absent signer can be waited for."""
        return self.seconds - min(END_SHARE * self.seconds, LONGEST_END_S)


def arguments(given: list[str]) -> Arguments:
    """Read the command line. Raises BadInput.

    By hand: argparse takes 8 ms of the time in which a person waits for the answer.
    """
    options = {"--signer": "", "--socket": SOCKET, "--folder": FOLDER, "--seconds": SECONDS}
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
    seconds = options["--seconds"]
    is_number = seconds.isascii() and seconds.isdigit() and len(seconds) < MAX_DIGITS
    if not is_number or not 0 < int(seconds) <= MAX_SECONDS:
        raise BadInput(f"--seconds must be followed by a number from 1 to {MAX_SECONDS}")
    return Arguments(
        options["--signer"], options["--socket"], Path(options["--folder"]), int(seconds)
    )


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
        asyncio.run(
            serve(
                f"unix:{wanted.socket}",
                key,
                wanted.signer,
                wanted.folder,
                wanted.patience_s,
                waits=_say_waiting,
                seconds=wanted.seconds,
            )
        )
    except BadInput as error:
        return _end(Exit.USAGE, str(error))
    except Malformed as error:
        return _end(Exit.BAD_JOB, str(error))
    except SignerAway as error:
        return _end(Exit.SIGNER_AWAY, str(error))
    except Unanswered as error:
        return _end(Exit.UNAVAILABLE, str(error))
    except Refused as error:
        return _end(Exit.REFUSED, f"refused: {error.refusal}")
    return Exit.DONE


def _say_waiting() -> None:
    sys.stdout.write("waiting\n")
    sys.stdout.flush()


def _end(code: Exit, sentence: str) -> Exit:
    sys.stderr.write(f"agent: {sentence}\n")
    return code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
