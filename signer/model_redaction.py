"""Pure: takes a secret out of bytes that pass in pieces.

Attack: a provider, or a server that somebody configured for one, repeats the key in an error
("Incorrect API key provided: …") or echoes the request's headers, and the agent reads it. The
secret's bytes are replaced, at the same length, wherever they stand whole, as they are or as JSON
may write them; a piece is held back only while its end could be the secret's beginning.
"""

from __future__ import annotations

import json
import re


class Redaction:
    """One passing answer. An empty secret, of a provider without a key, changes nothing."""

    def __init__(self, secret: bytes) -> None:
        self._forms = forms(secret)
        # Of two that begin alike the longer one is tried first.
        self._pattern = re.compile(b"|".join(re.escape(form) for form in self._forms))
        self._held = b""

    def feed(self, chunk: bytes) -> bytes:
        """Take the next bytes; returns what may go on now."""
        if not self._forms:
            return chunk
        data = self._pattern.sub(lambda found: b"*" * len(found[0]), self._held + chunk)
        keep = max(_longest_beginning_at_end(data, form) for form in self._forms)
        self._held = data[len(data) - keep :]
        return data[: len(data) - keep]

    def finish(self) -> bytes:
        """What was held back: it was not the secret after all."""
        held, self._held = self._held, b""
        return held


def forms(secret: bytes) -> tuple[bytes, ...]:
    """How the secret may stand in an answer, the longest first: as it is; as a string of JSON, with
    and without the slash escaped, as some write it; with every character escaped."""
    if not secret:
        return ()
    text = secret.decode("latin-1")
    escaped = json.dumps(text)[1:-1]
    every = "".join(f"\\u{ord(character):04x}" for character in text)
    found = {text, escaped, escaped.replace("/", "\\/"), every, every.upper().replace("\\U", "\\u")}
    return tuple(sorted((one.encode("latin-1") for one in found), key=len, reverse=True))


def _longest_beginning_at_end(data: bytes, form: bytes) -> int:
    longest = min(len(form) - 1, len(data))
    return next((n for n in range(longest, 0, -1) if data.endswith(form[:n])), 0)
