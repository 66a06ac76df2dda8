"""Pure: what a job and its group have used of language models: the request `spent`.

The model proxy tells the router, 24133 in NIP-46's form, one parameter, the JSON of a `Spent`:

    {"group":"<uuid>","day":"2026-01-01","group_day":{"tokens":13,"microusd":63},
     "job":"<43001>","under_way":0,"exact":true,"refused":null,
     "models":[{"provider":"anthropic","model":"claude-sonnet-4-5","requests":1,"input":11,
                "output":2,"cache_read":0,"cache_write":0,"microusd":63}],
     "session":"<uuid>/<unix s>","turn_seq":1,
     "conversation":{"input":11,"output":2,"cache_read":0,"cache_write":0,"microusd":63}}

All numbers are absolute, so that one that is lost or repeated does no harm. No message's text.
Source: PROTOCOL.md "Language models".
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from nips.own.fields import group_id, hex32, integer, json_object, known_only, text
from nips.refusal import Malformed

METHOD = "spent"
# What the router answers: the job goes on, tell me again; or its cost is filed, and that is all.
NOTED, FILED = "noted", "filed"
MAX_MODELS = 100
MAX_NAME_CHARS = 200
MAX_SENTENCE_CHARS = 500
_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_SESSION = re.compile(r"[0-9a-f-]{36}/[0-9]{1,16}")
_USE = ("input", "output", "cache_read", "cache_write", "microusd")


@dataclass(frozen=True, slots=True)
class Use:
    """Tokens as providers told them; money, in millionths of a US dollar, as it was paid.

    input: read, neither from a cache nor into one.
    """

    input: int = 0
    output: int = 0
    cache_read: int = 0
    cache_write: int = 0
    microusd: int = 0

    def __add__(self, other: Use) -> Use:
        return Use(*(getattr(self, name) + getattr(other, name) for name in _USE))

    @property
    def is_none(self) -> bool:
        """Say whether nothing at all was used."""
        return self == Use()

    def to_json(self) -> dict[str, int]:
        """The object."""
        return {name: getattr(self, name) for name in _USE}

    @classmethod
    def from_json(cls, what: str, value: Mapping[str, Any]) -> Use:
        """Read the object's five numbers. Raises Malformed."""
        return cls(*(integer(f"{what}: {name}", value.get(name)) for name in _USE))


@dataclass(frozen=True, slots=True)
class ModelUse:
    """What a job has used of one model, in so many requests."""

    provider: str
    model: str
    requests: int
    use: Use


@dataclass(frozen=True, slots=True)
class Sum:
    """What counts against a day's budget: tokens of every kind, set aside ones too; money."""

    tokens: int = 0
    microusd: int = 0


@dataclass(frozen=True, slots=True)
class Refused:
    """A call that was not made because a day's limit could not pay it. by_ceiling: the limit is
    the ceiling's, which no budget raises. sentence: who may use how much, and has."""

    by_ceiling: bool
    sentence: str


@dataclass(frozen=True, slots=True)
class Spent:
    """See above. group_day: of the UTC day `day`. under_way: calls of the job that are not billed
    yet. exact: whether each call's usage was told by its provider. refused: the last of the job's
    calls that a day's limit refused, on that day.

    session: the group's conversation since the ledger was begun; turn_seq: the job's place in it,
    from 1; conversation: all of it up to this job's last call.
    """

    group: str
    day: str
    group_day: Sum
    job: str
    models: tuple[ModelUse, ...]
    under_way: int
    exact: bool
    session: str
    turn_seq: int
    conversation: Use
    refused: Refused | None = None

    @property
    def use(self) -> Use:
        """What the job has used of all models together."""
        return sum((one.use for one in self.models), Use())

    @property
    def main_model(self) -> str:
        """The model that cost most, or made most. There must be one."""
        return max(self.models, key=lambda one: (one.use.microusd, one.use.output)).model

    def to_json(self) -> str:
        """The request's parameter."""
        value = {
            "group": self.group,
            "day": self.day,
            "group_day": {"tokens": self.group_day.tokens, "microusd": self.group_day.microusd},
            "job": self.job,
            "under_way": self.under_way,
            "exact": self.exact,
            "models": [
                {"provider": one.provider, "model": one.model, "requests": one.requests}
                | one.use.to_json()
                for one in self.models
            ],
            "session": self.session,
            "turn_seq": self.turn_seq,
            "conversation": self.conversation.to_json(),
            "refused": None
            if (refused := self.refused) is None
            else {"by_ceiling": refused.by_ceiling, "sentence": refused.sentence},
        }
        return json.dumps(value, separators=(",", ":"), ensure_ascii=False)


def day(what: str, value: object) -> str:
    """A UTC day. Raises Malformed."""
    if not _DAY.fullmatch(given := text(what, value)):
        raise Malformed(f"{what} must be a day as in 2026-01-31")
    return given


def parse(content: str) -> Spent:
    """Read the request's parameter. Raises Malformed with the field that is wrong."""
    what = "spent"
    value = json_object(what, content)
    known_only(what, value, Spent.__slots__)
    group = group_id(f"{what}: group", value.get("group"))
    models = value.get("models")
    if not isinstance(models, list) or len(models) > MAX_MODELS:
        raise Malformed(f"{what}: models must be an array of at most {MAX_MODELS}")
    session = text(f"{what}: session", value.get("session"))
    if not _SESSION.fullmatch(session) or not session.startswith(f"{group}/"):
        raise Malformed(f"{what}: session must be the group, a slash, and unix seconds")
    exact = value.get("exact")
    if type(exact) is not bool:
        raise Malformed(f"{what}: exact must be true or false")
    return Spent(
        group,
        day(f"{what}: day", value.get("day")),
        _sum(f"{what}: group_day", value.get("group_day")),
        hex32(f"{what}: job", value.get("job")),
        tuple(_model(f"{what}: a model", one) for one in models),
        integer(f"{what}: under_way", value.get("under_way")),
        exact,
        session,
        integer(f"{what}: turn_seq", value.get("turn_seq"), 1),
        Use.from_json(f"{what}: conversation", _object(what, value.get("conversation"), _USE)),
        _refused(f"{what}: refused", value.get("refused")),
    )


def _model(what: str, value: object) -> ModelUse:
    given = _object(what, value, ("provider", "model", "requests", *_USE))
    provider, model = (text(f"{what}: {n}", given.get(n)) for n in ("provider", "model"))
    if not (0 < len(provider) <= MAX_NAME_CHARS and 0 < len(model) <= MAX_NAME_CHARS):
        raise Malformed(f"{what}: provider and model have 1 to {MAX_NAME_CHARS} characters")
    requests = integer(f"{what}: requests", given.get("requests"))
    return ModelUse(provider, model, requests, Use.from_json(what, given))


def _sum(what: str, value: object) -> Sum:
    given = _object(what, value, ("tokens", "microusd"))
    return Sum(*(integer(f"{what}: {n}", given.get(n)) for n in ("tokens", "microusd")))


def _refused(what: str, value: object) -> Refused | None:
    if value is None:
        return None
    given = _object(what, value, ("by_ceiling", "sentence"))
    by_ceiling, sentence = given.get("by_ceiling"), text(what, given.get("sentence"))
    if type(by_ceiling) is not bool:
        raise Malformed(f"{what}: by_ceiling must be true or false")
    if len(sentence) > MAX_SENTENCE_CHARS or not sentence.isprintable():
        raise Malformed(f"{what}: at most {MAX_SENTENCE_CHARS} printable characters")
    return Refused(by_ceiling, sentence)


def _object(what: str, value: object, known: tuple[str, ...]) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise Malformed(f"{what} must be an object")
    known_only(what, value, known)
    return value
