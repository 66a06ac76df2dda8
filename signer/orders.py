"""Shell: the owner's commands that change rights, told on the relay in the signer's own word.

The bridge repeats in a puppet's name what the owner wrote, and may be somebody else's by now. So
the signer, which has seen the seal itself, says what was sealed (nips/own/order.py): kept in the
ledger's transaction, and on the relay before the bridge has the text.
"""

from __future__ import annotations

import secrets

import structlog

from nips.event import Event, Template
from nips.key import SecretKey
from nips.kinds import Kind
from nips.own import order
from nips.own.order import Order
from signer.chain import Entry
from signer.ledger import Ledger

log = structlog.get_logger()


class Orders:
    """See above. key: the signer's role key. bot: the assistant's public key in hex."""

    def __init__(self, ledger: Ledger, key: SecretKey, bot: str) -> None:
        self._ledger, self._key, self._bot = ledger, key, bot

    def of(self, rumor: Template, owner: str | None, client: str, now_s: float) -> Event | None:
        """The order that a rumor is, to be published; None: it is none.

        rumor: opened and checked, so its author is proved. client: who had it opened.
        """
        # Attack: anybody else who writes `/allow …` to the bot.
        if owner is None or rumor.pubkey != owner or rumor.kind != Kind.DIRECT_MESSAGE:
            return None
        # Attack: words that the owner said to several people, taken for words to the bot.
        if set(rumor.values("p")) != {self._bot}:
            return None
        word = order.word_of(rumor.content)
        if word is None:
            return None  # the owner's ordinary words are nobody's but their readers'
        given = Order(rumor.id, owner, rumor.content, rumor.created_at)
        template = order.template(given, self._key.public)
        if (known := self._ledger.signed(template.id)) is not None:
            return known
        # Attack: a wrap that was kept back, and is brought when it does harm.
        if not order.is_fresh(rumor.created_at, now_s):
            log.warning("order too old, or ahead of its time", word=word, rumor=rumor.id)
            return None
        event = template.sign(self._key, secrets.token_bytes(32))
        self._ledger.keep_signed(event, None)
        entry = Entry(int(now_s), client, "unwrap", f"the owner's order /{word}", event.id)
        self._ledger.chain.append(entry)
        return event
