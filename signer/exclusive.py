"""Shell: locks by which two processes do not work on the signer's folder at once.

The system lets go of them however their process ends.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from signer.keystore import KeystoreError, open_own

SERVING = "lock"  # held by the signer that serves


def hold_serving(data: Path) -> int:
    """Be the one signer that serves from the folder; a descriptor to keep open.

    Raises KeystoreError where another one serves.
    """
    descriptor = open_own(data / SERVING)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(descriptor)
        raise KeystoreError(
            f"A signer runs with {data}. Stop it first: end `nostrclaw up` with Ctrl-C, or stop "
            "its service."
        ) from error
    return descriptor


@contextmanager
def not_serving(data: Path) -> Iterator[None]:
    """Keep signers from serving for the length of a block. Raises KeystoreError."""
    descriptor = hold_serving(data)
    try:
        yield
    finally:
        os.close(descriptor)


@contextmanager
def alone(data: Path) -> Iterator[None]:
    """Keep other commands from changing keys meanwhile. Raises KeystoreError."""
    try:
        folder = os.open(data, os.O_RDONLY | os.O_DIRECTORY)
    except OSError as error:
        raise KeystoreError(f"{data} cannot be used: {error.strerror}") from error
    try:
        try:
            fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise KeystoreError(
                f"Another command changes the keys in {data} now. Wait until it has ended."
            ) from error
        yield
    finally:
        os.close(folder)
