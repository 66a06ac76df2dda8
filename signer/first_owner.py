"""Shell: naming the first owner, once, by the code in a message that the signer opened itself.

The tries are counted in the ledger, in the transaction that the answer waits for; so is the
owner. Where `roles.toml` names an owner none of this is asked.
"""

from __future__ import annotations

import secrets
from pathlib import Path

import orjson
import structlog

from nips.event import Event, Template
from nips.key import SecretKey
from nips.kinds import Kind
from nips.refusal import Malformed
from signer import pairing
from signer.buckets import Spent
from signer.ledger import Ledger

log = structlog.get_logger()


class FirstOwner:
    """See above. `data`: the folder with `pairing.json`; `key`: the signer's role key."""

    def __init__(self, ledger: Ledger, key: SecretKey, data: Path) -> None:
        self._ledger, self._key = ledger, key
        self._path = data / "pairing.json"

    def owner(self) -> str | None:
        """The owner named by pairing, in hex."""
        return self._ledger.get("owner")

    def was_paired_by(self, rumor: Template) -> bool:
        """Say whether this is the message that named the owner."""
        return self._ledger.get("paired_by") == rumor.id

    def try_to_pair(self, rumor: Template, now_s: float) -> Event | None:
        """Name the rumor's author as owner if it holds the code; returns the announcement.

        rumor: opened and checked, so its author is proved. Only where no owner is known.
        """
        offer = self._offer()
        if offer is None or rumor.kind != Kind.DIRECT_MESSAGE:
            return None
        tries = f"pairing/{offer.hash}"
        # The same message read twice, say after a crash, is one try.
        this_try = f"{tries}/{rumor.id}"
        if self._ledger.spent(this_try) is not None:
            return None
        made = self._ledger.spent(tries) or Spent(0, now_s)
        found = pairing.claim(offer, rumor.content, int(made.amount), now_s)
        if found is not pairing.Claim.NONE:
            log.info("pairing", author=rumor.pubkey, outcome=found.value)
        match found:
            case pairing.Claim.WRONG:
                self._ledger.spend(tries, Spent(made.amount + 1, now_s))
                self._ledger.spend(this_try, Spent(1, now_s))
            case pairing.Claim.RIGHT:
                return self._name(rumor, now_s)
        return None

    def _name(self, rumor: Template, now_s: float) -> Event:
        self._ledger.put("owner", rumor.pubkey)
        self._ledger.put("paired_by", rumor.id)
        event = Template(
            self._key.public,
            int(now_s),
            Kind.APP_DATA,
            (("d", "owner"), ("p", rumor.pubkey), ("alt", "The owner, named by pairing")),
            "",
        ).sign(self._key, secrets.token_bytes(32))
        self._ledger.keep_signed(event, None)
        return event

    def _offer(self) -> pairing.Offer | None:
        try:
            return pairing.Offer.from_json(orjson.loads(self._path.read_bytes()))
        except FileNotFoundError:
            return None
        except (OSError, orjson.JSONDecodeError, Malformed) as error:
            log.error("the pairing code cannot be read", path=str(self._path), reason=str(error))
            return None
