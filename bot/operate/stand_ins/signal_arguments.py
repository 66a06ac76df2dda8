"""Pure: signal-cli's command line: arguments → options, as its argument parser reads them.

An argument that begins with a dash is an option wherever it stands, so no value can begin with
one: the whole command line is then refused.
Source: signal-cli 0.14 (`signal-cli --help`, man/signal-cli.1.adoc), argparse4j 0.9
(ArgumentParserImpl).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

FLAG, ONE, MANY = "flag", "one", "many"
_IS_OPTION = re.compile(r"-+[^-].*|--", re.DOTALL)
_IS_NEGATIVE = re.compile(r"-\d+|-\d*\.\d+")

GLOBAL = {
    "--config": ("config", ONE), "--output": ("output", ONE), "-o": ("output", ONE),
    "-a": ("account", ONE), "--trust-new-identities": ("trust", ONE),
}  # fmt: skip
_TO = {"-g": ("group-id", MANY), "-u": ("username", MANY)}
COMMANDS: Mapping[str, Mapping[str, tuple[str, str]]] = {
    "receive": {
        "-t": ("timeout", ONE), "--max-messages": ("max-messages", ONE),
        "--ignore-attachments": ("ignore-attachments", FLAG),
        "--ignore-stories": ("ignore-stories", FLAG),
        "--ignore-avatars": ("ignore-avatars", FLAG),
        "--ignore-stickers": ("ignore-stickers", FLAG),
        "--send-read-receipts": ("send-read-receipts", FLAG),
    },
    "send": {
        **_TO, "--message-from-stdin": ("message-from-stdin", FLAG), "-a": ("attachment", MANY),
        "--text-style": ("text-style", MANY), "--mention": ("mention", MANY),
        "--sticker": ("sticker", ONE), "--quote-timestamp": ("quote-timestamp", ONE),
        "--quote-author": ("quote-author", ONE), "--quote-message": ("quote-message", ONE),
        "--quote-mention": ("quote-mention", MANY), "--edit-timestamp": ("edit-timestamp", ONE),
        "--preview-url": ("preview-url", ONE), "--preview-title": ("preview-title", ONE),
        "--preview-image": ("preview-image", ONE),
        "--preview-description": ("preview-description", ONE),
        "--notify-self": ("notify-self", FLAG), "--view-once": ("view-once", FLAG),
    },
    "sendReaction": {
        **_TO, "-e": ("emoji", ONE), "-a": ("target-author", ONE),
        "-t": ("target-timestamp", ONE), "-r": ("remove", FLAG),
    },
    "sendReceipt": {"-t": ("target-timestamp", MANY), "--type": ("type", ONE)},
    "sendTyping": {**_TO, "--stop": ("stop", FLAG)},
    "remoteDelete": {**_TO, "-t": ("target-timestamp", ONE)},
    "link": {"-n": ("name", ONE)},
    "listAccounts": {},
    "listGroups": {"-d": ("detailed", FLAG)},
    "listContacts": {"--all-recipients": ("all-recipients", FLAG)},
    "listIdentities": {},
    "submitRateLimitChallenge": {"--challenge": ("challenge", ONE), "--captcha": ("captcha", ONE)},
}  # fmt: skip


class UsageError(ValueError):
    """The command line is none of signal-cli's; the message is what it says about it."""


@dataclass(frozen=True, slots=True)
class Options:
    """One command with its options, as the command line and the JSON-RPC both give them."""

    command: str
    account: str = ""
    values: Mapping[str, Sequence[str]] = field(default_factory=dict)

    def one(self, name: str) -> str | None:
        """The value of an option; None where it is not given."""
        given = self.values.get(name)
        return given[0] if given else None

    def many(self, name: str) -> list[str]:
        """The values of an option; "recipient" names those that stand without one."""
        return list(self.values.get(name, ()))

    def has(self, name: str) -> bool:
        """Say whether an option is given."""
        return name in self.values


def parsed(arguments: Sequence[str]) -> Options:
    """Read a command line. Raises UsageError."""
    whole, rest = _options(arguments, GLOBAL, until_command=True)
    command = rest[0] if rest else ""
    if command not in COMMANDS:
        raise UsageError(f"signal-cli: error: invalid choice: '{command}'")
    values, _ = _options(rest[1:], COMMANDS[command], until_command=False)
    return Options(command, (whole.get("account") or [""])[0], values)


def _options(
    arguments: Sequence[str], known: Mapping[str, tuple[str, str]], *, until_command: bool
) -> tuple[dict[str, list[str]], Sequence[str]]:
    values: dict[str, list[str]] = {}
    at = 0
    while at < len(arguments):
        argument = arguments[at]
        if not _is_option(argument):
            if until_command:
                return values, arguments[at:]
            values.setdefault("recipient", []).append(argument)
            at += 1
            continue
        if argument not in known:
            raise UsageError(f"signal-cli: error: unrecognized arguments: '{argument}'")
        name, takes = known[argument]
        at += 1
        end = at
        most = {FLAG: 0, ONE: 1, MANY: len(arguments)}[takes]
        while end < len(arguments) and end - at < most and not _is_option(arguments[end]):
            end += 1
        if takes == ONE and end == at:
            raise UsageError(f"signal-cli: error: argument {argument}: expected one argument")
        values[name] = list(arguments[at:end])
        at = end
    return values, ()


def _is_option(argument: str) -> bool:
    return bool(_IS_OPTION.fullmatch(argument)) and not _IS_NEGATIVE.fullmatch(argument)
