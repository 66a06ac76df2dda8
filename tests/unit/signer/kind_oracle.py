"""What the signer promises about kinds, written from the promise and not from the code.

A naive oracle for signer/policy.py: effective scope = grant ∩ ceiling, default deny. The lists are
written out here, so that a change of the code's own lists shows.
"""

from __future__ import annotations

import json
from collections.abc import Sequence

from nips.event import Template
from nips.own.grant import Grant, Rule
from signer.ceiling import Ceiling
from tests.unit.signer.house import MAIN, NOW, House

HOUSE = House()
# Nobody has these signed by asking: seals, wraps, logins, requests, moderation, records, vanishing,
# what agents do, costs.
NEVER = {13, 62, 1059, 22_242, 24_133, 24_200, 30_078, 44_200} | set(range(9_000, 9_023))
NEVER |= set(range(43_001, 43_007)) | set(range(46_000, 46_100))
# The bot's name itself: its owner says yes to the very event, each time.
OWNERS = {0, 3, 5, 10_002, 10_050}
SPOKEN = {7, 9}  # inside a group and nowhere else
RELAYS = ("wss://a.example", "wss://b.example")
PROFILE = '{"name":"Bot","about":"An assistant","bot":true}'
# Exactly what the ceiling spells out, which is all that a bridge ever has signed unasked.
FACE = {
    (0, frozenset(), PROFILE),
    (10_002, frozenset(("r", url) for url in RELAYS), ""),
    (10_050, frozenset(("relay", url) for url in RELAYS), ""),
    *((22_242, frozenset({("relay", url), ("challenge", "c")}), "") for url in RELAYS),
}


def promised(
    template: Template, grant: Grant, rule: Rule | None, ceiling: Ceiling, owner: str | None
) -> str:
    """`sign`, `ask` or `refuse`. rule: the grant's one for this kind."""
    if (
        rule is None
        or rule.mode == "deny"
        or "sign_event" not in grant.methods
        or template.pubkey != HOUSE.bot.public
        or abs(template.created_at - NOW) > 60
        or not _fits(template, rule)
    ):
        return "refuse"
    kind, h = template.kind, [tag[1:2] for tag in template.tags if tag[0] == "h"]
    asks = rule.mode == "ask"
    match grant.role:
        case "bridge":
            said = (kind, frozenset(template.tags), template.content)
            once = len(set(template.tags)) == len(template.tags)
            ours = grant.client == HOUSE.bridge.public
            profile = kind == 0 and not template.tags and _is_object(template.content)
            question = profile and said not in FACE and owner is not None and 0 in ceiling.ask_kinds
            allowed = ours and ((said in FACE and once) or question)
            asks = asks or question
        case "bunker":
            public = kind in ceiling.bunker_kinds and kind not in NEVER | OWNERS
            # What it has published its owner may let it take back, and nothing else.
            back = kind == 5 and grant.publishes and 5 in ceiling.ask_kinds and _retracts(template)
            allowed = owner is not None and not h and (public or back)
            asks = asks or back
        case "session":
            named = kind in ceiling.session_kinds | ceiling.groups.get(grant.group or "", set())
            question = kind in ceiling.ask_kinds and grant.group == MAIN
            here = h == [(grant.group,)]
            # A reaction alone, where the file says so of this group and the rule is for nothing
            # that is said in one.
            in_public = kind == 7 and grant.group in ceiling.public_reactions
            in_public = in_public and "h" in rule.forbidden
            allowed = (
                owner is not None
                and grant.job is not None
                and kind not in NEVER
                and (question or (named and kind not in OWNERS))
                and (here or (not h and (kind not in SPOKEN or in_public)))
                and not (kind in OWNERS and h)
                and (kind != 5 or _retracts(template))
            )
            asks = asks or kind in OWNERS or kind in ceiling.ask_kinds - ceiling.pre_approved
    return ("ask" if asks else "sign") if allowed else "refuse"


def meant(template: Template, rules: Sequence[Rule]) -> Rule | None:
    """Which of a kind's rules judges: with two, one is for what has an `h` of whatever form."""
    if len(rules) < 2:
        return rules[0] if rules else None
    public, spoken = sorted(rules, key=lambda rule: "h" not in rule.forbidden)
    assert "h" not in spoken.forbidden
    names = {tag[0] for tag in template.tags}
    return spoken if "h" in names else public


def _fits(template: Template, rule: Rule) -> bool:
    def starts(name: str) -> list[tuple[str, ...]]:
        return sorted(tag for tag in template.tags if tag[0] == name)

    d = [tag[1:2] for tag in template.tags if tag[0] == "d"]
    for name in {tag[0] for tag in rule.required}:
        wanted = sorted(tag for tag in rule.required if tag[0] == name)
        if [tag[: len(want)] for tag, want in zip(starts(name), wanted, strict=False)] != wanted:
            return False
        if len(starts(name)) != len(wanted):
            return False
    return (
        not {tag[0] for tag in template.tags} & set(rule.forbidden)
        and (
            rule.d_prefix is None
            or (len(d) == 1 and d[0] != () and d[0][0].startswith(rule.d_prefix))
        )
        and (rule.max_content_bytes is None or _bytes(template) <= rule.max_content_bytes)
        and (rule.max_tags is None or len(template.tags) <= rule.max_tags)
        and len("".join("".join(tag) for tag in template.tags).encode()) <= 65_536
    )


def _is_object(content: str) -> bool:
    try:
        return isinstance(json.loads(content), dict)
    except ValueError:
        return False


def _bytes(template: Template) -> int:
    return len(template.content.encode())


def _retracts(template: Template) -> bool:
    e = [tag[1:2] for tag in template.tags if tag[0] == "e"]
    a = [tag[1:2] for tag in template.tags if tag[0] == "a"]
    own = all(at != () and at[0].split(":")[1:2] == [HOUSE.bot.public] for at in a)
    hexes = all(at != () and len(at[0]) == 64 and set(at[0]) <= set("0123456789abcdef") for at in e)
    return bool(e or a) and own and hexes
