"""Shell: the signer's command line.

    python -m signer init  --data DIR    make the bot's identity and the ceiling
    python -m signer pair  --data DIR    print a one-time code that names the owner
    python -m signer run   --data DIR …  serve
    python -m signer bunker --data DIR   let a client log in as the bot; list, revoke
    python -m signer model --data DIR    providers of language models: add, list, remove, test
    python -m signer model-proxy …       call language models for sessions
    python -m signer audit --data DIR    check the audit chain
    python -m signer clock --data DIR    believe this machine's clock again

Exit codes: 0 done; 1 the relay refused us, or the audit chain is broken; 2 something that a
person must put right, said in one sentence; 3 `pair`, where an owner has paired already.
"""

from __future__ import annotations

import argparse
import sqlite3
import sys

from config import logs
from config.roles import RolesError
from nips.refusal import Malformed, Refused
from signer.commands import audit, bunker, clock, init, key, model, model_proxy, pair, run
from signer.commands.terminal import tell
from signer.keystore import KeystoreError
from signer.secret import MemoryUnavailable

COMMANDS = (init, run, pair, key, bunker, model, model_proxy, audit, clock)


def main() -> int:
    """Run one command; its sentence, where it fails, is on stderr."""
    arguments = _parser().parse_args()
    logs.to_stderr()
    try:
        return int(arguments.command(arguments))
    except (KeystoreError, RolesError, MemoryUnavailable, Malformed) as error:
        tell(f"signer: {error}")
    except sqlite3.Error as error:
        tell(f"signer: {arguments.data / 'ledger.sqlite'}: {error}")
    except OSError as error:
        tell(f"signer: {error.filename}: {error.strerror}")
    except Refused as error:
        tell(f"signer: the relay refused us: {error}")
        return 1
    return 2


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m signer", description="The bot's signer.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for module in COMMANDS:
        module.add(commands)
    return parser


if __name__ == "__main__":
    sys.exit(main())
