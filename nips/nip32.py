"""Pure: labels: whether a program wrote something. Source: NIP-32.

The namespace is `agent`; a label in it tells what was said: `ai`, by a model, or `notice`.
"""

from __future__ import annotations

from collections.abc import Iterable

from nips.event import Tag

AGENT = "agent"
AI: tuple[Tag, Tag] = (("L", AGENT), ("l", "ai", AGENT))


def is_by_agent(tags: Iterable[Tag]) -> bool:
    """Say whether the tags of an event or rumor label it as a program's.

    NIP-32: "`l` tags MUST include a mark matching an `L` tag": one of the two is enough here, for
    what is answered by mistake may never end.
    """
    return any(tag[:2] == ("L", AGENT) or (tag[0] == "l" and tag[2:3] == (AGENT,)) for tag in tags)
