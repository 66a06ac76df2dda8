"""Shell: where a passphrase comes from: never from arguments, never from the environment.

In this order: an inherited descriptor; systemd's credential `nostrclaw-passphrase`, a file in the
folder that $CREDENTIALS_DIRECTORY names; what is kept beside the key; the terminal. Source:
systemd.exec(5) "LoadCredential=".
"""

from __future__ import annotations

import getpass
import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from signer.keystore import Keystore, KeystoreError, read_text

CREDENTIAL = "nostrclaw-passphrase"
TRIES = 3
_WENT_WRONG, _NONE = 1, 3  # exit statuses


def handed_over(descriptor: int | None, environ: Mapping[str, str] = os.environ) -> str | None:
    """What came through the descriptor, where one was named, or else as systemd's credential.

    Raises KeystoreError.
    """
    if descriptor is not None:
        return _not_empty(read_text(descriptor), f"Descriptor {descriptor}")
    return _credential(environ)


def carried(descriptor: int | None, environ: Mapping[str, str] = os.environ) -> int | None:
    """As `handed_over`, for a process that serves: a pipe that holds the passphrase, which was
    read in a process of its own and never is in this one's memory. `descriptor` is closed.

    Attack: who reads the memory, where the key itself cannot be read, takes the passphrase and
    opens the key's file. To be called before any thread is started. Raises KeystoreError.
    """
    reads, writes = os.pipe()
    reads_error, writes_error = os.pipe()
    child = os.fork()
    if child == 0:
        status = _WENT_WRONG
        try:
            given = handed_over(descriptor, environ)
            if given is not None:
                os.write(writes, given.encode())
            status = _NONE if given is None else 0
        except KeystoreError as error:
            os.write(writes_error, str(error).encode())
        finally:
            # Not sys.exit: what the parent has prepared, such as buffered output, is not ours.
            os._exit(status)
    os.close(writes)
    os.close(writes_error)
    if descriptor is not None:
        with suppress(OSError):
            os.close(descriptor)
    with os.fdopen(reads_error) as errors:
        sentence = errors.read()
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    if status == 0:
        return reads
    os.close(reads)
    if status == _NONE:
        return None
    raise KeystoreError(sentence or "The passphrase could not be read.")


def found(descriptor: int | None, store: Keystore) -> tuple[str, ...]:
    """The passphrases to try, best first; none where a person has to be asked.

    Raises KeystoreError.
    """
    given = handed_over(descriptor)
    return store.kept() if given is None else (given,)


def found_or_asked(descriptor: int | None, store: Keystore) -> tuple[str, ...]:
    """The passphrases to try; the terminal is asked last. Raises KeystoreError."""
    known = found(descriptor, store)
    return known or (ask("Passphrase of the bot's key: ", "--passphrase-fd N"),)


def chosen(descriptor: int | None, option: str) -> str:
    """A new passphrase: from the descriptor, or typed twice. option: the one that names the
    descriptor. Raises KeystoreError."""
    if descriptor is not None:
        return _not_empty(read_text(descriptor), f"Descriptor {descriptor}")
    first = ask("New passphrase: ", f"{option} N")
    if ask("The same again: ", f"{option} N") != first:
        raise KeystoreError("The two are not the same; nothing was changed. Begin again.")
    return first


def ask(prompt: str, instead: str) -> str:
    """Ask at the terminal, without showing what is typed.

    instead: how to hand it over where there is no terminal. Raises KeystoreError.
    """
    try:
        # getpass would fall back to a standard input that shows what is typed.
        os.close(os.open("/dev/tty", os.O_RDWR))
    except OSError as error:
        raise KeystoreError(
            f"There is no terminal to ask at. Hand it over with {instead}, where N is an open "
            "file descriptor."
        ) from error
    try:
        return _not_empty(getpass.getpass(prompt), "That")
    except EOFError as error:
        raise KeystoreError("The terminal was closed; nothing was changed.") from error


def _credential(environ: Mapping[str, str]) -> str | None:
    folder = environ.get("CREDENTIALS_DIRECTORY")  # it names a folder, which is no secret
    if folder is None:
        return None
    path = Path(folder) / CREDENTIAL
    try:
        return _not_empty(path.read_text().rstrip("\r\n"), f"{path}")
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError) as error:
        raise KeystoreError(f"{path} cannot be read as text") from error


def _not_empty(text: str, what: str) -> str:
    if not text:
        raise KeystoreError(f"{what} is empty: that is no passphrase.")
    return text
