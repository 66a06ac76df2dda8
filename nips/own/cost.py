"""Pure: what a job has cost in language models, as its owner's client reads it: kind 44200.

Source: PROTOCOL.md "Kind 44200"; Buzz's NIP-AM. By the bot, `["p",<owner>]`, `["agent",<bot>]`;
the content is NIP-44 to the owner of

    {"harness":"nostrclaw","timestamp":"2026-01-01T00:00:42.000Z","model":"claude-sonnet-4-5",
     "channelId":"<group>","sessionId":"<group>/<unix s>","turnId":"<43001>","turnSeq":3,
     "turn":{"inputTokens":11,"outputTokens":2,"totalTokens":null,"cacheReadTokens":0,
             "cacheWriteTokens":0,"costUsd":0.000063},
     "cumulative":{…},"deltaReliable":true,"stopReason":"end_turn"}
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal, get_args

from nips.event import Template
from nips.kinds import Kind
from nips.own.fields import group_id, hex32, integer, json_object, known_only, text
from nips.refusal import Malformed

HARNESS = "nostrclaw"
MAX_MODEL_CHARS = 200
MAX_USD = 10**9
_TIMESTAMP = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{3}Z")
_SESSION = re.compile(r"[0-9a-f-]{36}/[0-9]{1,16}")
_FIELDS = (
    "harness", "timestamp", "model", "channelId", "sessionId", "turnId", "turnSeq", "turn",
    "cumulative", "deltaReliable", "stopReason",
)  # fmt: skip
_COUNTS = ("inputTokens", "outputTokens", "totalTokens", "cacheReadTokens", "cacheWriteTokens")

StopReason = Literal["end_turn", "max_tokens", "cancelled", "error", "unknown"]


@dataclass(frozen=True, slots=True)
class Counts:
    """Tokens as providers told them, None where they did not; money in millionths of a US dollar.

    input: all that was read, from caches too and into them; cache_read and cache_write are parts
    of it.
    """

    input: int | None
    output: int | None
    cache_read: int | None
    cache_write: int | None
    microusd: int

    def to_json(self) -> dict[str, Any]:
        """The object. NIP-AM of `totalTokens`: "publishers MUST NOT derive it by summing"."""
        return {
            "inputTokens": self.input,
            "outputTokens": self.output,
            "totalTokens": None,
            "cacheReadTokens": self.cache_read,
            "cacheWriteTokens": self.cache_write,
            "costUsd": self.microusd / 1_000_000,
        }

    @classmethod
    def from_json(cls, what: str, value: object) -> Counts:
        """Read the object. Raises Malformed."""
        if not isinstance(value, Mapping):
            raise Malformed(f"{what} must be an object")
        known_only(what, value, {*_COUNTS, "costUsd"})
        counts = {
            name: None if (given := value.get(name)) is None else integer(f"{what}: {name}", given)
            for name in _COUNTS
        }
        if counts["totalTokens"] is not None:
            raise Malformed(f"{what}: no provider's total is known, so totalTokens is null")
        usd = value.get("costUsd")
        # NaN and infinity compare false with everything, so they fail too.
        if isinstance(usd, bool) or not isinstance(usd, int | float) or not 0 <= usd <= MAX_USD:
            raise Malformed(f"{what}: costUsd must be a number from 0 to {MAX_USD:,}")
        return cls(
            counts["inputTokens"],
            counts["outputTokens"],
            counts["cacheReadTokens"],
            counts["cacheWriteTokens"],
            round(usd * 1_000_000),
        )


@dataclass(frozen=True, slots=True)
class Cost:
    """One job's cost. ended_at: unix seconds. session: `<group>/<unix s>`, the group's
    conversation since a ledger of models was begun; `cumulative` and `turn_seq` count within it.

    exact: whether every call's usage was told by its provider; where not, `turn` knows no tokens.
    """

    job: str
    group: str
    session: str
    turn_seq: int
    model: str
    turn: Counts
    cumulative: Counts
    ended_at: int
    exact: bool = True
    stop_reason: StopReason = "unknown"

    def to_json(self) -> str:
        """The text that is encrypted to the owner."""
        at = datetime.fromtimestamp(self.ended_at, UTC).strftime("%Y-%m-%dT%H:%M:%S.000Z")
        value = {
            "harness": HARNESS,
            "timestamp": at,
            "model": self.model,
            "channelId": self.group,
            "sessionId": self.session,
            "turnId": self.job,
            "turnSeq": self.turn_seq,
            "turn": self.turn.to_json(),
            "cumulative": self.cumulative.to_json(),
            "deltaReliable": self.exact,
            "stopReason": self.stop_reason,
        }
        return json.dumps(value, separators=(",", ":"), ensure_ascii=False)


def parse(content: str) -> Cost:
    """Read the text of a cost. Raises Malformed with the field that is wrong."""
    what = "cost"
    value = json_object(what, content)
    known_only(what, value, _FIELDS)
    if value.get("harness") != HARNESS:
        raise Malformed(f"{what}: harness must be {HARNESS}")
    at = text(f"{what}: timestamp", value.get("timestamp"))
    if not _TIMESTAMP.fullmatch(at):
        raise Malformed(f"{what}: timestamp must be a time as in 2026-01-01T00:00:42.000Z")
    try:
        ended_at = int(datetime.fromisoformat(at.replace("Z", "+00:00")).timestamp())
    except ValueError as error:
        raise Malformed(f"{what}: timestamp is no time") from error
    model = text(f"{what}: model", value.get("model"))
    if not 0 < len(model) <= MAX_MODEL_CHARS or not model.isprintable():
        raise Malformed(f"{what}: model must be 1 to {MAX_MODEL_CHARS} printable characters")
    group = group_id(f"{what}: channelId", value.get("channelId"))
    session = text(f"{what}: sessionId", value.get("sessionId"))
    if not _SESSION.fullmatch(session) or not session.startswith(f"{group}/"):
        raise Malformed(f"{what}: sessionId must be the group, a slash, and unix seconds")
    exact, stop = value.get("deltaReliable"), value.get("stopReason")
    if type(exact) is not bool:
        raise Malformed(f"{what}: deltaReliable must be true or false")
    if stop not in get_args(StopReason):
        raise Malformed(f"{what}: stopReason must be one of {', '.join(get_args(StopReason))}")
    return Cost(
        hex32(f"{what}: turnId", value.get("turnId")),
        group,
        session,
        integer(f"{what}: turnSeq", value.get("turnSeq"), 1),
        model,
        Counts.from_json(f"{what}: turn", value.get("turn")),
        Counts.from_json(f"{what}: cumulative", value.get("cumulative")),
        ended_at,
        exact,
        stop,  # type: ignore[arg-type]  # one of StopReason's, checked above
    )


def template(cost: Cost, bot: str, owner: str, ciphertext: str) -> Template:
    """The unsigned 44200 of the bot for its owner (both hex); one for a job.

    It has no once-key: an agent could have its own words signed under that, and then its cost
    would be the duplicate. The signer remembers which jobs it has told of.
    """
    return Template(
        bot,
        cost.ended_at,  # NIP-AM: "`created_at` SHOULD equal the payload `timestamp`"
        Kind.COST,
        (
            ("p", owner),
            ("agent", bot),
            ("alt", "What an answer cost, for the owner alone"),
        ),
        ciphertext,
    )
