"""Pure: invitations and logins as a person sees them: one row each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from nips import nip19
from nips.own.grant import Rate
from nips.refusal import Malformed
from signer.ceiling import Ceiling
from signer.grants import ends_s
from signer.invitation import Invitation, Login

MIN_PREFIX_CHARS = 10  # of an npub, `npub1` among them


@dataclass(frozen=True, slots=True)
class Row:
    """One invitation, one login, or both where the one became the other.

    id: of the invitation; None where the owner's own event let the client in. client: hex.
    expires_s: when it ends by itself, unix seconds; ended: it was ended for good before.
    """

    id: str | None
    client: str | None
    name: str
    state: str
    lives: bool
    ended: bool
    kinds: tuple[int, ...]
    methods: tuple[str, ...]
    rate: Rate | None
    used: int
    max_uses: int
    expires_s: int
    publishes: bool = False

    @property
    def allowed(self) -> str:
        """Its kinds, and `encrypt`, `decrypt` and `published` where it is so."""
        kinds = map(str, self.kinds if "sign_event" in self.methods else ())
        texts = (m.removeprefix("nip44_") for m in self.methods if m.startswith("nip44_"))
        return " ".join((*kinds, *texts, *(["published"] if self.publishes else [])))

    @property
    def is_past(self) -> bool:
        """Whether it published something and is over: each publication leaves one behind."""
        return self.publishes and not self.lives

    def to_json(self) -> dict[str, Any]:
        """What `--json` prints."""
        rate = None
        if self.rate is not None:
            rate = {"capacity": self.rate.capacity, "per_s": self.rate.per_s}
        return {
            "id": self.id,
            "client": None if self.client is None else nip19.encode_npub(self.client),
            "name": self.name,
            "state": self.state,
            "kinds": list(self.kinds),
            "methods": list(self.methods),
            "rate": rate,
            "used": self.used,
            "max_uses": self.max_uses,
            "expires_at": self.expires_s,
            "publishes": self.publishes,
        }


def of(
    invitations: Sequence[Invitation], logins: Sequence[Login], ceiling: Ceiling, now_s: float
) -> list[Row]:
    """The rows, in the order of invitations; after them the logins that needed none."""
    by_invitation = {login.invitation.id: login for login in logins if login.invitation}
    made = [
        _of_login(login, ceiling, now_s)
        if (login := by_invitation.get(one.id)) is not None
        else _of_invitation(one, now_s)
        for one in invitations
    ]
    return made + [_of_login(one, ceiling, now_s) for one in logins if one.invitation is None]


def matching(found: Sequence[Row], typed: str) -> list[Row]:
    """The rows that a person means. Raises Malformed where there are none, or several clients."""
    some = [
        row
        for row in found
        if typed in (row.id, row.client)
        or (
            row.client is not None
            and len(typed) >= MIN_PREFIX_CHARS
            and nip19.encode_npub(row.client).startswith(typed)
        )
    ]
    if not some:
        raise Malformed(
            f"no invitation and no login is {typed!r}; nostrclaw bunker list shows them"
        )
    if len({row.client for row in some}) > 1:
        raise Malformed(f"{typed!r} begins several npubs; type more of it")
    return some


def _of_invitation(one: Invitation, now_s: float) -> Row:
    state = one.state(now_s)
    return Row(
        one.id, one.client, one.name, state, state == "open", one.ended is not None,
        one.terms.kinds, one.terms.methods, one.terms.rate, 0, one.terms.max_uses,
        one.expires_s if one.client is not None else one.open_until_s, one.terms.publishes,
    )  # fmt: skip


def _of_login(login: Login, ceiling: Ceiling, now_s: float) -> Row:
    held, one = login.held, login.invitation
    grant, end_s = held.grant, int(ends_s(held, ceiling))
    if held.revoked:
        state = (one.ended if one is not None else None) or "revoked"
    else:
        state = "in use" if now_s < end_s else "expired"
    return Row(
        one.id if one is not None else None, grant.client, one.name if one is not None else "",
        state, state == "in use", held.revoked, tuple(rule.kind for rule in grant.rules),
        grant.methods, grant.rate, login.used, grant.max_uses, end_s, grant.publishes,
    )  # fmt: skip
