"""Pure: a grant, by which the signer knows what a client key may ask for.

Source: PROTOCOL.md "Signer grant". Kind 30078, `["d","grant/<client>"]`, `["p",client]`, signed
by the router, or by the owner for a bunker client; the content is the JSON of the `Grant`:

    {"client":"<hex>","role":"session","group":"<uuid>","job":"<event id>",
     "methods":["sign_event"],
     "rules":[{"kind":9,"mode":"allow","required":[["h","<uuid>"],["job","<event id>"]],
               "max_content_bytes":65536,"max_tags":40,
               "rate":{"capacity":20,"per_s":0.5},"daily":500}],
     "not_before":1700000000,"expires_at":1700000180,"hard_expires_at":1700000900,
     "max_uses":200,"revoked":false}

`rate` over all rules together where there is one, `models` (model_scope.py) where a session may use
language models, `publishes` where what a bunker client has signed is published. What is not listed
is denied. An unknown field is refused: it may be a restriction.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, get_args

from nips.event import MAX_KIND, Event, Tags, Template
from nips.kinds import Kind
from nips.own.fields import (
    group_id,
    hex32,
    integer,
    json_object,
    known_only,
    of_kind,
    only_tag,
    text,
)
from nips.own.model_scope import ModelScope
from nips.refusal import Malformed

Role = Literal["session", "bridge", "bunker"]
Mode = Literal["allow", "ask", "deny"]

D_PREFIX = "grant/"
MAX_RULES = 100
MAX_METHODS = 20
MAX_REQUIRED_TAGS = 20
MAX_PER_S = 1_000_000


@dataclass(frozen=True, slots=True)
class Rate:
    """A token bucket: `capacity` events at once, `per_s` more each second (0: no refill)."""

    capacity: int
    per_s: float


@dataclass(frozen=True, slots=True)
class Rule:
    """What may be signed of one kind. None means that the grant sets no such limit.

    required: tags the event must hold, each beginning as written; forbidden: names of tags it
    must not hold; d_prefix: what its `d` begins with; daily: events in 24 hours.
    """

    kind: int
    mode: Mode = "allow"
    required: Tags = ()
    forbidden: tuple[str, ...] = ()
    d_prefix: str | None = None
    max_content_bytes: int | None = None
    max_tags: int | None = None
    rate: Rate | None = None
    daily: int | None = None

    @property
    def is_public(self) -> bool:
        """Say whether it is for events that belong to no group."""
        return "h" in self.forbidden


@dataclass(frozen=True, slots=True)
class Grant:
    """The scope of one client key. Times in unix seconds; `group` and `job` of sessions only.
    `rate` bounds everything together that the grant allows, besides its rules' own rates.

    A session that waits for its job has neither job nor rules. `hard_expires_at` never moves
    when a grant is renewed; `revoked` is final for the key. publishes: of a bunker client, that
    what it has signed is on the private relay before it is answered, as a session's is.
    """

    client: str
    role: Role
    methods: tuple[str, ...]
    rules: tuple[Rule, ...]
    not_before: int
    expires_at: int
    hard_expires_at: int
    max_uses: int
    group: str | None = None
    job: str | None = None
    revoked: bool = False
    models: ModelScope | None = None
    rate: Rate | None = None
    publishes: bool = False

    def rule_for(self, template: Template) -> Rule | None:
        """The one rule by which an event is judged; None where no rule has its kind.

        A kind has at most two: one that forbids `h`, for what is public, and one for what is said
        in the group. Whether the event holds an `h`, wherever and in whatever form, decides which:
        neither the order of tags nor that of rules does.
        """
        of_kind = [rule for rule in self.rules if rule.kind == template.kind]
        in_group = any(tag[0] == "h" for tag in template.tags)
        meant = (rule for rule in of_kind if rule.is_public != in_group)
        # Where there is one rule only it judges both, and says why not.
        return next(meant, of_kind[0] if of_kind else None)

    def live_at(self, now_s: int) -> bool:
        """Say whether the grant may be used at this second: from `not_before` on, and before
        either end."""
        return (
            not self.revoked
            and self.not_before <= now_s
            and now_s < min(self.expires_at, self.hard_expires_at)
        )

    def to_json(self) -> dict[str, Any]:
        """The object of the event's content."""
        return {
            "client": self.client,
            "role": self.role,
            "group": self.group,
            "job": self.job,
            "methods": list(self.methods),
            "rules": [_rule_to_json(rule) for rule in self.rules],
            "not_before": self.not_before,
            "expires_at": self.expires_at,
            "hard_expires_at": self.hard_expires_at,
            "max_uses": self.max_uses,
            "revoked": self.revoked,
            **({} if self.models is None else {"models": self.models.to_json()}),
            **({} if self.rate is None else {"rate": _rate_to_json(self.rate)}),
            **({"publishes": True} if self.publishes else {}),
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Grant:
        """Read the content's object. Raises Malformed with the field that is wrong."""
        known_only("grant", value, cls.__slots__)
        role = text("grant: role", value.get("role"))
        if role not in get_args(Role):
            raise Malformed(f"grant: there is no role {role[:40]!r}")
        group, job = value.get("group"), value.get("job")
        if role == "session" and group is None:
            raise Malformed("grant: a session's grant needs its group")
        methods, rules = value.get("methods"), value.get("rules")
        if not isinstance(methods, list) or len(methods) > MAX_METHODS:
            raise Malformed(f"grant: methods must be an array of at most {MAX_METHODS}")
        if not isinstance(rules, list) or len(rules) > MAX_RULES:
            raise Malformed(f"grant: rules must be an array of at most {MAX_RULES}")
        read = tuple(_rule_from_json(rule) for rule in rules)
        if len({(rule.kind, rule.is_public) for rule in read}) != len(read):
            raise Malformed("grant: two rules for one kind, of which not just one forbids h")
        revoked, publishes = value.get("revoked", False), value.get("publishes", False)
        if type(revoked) is not bool or type(publishes) is not bool:
            raise Malformed("grant: revoked and publishes must be true or false")
        if publishes and role != "bunker":
            raise Malformed("grant: only of a bunker's is it said whether it publishes")
        return cls(
            client=hex32("grant: client", value.get("client")),
            role=role,  # type: ignore[arg-type]  # one of Role's, checked above
            methods=tuple(text("grant: a method", method) for method in methods),
            rules=read,
            not_before=integer("grant: not_before", value.get("not_before")),
            expires_at=integer("grant: expires_at", value.get("expires_at")),
            hard_expires_at=integer("grant: hard_expires_at", value.get("hard_expires_at")),
            max_uses=integer("grant: max_uses", value.get("max_uses")),
            group=None if group is None else group_id("grant: group", group),
            job=None if job is None else hex32("grant: job", job),
            revoked=revoked,
            models=None
            if (models := value.get("models")) is None
            else ModelScope.from_json(models),
            rate=None if (rate := value.get("rate")) is None else _rate_from_json(rate),
            publishes=publishes,
        )


def parse(event: Event, author: str) -> Grant:
    """Read a grant that `author` (hex), the router or the owner, signed.

    The relay is transport, not authority: id, signature and author are checked here, and that
    `d`, `p` and content name the same client, so a grant cannot be shelved under another key.
    Raises Malformed.
    """
    of_kind("grant", event, Kind.APP_DATA)
    if event.pubkey != author:
        raise Malformed("grant: not signed by the router, nor by the owner")
    event.verify()
    grant = Grant.from_json(json_object("grant", event.content))
    if only_tag("grant", event, "d") != D_PREFIX + grant.client:
        raise Malformed("grant: the d tag does not name the client")
    if only_tag("grant", event, "p") != grant.client:
        raise Malformed("grant: the p tag does not name the client")
    return grant


def template(grant: Grant, author: str, created_at: int) -> Template:
    """The unsigned event of a grant; the same client's next one replaces it."""
    state = "revoked" if grant.revoked else f"until {grant.expires_at}"
    return Template(
        author,
        created_at,
        Kind.APP_DATA,
        (
            ("d", D_PREFIX + grant.client),
            ("p", grant.client),
            ("alt", f"Signing grant for a {grant.role} key, {state}"),
        ),
        json.dumps(grant.to_json(), separators=(",", ":"), ensure_ascii=False),
    )


def _rule_to_json(rule: Rule) -> dict[str, Any]:
    out: dict[str, Any] = {"kind": rule.kind, "mode": rule.mode}
    out["required"] = [list(tag) for tag in rule.required]
    if rule.forbidden:
        out["forbidden"] = list(rule.forbidden)
    for name in ("d_prefix", "max_content_bytes", "max_tags", "daily"):
        if (limit := getattr(rule, name)) is not None:
            out[name] = limit
    if rule.rate is not None:
        out["rate"] = _rate_to_json(rule.rate)
    return out


def _rate_to_json(rate: Rate) -> dict[str, Any]:
    return {"capacity": rate.capacity, "per_s": rate.per_s}


def _rule_from_json(value: object) -> Rule:
    if not isinstance(value, Mapping):
        raise Malformed("grant: a rule must be a JSON object")
    known_only("grant: a rule", value, Rule.__slots__)
    mode = text("grant: a rule's mode", value.get("mode"))
    if mode not in get_args(Mode):
        raise Malformed(f"grant: a rule has no mode {mode[:40]!r}")
    required, forbidden = value.get("required", []), value.get("forbidden", [])
    if (
        not isinstance(required, list)
        or len(required) > MAX_REQUIRED_TAGS
        or not all(isinstance(tag, list) and tag for tag in required)
    ):
        raise Malformed("grant: a rule's required must be an array of tags")
    if not isinstance(forbidden, list) or len(forbidden) > MAX_REQUIRED_TAGS:
        raise Malformed("grant: a rule's forbidden must be an array of names")
    d_prefix = value.get("d_prefix")
    limits = {
        name: None if (limit := value.get(name)) is None else integer(f"grant: {name}", limit)
        for name in ("max_content_bytes", "max_tags", "daily")
    }
    return Rule(
        kind=integer("grant: a rule's kind", value.get("kind"), 0, MAX_KIND),
        mode=mode,  # type: ignore[arg-type]  # one of Mode's, checked above
        required=tuple(tuple(text("grant: a tag", part) for part in tag) for tag in required),
        forbidden=tuple(text("grant: a tag's name", name) for name in forbidden),
        d_prefix=None if d_prefix is None else text("grant: d_prefix", d_prefix),
        rate=None if (rate := value.get("rate")) is None else _rate_from_json(rate),
        **limits,
    )


def _rate_from_json(value: object) -> Rate:
    if not isinstance(value, Mapping):
        raise Malformed("grant: a rate must be a JSON object")
    known_only("grant: a rate", value, Rate.__slots__)
    per_s = value.get("per_s")
    # NaN compares false with everything, so it fails here too.
    if isinstance(per_s, bool) or not isinstance(per_s, int | float) or not 0 <= per_s <= MAX_PER_S:
        raise Malformed(f"grant: per_s must be a number from 0 to {MAX_PER_S}")
    return Rate(integer("grant: capacity", value.get("capacity"), 1), float(per_s))
