"""Shell: websockets without two of its imports, which a Unix socket never uses.

`importlib.metadata` serves unreleased checkouts and `urllib.request` finds proxies; with what they
draw in (email, zipfile, http, tempfile) they are a third of the time that the agent's imports take
in a container, and a person is waiting. Import this module before websockets.
"""

from __future__ import annotations

import sys
import urllib
from types import ModuleType


def without_unused_imports() -> None:
    """Put stand-ins where websockets looks; a module that is loaded already stays."""
    version = ModuleType("websockets.version")
    version.version = version.tag = version.commit = "0"  # type: ignore[attr-defined]
    requests = ModuleType("urllib.request")
    requests.getproxies = dict  # type: ignore[attr-defined]
    requests.proxy_bypass = bool  # type: ignore[attr-defined]
    for module in (version, requests):
        sys.modules.setdefault(module.__name__, module)
    urllib.request = sys.modules["urllib.request"]  # type: ignore[attr-defined]


def with_all_imports() -> None:
    """Let whoever needs the true ones import them; websockets keeps what it has."""
    for name in ("websockets.version", "urllib.request"):
        sys.modules.pop(name, None)
    vars(urllib).pop("request", None)


without_unused_imports()
