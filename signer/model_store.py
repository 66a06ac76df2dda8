"""Shell: the providers of language models at rest, and how their keys get into the proxy.

    DATA/signer/models.toml                   the providers; no secret
    DATA/signer/models/NAME-DIGITS.sealed     a provider's key, under the identity's passphrase
    DATA/signer/models/spent.sqlite           what was spent

The digits are of what the key is sealed for, so models.toml decides, in one step, which key counts.
The keys are opened in a process of its own, which hands them over through a pipe and ends: the
passphrase, which opens the bot's identity too, is never in the memory of the proxy.
"""

from __future__ import annotations

import os
import secrets
import tomllib
from collections.abc import Callable, Mapping, Sequence
from hashlib import sha256
from pathlib import Path

import orjson

from nips.nip49 import NONCE_BYTES, SALT_BYTES
from nips.refusal import Malformed
from signer import model_providers, passphrase, sealed
from signer.keystore import LOG_N, Keystore, KeystoreError, NoPassphrase, write_whole
from signer.model_providers import Provider

MAX_KEY_BYTES = 4_096


class ModelStore:
    """The files of one signer's folder that concern models."""

    def __init__(self, data: Path) -> None:
        self.data = data
        self.file = data / "models.toml"
        self.folder = data / "models"
        self.ledger = self.folder / "spent.sqlite"
        self._identity = Keystore(data)

    def providers(self) -> dict[str, Provider]:
        """The configured providers by name; none where there is no file. Raises KeystoreError."""
        try:
            return model_providers.parse(tomllib.loads(self.file.read_text()))
        except FileNotFoundError:
            return {}
        except tomllib.TOMLDecodeError as error:
            raise KeystoreError(f"{self.file} is not TOML: {error}") from error
        except Malformed as error:
            raise KeystoreError(f"{self.file}: {error}. Correct it and start again.") from error

    def add(self, provider: Provider, key: bytes, passphrases: Sequence[str]) -> None:
        """Configure a provider, in place of the one of its name.

        key: empty where it takes none. passphrases: of which one opens the bot's identity.
        Raises KeystoreError, Malformed.
        """
        known = self.providers() | {provider.name: provider}
        text = model_providers.render(known)
        model_providers.parse(tomllib.loads(text))  # a model that two of them have is refused here
        self.make_folder()
        if key:
            self._seal(provider, key, self._one_that_opens(passphrases))
        write_whole(self.file, text, mode=0o600)
        self._sweep(known)

    def remove(self, name: str) -> None:
        """Forget a provider and its key. Raises KeystoreError where there is none."""
        known = self.providers()
        if known.pop(name, None) is None:
            raise KeystoreError(
                f"There is no provider {name!r}. nostrclaw model list shows those there are."
            )
        self._require_folder()
        write_whole(self.file, model_providers.render(known), mode=0o600)
        self._sweep(known)

    def put_under(self, passphrases: Sequence[str], new: str) -> tuple[Path, ...]:
        """Put every key under the `new` passphrase.

        passphrases: those it may be under now. Returns the files that none of them opened; what
        is under the new one already stays as it is, so it may be repeated after a crash.
        """
        self._require_folder()
        left = []
        for provider in self.providers().values():
            path = self._path(provider)
            if provider.keyless or not path.exists():
                continue
            try:
                key = self._open(provider, (new, *passphrases))
            except KeystoreError:
                left.append(path)
            else:
                self._seal(provider, key, new)
        return tuple(left)

    def unlock(
        self, passphrases: Callable[[], Sequence[str]], wanted: Mapping[str, Provider]
    ) -> dict[str, bytes]:
        """The keys of these providers, opened in a process of its own.

        passphrases: called in that process only; may raise KeystoreError. To be called before any
        thread is started. Raises KeystoreError; NoPassphrase where a person has to bring it.
        """
        with_key = [one for one in wanted.values() if not one.keyless]
        empty = {one.name: b"" for one in wanted.values() if one.keyless}
        if not with_key:
            return empty

        def opened() -> dict[str, str]:
            if not (given := tuple(passphrases())):
                raise NoPassphrase("no passphrase was given and none is kept")
            return {one.name: self._open(one, given).decode("ascii") for one in with_key}

        found = _in_a_process_of_its_own(opened)
        return empty | {name: key.encode("ascii") for name, key in found.items()}

    def passphrases(self, descriptor: int | None) -> tuple[str, ...]:
        """Those to try, without asking anybody. Raises KeystoreError."""
        return passphrase.found(descriptor, self._identity)

    def passphrases_or_asked(self, descriptor: int | None) -> tuple[str, ...]:
        """Those to try; the terminal is asked last. Raises KeystoreError."""
        return passphrase.found_or_asked(descriptor, self._identity)

    def make_folder(self) -> None:
        """Make the folder of keys and ledger, closed to others."""
        if not self.data.is_dir():
            raise KeystoreError(
                f"There is no signer's folder {self.data}. Make it: nostrclaw up, or "
                f"python -m signer init --data {self.data}"
            )
        self.folder.mkdir(mode=0o700, exist_ok=True)
        self._require_folder()

    def _require_folder(self) -> None:
        # Attack: a link left here by a signer that was taken over: root would change, or open to
        # the model proxy, what it leads to.
        if self.folder.is_symlink():
            raise KeystoreError(f"{self.folder} is a link. Remove it, and add the providers again.")

    def _path(self, provider: Provider) -> Path:
        digits = sha256(provider.purpose.encode()).hexdigest()[:8]
        return self.folder / f"{provider.name}-{digits}.sealed"

    def _seal(self, provider: Provider, key: bytes, under: str) -> None:
        salt, nonce = secrets.token_bytes(SALT_BYTES), secrets.token_bytes(NONCE_BYTES)
        text = sealed.seal(key, under, provider.purpose, salt, nonce, LOG_N)
        if sealed.unseal(text, under, provider.purpose) != key:
            raise KeystoreError(
                "What was sealed does not open again: is this machine's memory bad?"
            )
        write_whole(self._path(provider), text + "\n", mode=0o400)

    def _open(self, provider: Provider, passphrases: Sequence[str]) -> bytes:
        why: Exception = NoPassphrase("no passphrase was given")
        for one in passphrases:
            try:
                return sealed.unseal(self._path(provider).read_text(), one, provider.purpose)
            except (OSError, Malformed) as error:
                why = error
        raise KeystoreError(
            f"The key of {provider.name} cannot be opened: {why}. Add it again: nostrclaw model "
            f"add {provider.name}"
        ) from why

    def _one_that_opens(self, passphrases: Sequence[str]) -> str:
        """The passphrase of the identity: what seals the one is to seal the other."""
        why = KeystoreError("No passphrase was given.")
        for one in passphrases:
            try:
                os.close(self._identity.unlock(one))  # what comes through is not read
            except KeystoreError as error:
                why = error
            else:
                return one
        raise why

    def _sweep(self, known: Mapping[str, Provider]) -> None:
        """Remove keys that belong to no provider any more."""
        live = {self._path(one) for one in known.values() if not one.keyless}
        for path in [*self.folder.glob("*.sealed"), *self.folder.glob(".*.sealed.*")]:
            if path not in live:
                path.unlink(missing_ok=True)


def api_key(given: str) -> bytes:
    """A provider's key as bytes. Raises KeystoreError, which does not repeat it."""
    key = given.strip()
    if not key or len(key) > MAX_KEY_BYTES or not key.isascii() or not key.isprintable():
        raise KeystoreError("What was given is no API key: it must be one line of plain text.")
    return key.encode("ascii")


def _in_a_process_of_its_own(work: Callable[[], dict[str, str]]) -> dict[str, str]:
    reads, writes = os.pipe()
    reads_error, writes_error = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.close(reads)
            text = orjson.dumps(work())
            os.close(writes_error)
            with os.fdopen(writes, "wb") as pipe:
                pipe.write(text)
        except NoPassphrase as error:
            os.write(writes_error, f"-{error}".encode())
        except (OSError, Malformed, KeystoreError, MemoryError) as error:
            os.write(writes_error, f"+{error}".encode())
        finally:
            # Not sys.exit: what the parent has prepared, such as buffered output, is not ours.
            os._exit(0)
    os.close(writes)
    os.close(writes_error)
    with os.fdopen(reads, "rb") as pipe, os.fdopen(reads_error) as errors:
        text, sentence = pipe.read(), errors.read()
    os.waitpid(child, 0)
    if sentence:
        raise (NoPassphrase if sentence.startswith("-") else KeystoreError)(sentence[1:])
    found: dict[str, str] = orjson.loads(text)
    return found
