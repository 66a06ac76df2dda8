"""Shell: how long the router takes to decide what becomes of a message; `python -m bench.routing`.

A hundred thousand messages, mixed as conversations are, in a thousand groups of every policy:
plain text, calls by name, npubs, answers, agents, echoes, other people's, in several scripts and
up to four thousand characters. Only the decision is measured, which is pure.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from random import Random
from time import perf_counter_ns
from zoneinfo import ZoneInfo

from bench.figures import Figures, summarise
from bot.groups import Group
from bot.routing import Around, Outcome, route
from nips.event import Event, Tag, Template
from nips.key import SecretKey
from nips.kinds import Kind
from nips.nip19 import encode_nprofile, encode_npub
from nips.own.binding import Binding, Quiet
from nips.own.roles import Roles

MESSAGES, GROUPS = 100_000, 1_000
SEED = 20_261_122
PEOPLE = 200
UNIT = "µs"
_BEGIN_S = 1_795_300_000
_BERLIN = ZoneInfo("Europe/Berlin")
_WORDS = (
    "the and we will see tomorrow at noon, bring milk @Clawdia x@claw.example ещё раз 明日 ok 🦞"
)


def measure(messages: int = MESSAGES, groups: int = GROUPS) -> tuple[Figures, dict[str, int]]:
    """The time of one decision, in microseconds, and how many messages became what."""
    dice = Random(SEED)  # the same messages at every run
    keys = [SecretKey((n + 1).to_bytes(32, "big")).public for n in range(PEOPLE)]
    relay, signer, router, bot, owner, bridge = keys[:6]
    roles = Roles(relay, signer, router, bot, _uuid(0), owner, bridges={"nostr": bridge})
    rooms = [_group(_uuid(n), keys, roles, dice) for n in range(groups)]
    cases = [_case(dice.choice(rooms), keys, roles, dice) for _ in range(messages)]
    taken_us: list[float] = []
    became: dict[str, int] = {}
    for event, group, around in cases:
        began_ns = perf_counter_ns()
        outcome: Outcome = route(event, group, roles, around)
        taken_us.append((perf_counter_ns() - began_ns) / 1_000)
        name = type(outcome).__name__
        became[name] = became.get(name, 0) + 1
    return summarise("routing decision", UNIT, taken_us), became


def _group(group_id: str, keys: Sequence[str], roles: Roles, dice: Random) -> Group:
    members = {roles.bot: ("member",), keys[4]: ("owner",)}
    for key in dice.sample(keys[6:], dice.randint(1, 40)):
        members[key] = (dice.choice(("puppet", "puppet", "member", "admin", "agent")),)
    binding = Binding(
        group_id,
        "folder",
        trigger=dice.choice((None, "", "", "", "!ask", "@Ada Lovelace")),
        archived=dice.random() < 0.02,
        paused=dice.random() < 0.02,
        senders=dice.choice(("trusted", "members")),
        muted=tuple(dice.sample(keys[6:], dice.choice((0, 0, 1, 50)))),
        agents=dice.random() < 0.3,
        quiet=Quiet("22:00", "07:00", "Europe/Berlin") if dice.random() < 0.3 else None,
    )
    return Group(group_id, members, binding)


def _case(
    group: Group, keys: Sequence[str], roles: Roles, dice: Random
) -> tuple[Event, Group, Around]:
    words = _WORDS.split()
    text = " ".join(dice.choices(words, k=dice.choice((1, 3, 8, 20, 60, 800))))
    tags: list[Tag] = [("h", group.id), ("o", f"{dice.getrandbits(256):064x}")]
    match dice.randrange(10):
        case 0 | 1 | 2:
            text = f"{text} @claw, {text}"
        case 3:
            text = f"{text} nostr:{encode_npub(roles.bot)}"
        case 4:
            text = f"nostr:{encode_nprofile(keys[9], ['wss://relay.example'])} {text}"
        case 5:
            tags.append(("q", f"{dice.getrandbits(256):064x}"))
        case 6:
            tags += [("L", "agent"), ("l", "ai", "agent")]
    author = dice.choice((*group.members, keys[5]))
    if "puppet" in group.members.get(author, ()):
        tags.append(("proxy", f"{dice.getrandbits(256):064x}", "nostr"))
    template = Template(author, _BEGIN_S, Kind.CHAT, tuple(tags), text[:4_000])
    around = Around(
        # A day and night, the change of the clocks in spring among the days.
        _BEGIN_S + dice.randrange(365 * 86_400),
        "Claw",
        frozenset({keys[4]}),
        _BERLIN,
        answers_us=dice.random() < 0.05,
        agents_before=dice.randrange(5),
    )
    # A decision looks at no signature: relay and link have.
    return template.with_sig("00" * 64), group, around


def _uuid(number: int) -> str:
    return f"00000000-0000-4000-8000-{number:012x}"


if __name__ == "__main__":
    figures, outcomes = measure()
    print(json.dumps(figures.to_json() | {"became": outcomes}))
