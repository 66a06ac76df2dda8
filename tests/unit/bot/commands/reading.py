"""What every answer must be like to be read in any client."""

from __future__ import annotations

import json

from bot.commands.facts import Reply
from nips.own.visible import MARK


def reads_well(reply: Reply) -> None:
    """Plain, in short lines, with nothing of a fixed width; and as JSON."""
    assert isinstance(reply, Reply)
    assert reply.said[0] in "✅❌"
    for line in reply.text.splitlines():
        if line.startswith(MARK.strip()):  # somebody else's words, as they wrote them
            continue
        assert 0 < len(line) <= 160, line
        assert line == line.strip()
        # Columns need a font of fixed width, and markup a client that shows it.
        assert "  " not in line
        assert "\t" not in line
        assert not line.startswith(("|", "#", "*", "```"))
    assert len(reply.text) < 6_000
    json.dumps(reply.data)
