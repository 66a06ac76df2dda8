"""Shell: `nostrclaw task hook`: a new secret by which programs call a task, shown this once.

It goes from here to its file and to the terminal, and by no other way: no event, no log, no command
of anybody's has it.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from bot.operate.assembly import AssemblyError, installation
from bot.operate.groups import quoted
from bot.operate.order import ask
from bot.tasks.hook_secrets import HookSecrets
from config import settings

ON_CALL = "on call"
FORM = 'X-Nostrclaw-Signature: t=<unix seconds>,v1=<hex of HMAC-SHA256(secret, "<t>.<body>")>'


def renew(data: Path, task: str, *, as_json: bool) -> int:
    """Make it and show it; returns the exit status. Raises AssemblyError, SettingsError,
    Refused."""
    answer = ask(data, f"/task show {quoted(task)}")
    if not answer["ok"]:
        raise AssemblyError(str(answer["text"]))
    known = answer["data"]
    if known["when"] != ON_CALL:
        raise AssemblyError(
            f"That task is not called: it runs {known['when']}. Give it another time first: "
            f'nostrclaw task edit {known["id"][:8]} --when "{ON_CALL}"'
        )
    place = installation(data)
    listen = settings.load(place.data).webhooks.listen
    secret = HookSecrets(place.data).make(known["id"]).hex()
    path = f"/hooks/{known['id']}"
    if as_json:
        shown = {"listen": listen, "path": path, "secret": secret}
        sys.stdout.write(json.dumps(shown) + "\n")
        return 0
    lines = (
        f"Address: {_address(listen, path)}",
        f"Secret, shown this once; one that it had before counts no more: {secret}",
        "It is 32 bytes in hex. Sign what you post with those bytes:",
        f"    {FORM}",
    )
    sys.stdout.write("\n".join(lines) + "\n")
    return 0


def _address(listen: str, path: str) -> str:
    if not listen:
        return (
            f"{path}, at no port yet: set [webhooks] listen in {settings.FILE_NAME}, as "
            '"127.0.0.1:7450", and start `nostrclaw up` anew'
        )
    if listen.endswith(":0"):
        return f"{path}, at the port that `nostrclaw up` names when it starts"
    return f"http://{listen}{path}"
