"""Pure: whether a Signal service, by what it says of itself, can do all that it is asked here."""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass

# Everything that is used is in it: before, a device's link came as a picture only.
OLDEST = (0, 97)
POLLED = ("normal", "native")
PUSHED = "json-rpc"
SEND_VERSION = "v2"  # of the API, for styled text and quotes
_VERSION = re.compile(r"v?([0-9]{1,4})\.([0-9]{1,4})(?:[.-].*)?")


@dataclass(frozen=True, slots=True)
class Judged:
    """refusal: why it is of no use, with the remedy; None where it is. warnings: what is better
    otherwise."""

    refusal: str | None
    warnings: tuple[str, ...] = ()


def judged(mode: str, version: str, versions: Collection[str]) -> Judged:
    """Judge a service by its `/v1/about`. versions: of its API."""
    read = read_version(version)
    if read is not None and read < OLDEST:
        return Judged(
            f"The Signal service is of version {in_words(read)}, and {in_words(OLDEST)} is the "
            "oldest that has all that is needed. Fetch a newer image and start it with that."
        )
    if SEND_VERSION not in versions:
        return Judged(f"The Signal service has no {SEND_VERSION} of its API, which is needed.")
    if mode not in (*POLLED, PUSHED):
        return Judged(
            f"The Signal service works in a mode {mode[:40]!r} that is not known here. "
            f"Start it with MODE={POLLED[1]}."
        )
    warnings = []
    if read is None:
        warnings.append(
            "The Signal service does not tell its version; it should be "
            f"{in_words(OLDEST)} or newer."
        )
    if mode == PUSHED:
        # Its source, client/jsonrpc2.go: what no listener takes at once is let go.
        warnings.append(
            f"In its mode {PUSHED} the Signal service lets go of messages that come while nobody "
            f"listens, and of some in a burst. With MODE={POLLED[1]} they wait until asked for."
        )
    if mode == POLLED[0]:
        warnings.append(
            f"In its mode {mode} the Signal service starts a Java program for each question, which "
            f"takes a second or two of work. MODE={POLLED[1]} is quicker."
        )
    return Judged(None, tuple(warnings))


def read_version(text: str) -> tuple[int, int] | None:
    """`0.100`, `0.98-pre` as numbers; None for a build that was given none."""
    found = _VERSION.fullmatch(text.strip())
    return (int(found[1]), int(found[2])) if found else None


def in_words(version: tuple[int, int] | None) -> str:
    """The version as people write it."""
    return ".".join(map(str, version)) if version else "not told"
