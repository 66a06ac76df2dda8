"""Shell: what the commands share: their options, and where their words go."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from pathlib import Path

from signer.keystore import read_text

Commands = argparse._SubParsersAction  # noqa: SLF001 - argparse names its type no other way
Run = Callable[[argparse.Namespace], int]


def command(
    commands: Commands[argparse.ArgumentParser], name: str, run: Run, *, summary: str
) -> argparse.ArgumentParser:
    """Register a command, which like every other has the signer's folder as its `--data`."""
    parser = commands.add_parser(name, help=summary)
    parser.set_defaults(command=run)
    parser.add_argument("--data", type=Path, required=True, help="the signer's folder")
    return parser


def add_passphrase(parser: argparse.ArgumentParser) -> None:
    """Let a passphrase come through a descriptor; argv and environment are read by others."""
    parser.add_argument("--passphrase-fd", type=int, metavar="N", help="read it from there")


def passphrase(arguments: argparse.Namespace) -> str | None:
    """What came through the descriptor; None where none was named. Raises KeystoreError."""
    return None if arguments.passphrase_fd is None else read_text(arguments.passphrase_fd)


def say(line: str) -> None:
    """A result, for whoever called the command."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def tell(sentence: str) -> None:
    """Words for a person."""
    sys.stderr.write(sentence + "\n")
