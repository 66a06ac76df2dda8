"""Pure: the short codes by which a person names what the router has shown to them.

Six letters of g to z: the signer's codes are hexadecimal, so nobody mistakes one for the other.
"""

from __future__ import annotations

import re

from nips.own.once import once_key

LETTERS = "ghijklmnopqrstuvwxyz"
CHARS = 6
CODE = re.compile(rf"[g-z]{{{CHARS}}}")


def code_of(*parts: str, attempt: int = 0) -> str:
    """The code of what these parts name. attempt: counted up where another thing has that code,
    by chance or because somebody tried until it did.

    >>> code_of("stranger", "nostr", "00ff")
    'qpwynn'
    """
    number = int(once_key("code", str(attempt), *parts), 16)
    letters = []
    for _ in range(CHARS):
        number, digit = divmod(number, len(LETTERS))
        letters.append(LETTERS[digit])
    return "".join(letters)
