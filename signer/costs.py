"""Pure: what a signature, or any other use of the bot's key, costs.

Names are of the group, not of the session's key, so that neither a new key nor a renewal nor a
restart fills anything up again. A login has no group: its names are of its key, and `bunker`
counts over all logins.
"""

from __future__ import annotations

from nips.own.grant import Grant, Rule
from signer.buckets import Cost, Counted, Rated
from signer.ceiling import GROUP_KINDS, Ceiling

FACE_QUESTIONS_PER_DAY = 5  # about the profile, on a bridge's request
COSTS_AT_ONCE, COSTS_PER_S, COSTS_PER_DAY = 120, 1.0, 10_000  # of 44200, one for each job


def of_signing(grant: Grant, rule: Rule, ceiling: Ceiling, grant_id: str) -> tuple[Cost, ...]:
    """What one `sign_event` takes. rule: the one that lets it."""
    name = f"kind/{grant.group or grant.client}/{rule.kind}"
    if rule.kind in GROUP_KINDS and rule.is_public:  # else what is said in the group uses it up
        name += "/public"
    own = _own_rate(grant)
    if rule.rate is not None:
        own.append(Rated(name, rule.rate.capacity, rule.rate.per_s))
    if rule.daily is not None:
        own.append(Counted(f"{name}/day", rule.daily, daily=True))
    if grant.group is not None:
        own += _of_group(grant.group, ceiling)
    if grant.role == "bunker":
        own += _over_logins(ceiling)
    return (use(grant, grant_id), *own, *_over_all(ceiling))


def of_asking(grant: Grant, rule: Rule, ceiling: Ceiling, grant_id: str) -> tuple[Cost, ...]:
    """What having the owner asked takes: as much as signing, and one of the day's questions."""
    questions = [Counted("questions/day", ceiling.caps.questions_per_day, daily=True)]
    if grant.role == "bridge":
        # Attack: a bridge that was taken over asks until the owner says yes without reading.
        questions.append(Counted("face/day", FACE_QUESTIONS_PER_DAY, daily=True))
    return (*of_signing(grant, rule, ceiling, grant_id), *questions)


def of_approved(group: str | None, ceiling: Ceiling) -> tuple[Cost, ...]:
    """What signing takes after a yes; the grant that it was asked under may be long gone."""
    return (*(_of_group(group, ceiling) if group is not None else ()), *_over_all(ceiling))


def of_sealing(grant: Grant, ceiling: Ceiling, grant_id: str) -> tuple[Cost, ...]:
    """What one `seal` takes."""
    return (use(grant, grant_id), *_over_all(ceiling))


def of_cost(ceiling: Ceiling) -> tuple[Cost, ...]:
    """What telling the owner a job's cost takes. Attack: a router that was taken over has costs
    signed without end, and with them what all of a day's signatures may be."""
    return (
        Rated("costs", COSTS_AT_ONCE, COSTS_PER_S),
        Counted("costs/day", COSTS_PER_DAY, daily=True),
        *_over_all(ceiling),
    )


def of_text(method: str, grant: Grant, ceiling: Ceiling, grant_id: str) -> tuple[Cost, ...]:
    """What a login's `nip44_encrypt` or `nip44_decrypt` takes."""
    own = [*_own_rate(grant), *_over_logins(ceiling)]
    if method == "nip44_decrypt":
        # Attack: everything that was ever written to the bot in private, read in one go.
        own.append(Counted("bunker/decrypts", ceiling.caps.bunker_decrypts_per_day, daily=True))
    return (use(grant, grant_id), *own)


def use(grant: Grant, grant_id: str) -> Cost:
    """One of the grant's uses.

    A session's key has its uses once. A bridge's key is renewed for as long as it runs, a login
    by its owner's own hand, so there they are counted by grant.
    """
    name = grant.client if grant.role == "session" else f"{grant.client}/{grant_id}"
    return Counted(f"key/{name}", grant.max_uses, daily=False)


def _own_rate(grant: Grant) -> list[Cost]:
    if grant.rate is None:
        return []
    name = f"grant/{grant.group or grant.client}"
    return [Rated(name, grant.rate.capacity, grant.rate.per_s)]


def _of_group(group: str, ceiling: Ceiling) -> tuple[Cost, ...]:
    caps = ceiling.caps
    return (
        Rated(f"group/{group}", caps.group_per_minute, caps.group_per_minute / 60),
        Counted(f"group/{group}/day", caps.group_per_day, daily=True),
    )


def _over_logins(ceiling: Ceiling) -> tuple[Cost, ...]:
    caps = ceiling.caps
    return (
        Rated("bunker", caps.bunker_per_minute, caps.bunker_per_minute / 60),
        Counted("bunker/day", caps.bunker_per_day, daily=True),
    )


def _over_all(ceiling: Ceiling) -> tuple[Cost, ...]:
    caps = ceiling.caps
    return (
        Rated("all", caps.per_minute, caps.per_minute / 60),
        Counted("all/day", caps.per_day, daily=True),
    )
