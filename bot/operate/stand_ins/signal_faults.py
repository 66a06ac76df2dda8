"""Pure: what can go wrong with Signal's service, as values that a test or a demonstration sets.

Each makes one fault: for `times` occasions, or until the faults are set anew where that is None.
`command` is signal-cli's (`receive`, `send`, `sendTyping`, …); "" is any.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

ERROR_LINE = "ERROR ReceiveHelper - Unknown error when receiving messages"


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that goes wrong, and on how many occasions; made by the functions below."""

    kind: str
    command: str = ""
    line: str = ""
    code: int = 1
    recipient: str = ""
    reason: str = ""
    token: str = ""
    path: str = ""
    late: bool = False
    status: int = 0
    n: int = 0
    times: int | None = 1

    def written(self) -> dict[str, Any]:
        """As JSON."""
        return asdict(self)

    def used(self) -> Fault | None:
        """What is left of it after one occasion."""
        if self.times is None:
            return self
        return replace(self, times=self.times - 1) if self.times > 1 else None


def read(value: Mapping[str, Any]) -> Fault:
    """A fault from JSON. Raises TypeError for one that has unknown fields."""
    return Fault(**value)


def noise(command: str = "", line: str = ERROR_LINE, *, times: int | None = 1) -> Fault:
    """signal-cli writes a line of its log to stderr; the service puts it behind the output."""
    return Fault("noise", command, line, times=times)


def exits(
    command: str = "", line: str = "Error while closing", *, code: int = 3, times: int | None = 1
) -> Fault:
    """signal-cli does all it should, prints it, and then ends in failure."""
    return Fault("exits", command, line, code, times=times)


def refuses(
    command: str = "",
    line: str = "Error while checking account: Connection refused",
    *,
    code: int = 3,
    times: int | None = 1,
) -> Fault:
    """signal-cli does nothing and ends in failure: no network, or not yet."""
    return Fault("refuses", command, line, code, times=times)


def held(command: str = "", *, late: bool = False, times: int | None = 1) -> Fault:
    """signal-cli stands still until it is released: before its work, or `late`, after it.

    A `late` one has taken its messages or sent its message, and not ended.
    """
    return Fault("held", command, late=late, times=times)


def failing(
    recipient: str, reason: str = "UNREGISTERED_FAILURE", *, times: int | None = None
) -> Fault:
    """One recipient does not get what is sent. recipient: as it is sent to, or a group's member."""
    return Fault("failing", recipient=recipient, reason=reason, times=times)


def challenge(token: str, *, times: int | None = None) -> Fault:
    """Signal wants a captcha solved for this token before anything more is sent."""
    return Fault("challenge", token=token, times=times)


def rejects_captcha(*, times: int | None = 1) -> Fault:
    """Signal does not take the captcha."""
    return Fault("rejects_captcha", times=times)


def no_link(
    line: str = "Link request error: Connection closed!", *, times: int | None = 1
) -> Fault:
    """Signal gives no address to link with."""
    return Fault("no_link", line=line, times=times)


def cut(path: str, *, late: bool = False, times: int | None = 1) -> Fault:
    """The service hangs up unanswered: before it acts, or `late`, when it has. path: its start.

    Only the stand-in can do this.
    """
    return Fault("cut", path=path, late=late, times=times)


def answers(path: str, status: int, line: str = "", *, times: int | None = 1) -> Fault:
    """Whatever stands before the service answers in its place. Only the stand-in can do this."""
    return Fault("answers", path=path, status=status, line=line, times=times)


def drops(n: int) -> Fault:
    """The next n messages find the websocket's writer busy and are dropped (json-rpc mode).

    Only the stand-in can do this at will; the real service does it when messages come fast.
    """
    return Fault("drops", times=n)
