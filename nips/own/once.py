"""Pure: the once-key, by which an effect is had once. Source: PROTOCOL.md "Once-key".

Whoever must not say the same thing twice puts the value into an `o` tag: of two events with the
same author and the same once-key the relay keeps the first, however content or time differ.
"""

from __future__ import annotations

import json
from hashlib import sha256

DONE = "what this event does has been done"  # the relay's words to a second event


def once_key(*parts: str) -> str:
    """sha256, in hex, of the compact UTF-8 JSON array of the parts.

    A JSON array keeps the parts apart: ("a", "bc") and ("ab", "c") have different keys.

    >>> once_key("job", "00ff")[:8]
    '1784b540'
    """
    return sha256(json.dumps(parts, separators=(",", ":"), ensure_ascii=False).encode()).hexdigest()


def in_group(once: str, group: str | None) -> str:
    """The once-key as it counts where an agent chose it: its conversation's own, so that the same
    value in another conversation is another one. `group`: its UUID; None leaves it as it is."""
    return once if group is None else once_key(group, once)
