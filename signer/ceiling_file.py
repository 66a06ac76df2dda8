"""Shell: the ceiling's file, `DATA/signer/ceiling.toml`."""

from __future__ import annotations

import tomllib
from pathlib import Path

from nips.refusal import Malformed
from signer import ceiling
from signer.keystore import KeystoreError, write_whole


def path_in(data: Path) -> Path:
    """The file in the signer's folder `data`."""
    return data / "ceiling.toml"


def load(data: Path) -> ceiling.Ceiling:
    """Read it. Raises KeystoreError, which says what to correct."""
    path = path_in(data)
    try:
        return ceiling.parse(tomllib.loads(path.read_text()))
    except FileNotFoundError:
        raise KeystoreError(
            f"There is no ceiling at {path}. Make one: python -m signer init --data {data}"
        ) from None
    except tomllib.TOMLDecodeError as error:
        raise KeystoreError(f"{path} is not TOML: {error}") from error
    except Malformed as error:
        raise KeystoreError(f"{path}: {error}. Correct that line and start again.") from error


def store(data: Path, wanted: ceiling.Ceiling) -> None:
    """Write it whole. Raises Malformed where a value could not be read back."""
    text = ceiling.render(wanted)
    ceiling.parse(tomllib.loads(text))  # a bad option is refused here
    write_whole(path_in(data), text, mode=0o600)
